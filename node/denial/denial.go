// Package denial writes what an authorization message says of a denial, in the form that clients
// of AWS know ("DecodeAuthorizationMessage" in the STS API Reference). Pure.
package denial

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// message is what is said, and the account that may decode it.
type message struct {
	Account      string           `json:"account"`
	Allowed      bool             `json:"allowed"`
	ExplicitDeny bool             `json:"explicitDeny"`
	Matched      items[statement] `json:"matchedStatements"`
	Failures     items[string]    `json:"failures"`
	Context      asked            `json:"context"`
}

type items[T any] struct {
	Items []T `json:"items"`
}

type value struct {
	Value string `json:"value"`
}

// statement is one that denies.
type statement struct {
	Sid        string           `json:"statementId"`
	Effect     string           `json:"effect"`
	Policy     string           `json:"policy"`
	Conditions items[condition] `json:"conditions"`
}

type condition struct {
	Key    string       `json:"key"`
	Values items[value] `json:"values"`
}

type asked struct {
	Principal  principal        `json:"principal"`
	Action     string           `json:"action"`
	Resource   string           `json:"resource"`
	Conditions items[condition] `json:"conditions"`
}

type principal struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	ARN  string `json:"arn"`
}

func conditionOf(key string, values ...string) condition {
	c := condition{Key: key, Values: items[value]{Items: []value{}}}
	for _, v := range values {
		c.Values.Items = append(c.Values.Items, value{v})
	}
	return c
}

// Encode returns the text of a message: who was denied what, with which id and in which
// account, and why. It leaves out what there is no room for in most bytes; nil where the
// request itself has none.
func Encode(account, id string, r *authz.Request, g *authz.Globals, x *authz.Explanation, most int) []byte {
	p := r.Principal
	m := &message{Account: account, ExplicitDeny: x.Outcome == authz.ExplicitDeny, Matched: items[statement]{Items: []statement{}}, Failures: items[string]{Items: []string{}}}
	m.Context = asked{Principal: principal{ID: id, Name: p.Name, ARN: p.ARN}, Action: r.Action, Resource: r.Resource, Conditions: items[condition]{Items: []condition{}}}
	foreign := r.ResourceAccount != "" && r.ResourceAccount != account // nobody there has shown anything of it
	for _, s := range x.Statements {
		if !s.Applies || s.Effect != syntax.Deny || foreign && s.Layer == authz.LayerResource {
			continue
		}
		one := statement{Sid: s.Sid, Effect: "DENY", Policy: s.Policy.Name, Conditions: items[condition]{Items: []condition{}}}
		for _, k := range s.Conditions {
			one.Conditions.Items = append(one.Conditions.Items, conditionOf(k.Key, k.Values...))
		}
		m.Matched.Items = append(m.Matched.Items, one)
	}
	list := &m.Context.Conditions.Items
	for _, e := range r.Context {
		if foreign && strings.Contains(string(e.Key), ":resourcetag/") {
			continue
		}
		values := e.Values
		if !e.Multivalued {
			values = []string{e.Value}
		}
		*list = append(*list, conditionOf(string(e.Key), values...))
	}
	*list = append(*list, conditionOf("aws:CurrentTime", g.Time.UTC().Format(time.RFC3339)), conditionOf("aws:SourceIp", g.SourceIP),
		conditionOf("aws:RequestedRegion", g.Region), conditionOf("aws:UserAgent", g.UserAgent),
		conditionOf("aws:SecureTransport", strconv.FormatBool(g.Transport == authz.TLSTransport)))
	return m.encode(most)
}

func (m *message) encode(most int) []byte {
	for _, shorten := range [...]func(){
		func() {},
		func() { m.Matched.Items = []statement{} },
		func() { m.Context.Conditions.Items = []condition{} },
	} {
		shorten()
		if b, err := json.Marshal(m); err == nil && len(b) <= most {
			return b
		}
	}
	return nil
}

// AccountOf is the account whose principal a denial's message is about; empty if the text
// is none.
func AccountOf(text []byte) string {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return ""
	}
	return m.Account
}
