package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

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

	Request CaseRequest `json:"request"`

	IdentityPolicies      []json.RawMessage   `json:"identity_policies"`
	PermissionsBoundaries []json.RawMessage   `json:"permissions_boundaries"`
	SessionPolicies       []json.RawMessage   `json:"session_policies"` // none: none passed
	SCPs                  [][]json.RawMessage `json:"scps"`
	RCPs                  [][]json.RawMessage `json:"rcps"`
	ResourcePolicy        json.RawMessage     `json:"resource_policy"`

	Expected CaseExpected `json:"expected"`
}

// CaseRequest is the request of a Case. Its context is a closed world.
type CaseRequest struct {
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

// CaseExpected is what a Case expects. By is information only.
type CaseExpected struct {
	Decision string   `json:"decision"`
	By       []string `json:"by,omitempty"`
}

// CaseError is returned for a case that cannot be run. Member names the member
// at fault in the format's words.
type CaseError struct {
	Member string
	Err    error
}

// Error names the member and what is wrong with it.
func (e *CaseError) Error() string { return e.Member + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CaseError) Unwrap() error { return e.Err }

var errMissing = errors.New("missing")

// DecodeCase reads one line of a file of cases. Unknown members are an error: a
// misspelt layer would pass for an absent one.
func DecodeCase(line []byte) (Case, error) {
	var c Case
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Case{}, fmt.Errorf("decode case: %w", err)
	}
	return c, nil
}

// Passed tells whether an explanation is what the case expects.
func (c *Case) Passed(x Explanation) bool { return x.Outcome.String() == c.Expected.Decision }

// Run answers the case. It fails with a *CaseError when the case is incomplete
// or one of its policies cannot be read.
func (c *Case) Run() (Explanation, error) {
	prepared, request, err := c.prepare()
	if err != nil {
		return Explanation{}, err
	}
	return prepared.Explain(request), nil
}

// prepare builds the layers and the request of the case.
func (c *Case) prepare() (*Prepared, *Request, error) {
	switch {
	case c.Request.Action == "":
		return nil, nil, &CaseError{"request.action", errMissing}
	case c.Request.Resource == "":
		return nil, nil, &CaseError{"request.resource_arn", errMissing}
	case !slices.Contains([]string{Allow.String(), ExplicitDeny.String(), ImplicitDeny.String()}, c.Expected.Decision):
		return nil, nil, &CaseError{"expected.decision", fmt.Errorf("%q is none of allow, explicitDeny, implicitDeny", c.Expected.Decision)}
	}
	principal, err := c.Request.principal()
	if err != nil {
		return nil, nil, err
	}
	b := caseBuilder{}
	layers := Layers{SCPs: b.levels("scps", c.SCPs, NewSet)}
	if len(c.IdentityPolicies) > 0 {
		layers.Identity = []*Set{b.set("identity_policies", c.IdentityPolicies, NewSet)}
	}
	for i := range c.PermissionsBoundaries {
		layers.Boundaries = append(layers.Boundaries, b.set("permissions_boundaries", c.PermissionsBoundaries[i:i+1], NewSet))
	}
	if len(c.SessionPolicies) > 0 {
		layers.Session = b.set("session_policies", c.SessionPolicies, NewSet)
	}
	target := &Target{RCPs: b.levels("rcps", c.RCPs, NewResourceSet)}
	if text := c.ResourcePolicy; len(text) > 0 && string(text) != "null" {
		target.Policy = b.set("resource_policy", []json.RawMessage{text}, NewResourceSet)
	}
	if b.err != nil {
		return nil, nil, b.err
	}
	request := &Request{
		Principal:       principal,
		Action:          c.Request.Action,
		Resource:        c.Request.Resource,
		ResourceAccount: c.Request.ResourceAccount,
		Target:          target,
		Context:         c.Request.entries(),
	}
	return Prepare(layers), request, nil
}

// caseBuilder compiles the policies of a case and keeps the first error.
type caseBuilder struct{ err error }

func (b *caseBuilder) levels(member string, levels [][]json.RawMessage, build func(...Policy) *Set) []*Set {
	var sets []*Set
	for _, level := range levels {
		sets = append(sets, b.set(member, level, build))
	}
	return sets
}

func (b *caseBuilder) set(member string, texts []json.RawMessage, build func(...Policy) *Set) *Set {
	var policies []Policy
	for i, text := range texts {
		doc, err := syntax.Parse(string(text))
		if err != nil {
			if b.err == nil {
				b.err = &CaseError{fmt.Sprintf("%s[%d]", member, i), err}
			}
			continue
		}
		policies = append(policies, Policy{
			Name:     fmt.Sprintf("%s[%d]", member, i),
			Source:   SourceNone,
			Document: policy.Compile(doc),
		})
	}
	return build(policies...)
}

func (r *CaseRequest) principal() (*Principal, error) {
	p := &Principal{ARN: r.PrincipalARN, Issuer: r.PrincipalIssuer, Account: r.Account, Service: r.PrincipalService}
	if r.PrincipalType != "" {
		i := slices.Index(principalTypeNames[:], r.PrincipalType)
		if i < 0 {
			return nil, &CaseError{"request.principal_type", fmt.Errorf("unknown type %q", r.PrincipalType)}
		}
		p.Type = PrincipalType(i)
	} else if known, err := ParsePrincipal(r.PrincipalARN); err == nil {
		p.Type = known.Type
	}
	if p.Account == "" && !p.Type.foreign() {
		a, _ := splitARN(p.ARN)
		p.Account = a.account
	}
	if p.Issuer == "" && p.Type == RoleSession {
		p.Issuer = SessionIssuer(p.ARN)
	}
	return p, nil
}

// entries returns the context of a case.
func (r *CaseRequest) entries() []policy.Entry {
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
