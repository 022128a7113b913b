package admission

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// message is what an authorization message says of a denial, in the form that clients of AWS
// know ("DecodeAuthorizationMessage" in the STS API Reference), and the account that may
// decode it.
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

// messageOf says what there is to say of a denial.
func messageOf(c *Caller, i *Inquiry, x *authz.Explanation) *message {
	p := i.Principal
	m := &message{Account: string(c.Account), ExplicitDeny: x.Outcome == authz.ExplicitDeny, Matched: items[statement]{Items: []statement{}}, Failures: items[string]{Items: []string{}}}
	m.Context = asked{Principal: principal{ID: c.UserID, Name: p.Name, ARN: p.ARN}, Action: i.Action, Resource: i.Resource, Conditions: items[condition]{Items: []condition{}}}
	foreign := i.ResourceAccount != "" && i.ResourceAccount != string(c.Account) // nobody there has shown anything of it
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
	for _, e := range i.Context {
		if foreign && strings.Contains(string(e.Key), ":resourcetag/") {
			continue
		}
		values := e.Values
		if !e.Multivalued {
			values = []string{e.Value}
		}
		*list = append(*list, conditionOf(string(e.Key), values...))
	}
	g := &i.Globals
	*list = append(*list, conditionOf("aws:CurrentTime", g.Time.UTC().Format(time.RFC3339)), conditionOf("aws:SourceIp", g.SourceIP),
		conditionOf("aws:RequestedRegion", g.Region), conditionOf("aws:UserAgent", g.UserAgent),
		conditionOf("aws:SecureTransport", strconv.FormatBool(g.Transport == authz.TLSTransport)))
	return m
}

// encode returns the text of a message, without what there is no room for; nil where the
// request itself has none.
func (m *message) encode() []byte {
	for _, shorten := range [...]func(){
		func() {},
		func() { m.Matched.Items = []statement{} },
		func() { m.Context.Conditions.Items = []condition{} },
	} {
		shorten()
		if b, err := json.Marshal(m); err == nil && len(b) <= session.MaxMessageText {
			return b
		}
	}
	return nil
}

// sealMessage seals what there is to say of a denial by the key that seals sessions; empty
// where the node has none.
func (d *Desk) sealMessage(s *identity.State, m *message) string {
	active, ok := s.ActiveSessionKey()
	if !ok || d.cfg.Seal == nil {
		return ""
	}
	cluster := s.Cluster()
	key, err := d.sessionKey(cluster, &active)
	if err != nil { // who is denied is told so all the same
		return ""
	}
	sealed, err := key.SealMessage(cluster.ID, cluster.Incarnation, m.encode(), rand.Reader)
	if err != nil {
		return ""
	}
	return sealed
}

// OpenMessage decodes an authorization message of an account. False: it is none, is of
// another account, or its key is no longer in force.
func (d *Desk) OpenMessage(s *identity.State, account identity.AccountID, sealed string) (text []byte, ok bool, err error) {
	number, err := session.KeyOfMessage(sealed)
	if err != nil {
		return nil, false, nil //nolint:nilerr // it is no message
	}
	key, err := d.keyOf(s, number)
	if refused := (*sigv4.Error)(nil); errors.As(err, &refused) || errors.Is(err, errNewer) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	cluster := s.Cluster()
	text, err = key.OpenMessage(cluster.ID, cluster.Incarnation, sealed)
	if err != nil {
		return nil, false, nil //nolint:nilerr // it was altered
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil || m.Account != string(account) {
		return nil, false, nil //nolint:nilerr // only those of the account learn what it says
	}
	return text, true, nil
}
