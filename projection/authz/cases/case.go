// Package cases is unit tests of policies: a request with the policies that bear on it
// and the decision that it should get, one JSON object a line. It reads them and answers
// them with the engine of a running cluster.
package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Case is a request with its policies and the decision that it should get: one
// line of a file of policy unit tests. Every member but the request's action
// and resource and the expected decision may be absent.
type Case struct {
	ID     string `json:"id"`
	Group  string `json:"group,omitempty"`
	Reason string `json:"reason,omitempty"`
	Source string `json:"source,omitempty"`

	Request Request `json:"request"`

	IdentityPolicies      []json.RawMessage   `json:"identity_policies"`
	PermissionsBoundaries []json.RawMessage   `json:"permissions_boundaries"`
	SessionPolicies       []json.RawMessage   `json:"session_policies"` // none: none passed
	SCPs                  [][]json.RawMessage `json:"scps"`
	RCPs                  [][]json.RawMessage `json:"rcps"`
	ResourcePolicy        json.RawMessage     `json:"resource_policy"`

	Expected Expected `json:"expected"`
}

// Request is the request of a Case. Its context is a closed world.
type Request struct {
	PrincipalType    string              `json:"principal_type"`
	PrincipalARN     string              `json:"principal_arn"`
	PrincipalIssuer  string              `json:"principal_issuer_arn"`
	PrincipalService string              `json:"principal_service"`
	Account          string              `json:"account"`
	Action           string              `json:"action"`
	Resource         string              `json:"resource_arn"`
	ResourceAccount  string              `json:"resource_account"`
	Context          map[string][]string `json:"context"`
	MultivaluedKeys  []string            `json:"multivalued_keys"`
}

// Expected is what a Case expects. By is information only.
type Expected struct {
	Decision string   `json:"decision"`
	By       []string `json:"by,omitempty"`
}

// Error is returned for a case that cannot be run. Field names what is
// at fault in the format's words.
type Error struct {
	Field string
	Err   error
}

// Error names the field and what is wrong with it.
func (e *Error) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var errMissing = errors.New("missing")

// Decode reads one line of a file of cases. Unknown members are an error: a
// misspelt layer would pass for an absent one.
func Decode(line []byte) (Case, error) {
	var c Case
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Case{}, fmt.Errorf("decode case: %w", err)
	}
	return c, nil
}

// Passed tells whether an explanation is what the case expects.
func (c *Case) Passed(x authz.Explanation) bool { return x.Outcome.String() == c.Expected.Decision }

// Run answers the case. It fails with a *CaseError when the case is incomplete
// or one of its policies cannot be read.
func (c *Case) Run() (authz.Explanation, error) {
	layers, request, err := c.read()
	if err != nil {
		return authz.Explanation{}, err
	}
	return authz.Prepare(layers).Explain(request), nil
}

// read builds the layers and the request of the case.
func (c *Case) read() (authz.Layers, *authz.Request, error) {
	switch {
	case c.Request.Action == "":
		return authz.Layers{}, nil, &Error{"request.action", errMissing}
	case c.Request.Resource == "":
		return authz.Layers{}, nil, &Error{"request.resource_arn", errMissing}
	case !slices.Contains([]string{authz.Allow.String(), authz.ExplicitDeny.String(), authz.ImplicitDeny.String()}, c.Expected.Decision):
		return authz.Layers{}, nil, &Error{"expected.decision", fmt.Errorf("%q is none of allow, explicitDeny, implicitDeny", c.Expected.Decision)}
	}
	principal, err := c.Request.principal()
	if err != nil {
		return authz.Layers{}, nil, err
	}
	b := caseBuilder{}
	layers := authz.Layers{SCPs: b.levels("scps", c.SCPs, authz.NewSet)}
	if len(c.IdentityPolicies) > 0 {
		layers.Identity = []*authz.Set{b.set("identity_policies", c.IdentityPolicies, authz.NewSet)}
	}
	for i := range c.PermissionsBoundaries {
		layers.Boundaries = append(layers.Boundaries, b.set("permissions_boundaries", c.PermissionsBoundaries[i:i+1], authz.NewSet))
	}
	if len(c.SessionPolicies) > 0 {
		layers.Session = b.set("session_policies", c.SessionPolicies, authz.NewSet)
	}
	target := &authz.Target{RCPs: b.levels("rcps", c.RCPs, authz.NewResourceSet)}
	if text := c.ResourcePolicy; len(text) > 0 && string(text) != "null" {
		target.Policy = b.set("resource_policy", []json.RawMessage{text}, authz.NewResourceSet)
	}
	if b.err != nil {
		return authz.Layers{}, nil, b.err
	}
	request := &authz.Request{
		Principal:       principal,
		Action:          c.Request.Action,
		Resource:        c.Request.Resource,
		ResourceAccount: c.Request.ResourceAccount,
		Target:          target,
		Context:         c.Request.entries(),
	}
	return layers, request, nil
}

// caseBuilder compiles the policies of a case and keeps the first error.
type caseBuilder struct{ err error }

func (b *caseBuilder) levels(member string, levels [][]json.RawMessage, build func(...authz.Policy) *authz.Set) []*authz.Set {
	var sets []*authz.Set
	for _, level := range levels {
		sets = append(sets, b.set(member, level, build))
	}
	return sets
}

func (b *caseBuilder) set(member string, texts []json.RawMessage, build func(...authz.Policy) *authz.Set) *authz.Set {
	var policies []authz.Policy
	for i, text := range texts {
		doc, err := syntax.Parse(string(text))
		if err != nil {
			if b.err == nil {
				b.err = &Error{fmt.Sprintf("%s[%d]", member, i), err}
			}
			continue
		}
		policies = append(policies, authz.Policy{
			Name:     fmt.Sprintf("%s[%d]", member, i),
			Source:   authz.SourceNone,
			Document: policy.Compile(doc),
		})
	}
	return build(policies...)
}

func (r *Request) principal() (*authz.Principal, error) {
	p := &authz.Principal{ARN: r.PrincipalARN, Issuer: r.PrincipalIssuer, Account: r.Account, Service: r.PrincipalService}
	if r.PrincipalType != "" {
		var known bool
		if p.Type, known = authz.PrincipalTypeByName(r.PrincipalType); !known {
			return nil, &Error{"request.principal_type", fmt.Errorf("unknown type %q", r.PrincipalType)}
		}
	} else if known, err := authz.ParsePrincipal(r.PrincipalARN); err == nil {
		p.Type = known.Type
	}
	if p.Account == "" && !p.Type.Foreign() {
		p.Account = authz.AccountOf(p.ARN)
	}
	if p.Issuer == "" && p.Type == authz.RoleSession {
		p.Issuer = authz.SessionIssuer(p.ARN)
	}
	return p, nil
}

// entries returns the context of a case.
func (r *Request) entries() []policy.Entry {
	multi := map[policy.Key]bool{}
	for _, k := range r.MultivaluedKeys {
		multi[policy.NewKey(k)] = true
	}
	entries := make([]policy.Entry, 0, len(r.Context))
	// In the order of the names, for what an explanation shows.
	for _, name := range slices.Sorted(maps.Keys(r.Context)) {
		key, values := policy.NewKey(name), r.Context[name]
		if len(values) == 1 && !multi[key] {
			entries = append(entries, policy.Single(key, values[0]))
		} else {
			entries = append(entries, policy.Multi(key, values))
		}
	}
	return entries
}
