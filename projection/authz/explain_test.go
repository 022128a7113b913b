package authz

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
)

func set(t *testing.T, name, text string) *Set {
	return NewSet(Policy{Name: name, Source: SourceUser, Holder: "alice", Document: compileText(t, text)})
}

func resourceSet(t *testing.T, text string) *Set {
	return NewResourceSet(Policy{Name: "bucket", Source: SourceResource, Document: compileText(t, text)})
}

const (
	allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	allowEC2 = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}`
	denyS3   = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}`
)

func alice() *Principal {
	return &Principal{ARN: "arn:aws:iam::111111111111:user/alice", Account: accountA, ID: "AIDAALICE", Name: "alice"}
}

// Messages are those of the IAM User Guide's "Troubleshoot access denied error
// messages".
func TestMessages(t *testing.T) {
	const who = "User: arn:aws:iam::111111111111:user/alice is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
	trust := `{"Version":"2012-10-17","Statement":{"Effect":%,"Principal":{"AWS":"222222222222"},"Action":"sts:*"}}`
	full := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`
	all, ec2, deny := set(t, "all", allowAll), set(t, "ec2", allowEC2), set(t, "deny", denyS3)
	everybody := resourceSet(t, full)
	for _, tt := range []struct {
		layers Layers
		target *Target
		change func(*Request)
		by     []Layer
		want   string
	}{
		{Layers{}, nil, nil, []Layer{LayerIdentity}, who + "because no identity-based policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all, deny}}, nil, nil, []Layer{LayerIdentity}, who + "with an explicit deny in an identity-based policy"},
		{Layers{Identity: []*Set{all}, Boundaries: []*Set{ec2}}, nil, nil, []Layer{LayerBoundary}, who + "because no permissions boundary allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}, Boundaries: []*Set{deny}}, nil, nil, []Layer{LayerBoundary}, who + "with an explicit deny in a permissions boundary"},
		{Layers{Identity: []*Set{all}, Session: ec2}, nil, nil, []Layer{LayerSession}, who + "because no session policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}, Session: deny}, nil, nil, []Layer{LayerSession}, who + "with an explicit deny in a session policy"},
		{Layers{Identity: []*Set{all}, SCPs: []*Set{all, ec2}}, nil, nil, []Layer{LayerSCP}, who + "because no service control policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}, SCPs: []*Set{all, deny}}, nil, nil, []Layer{LayerSCP}, who + "with an explicit deny in a service control policy"},
		{Layers{Identity: []*Set{all}}, &Target{RCPs: []*Set{everybody, resourceSet(t, allowEC2)}}, nil, []Layer{LayerRCP}, who + "because no resource control policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}}, &Target{RCPs: []*Set{everybody, resourceSet(t, strings.Replace(denyS3, `"Effect"`, `"Principal":"*","Effect"`, 1))}}, nil, []Layer{LayerRCP}, who + "with an explicit deny in a resource control policy"},
		{Layers{Identity: []*Set{all}}, nil, func(r *Request) { r.ResourceAccount = accountB }, []Layer{LayerResource}, who + "because no resource-based policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}}, &Target{Policy: resourceSet(t, strings.Replace(denyS3, `"Effect"`, `"Principal":"*","Effect"`, 1))}, nil, []Layer{LayerResource}, who + "with an explicit deny in a resource-based policy"},
		{Layers{}, nil, func(r *Request) { r.ResourceAccount = accountB }, []Layer{LayerIdentity, LayerResource}, who + "because no identity-based policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}}, &Target{Policy: resourceSet(t, strings.Replace(trust, "%", `"Allow"`, 1))},
			func(r *Request) { r.Action, r.Resource = "sts:AssumeRole", "arn:aws:iam::111111111111:role/app" }, []Layer{LayerResource},
			"User: arn:aws:iam::111111111111:user/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111111111111:role/app because no role trust policy allows the sts:AssumeRole action"},
		{Layers{Identity: []*Set{all}}, &Target{Policy: resourceSet(t, strings.Replace(strings.Replace(trust, "%", `"Deny"`, 1), accountB, accountA, 1))},
			func(r *Request) { r.Action, r.Resource = "sts:AssumeRole", "arn:aws:iam::111111111111:role/app" }, []Layer{LayerResource},
			"User: arn:aws:iam::111111111111:user/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111111111111:role/app with an explicit deny in the role trust policy"},
		{Layers{Identity: []*Set{all}}, nil, func(r *Request) { r.Action, r.Resource = "kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/1" }, []Layer{LayerResource},
			"User: arn:aws:iam::111111111111:user/alice is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111111111111:key/1 because no resource-based policy allows the kms:Decrypt action"},
		{Layers{}, nil, func(r *Request) { r.Principal = &Principal{Type: Service, Service: "sns.amazonaws.com"} }, []Layer{LayerResource},
			"User: sns.amazonaws.com is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no resource-based policy allows the s3:GetObject action"},
		{Layers{}, nil, func(r *Request) { r.Principal, r.Resource = &Principal{Type: Anonymous}, "" }, []Layer{LayerResource},
			"User: anonymous is not authorized to perform: s3:GetObject because no resource-based policy allows the s3:GetObject action"},
		{Layers{Identity: []*Set{all}}, nil, nil, nil, ""},
	} {
		r := &Request{Principal: alice(), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Target: tt.target}
		if tt.change != nil {
			tt.change(r)
		}
		p := Prepare(tt.layers)
		x := p.Explain(r)
		if x.Message != tt.want || !slices.Equal(x.By, tt.by) {
			t.Errorf("by %v: %q\nwant %v: %q", x.By, x.Message, tt.by, tt.want)
		}
		if d := p.Decide(r); d != x.Decision() || Message(r, d) != tt.want || (tt.want == "") != (Because(r, d) == "") {
			t.Errorf("Decide: %v by %v, %q", d.Outcome, d.By, Message(r, d))
		}
	}
}

func TestFreeActions(t *testing.T) {
	deny := set(t, "deny", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	p := Prepare(Layers{Identity: []*Set{deny}, SCPs: []*Set{deny}})
	for _, tt := range []struct {
		action string
		kind   PrincipalType
		free   bool
	}{
		{"sts:GetCallerIdentity", User, true},
		{"STS:getcalleridentity", Anonymous, true},
		{"sts:GetSessionToken", User, true},
		{"sts:GetSessionToken", Root, true},
		{"sts:GetSessionToken", RoleSession, false},
		{"sts:GetFederationToken", User, false},
		{"sts:GetCallerIdentitx", User, false},
		{"sts:GetSessionTokex", User, false},
	} {
		r := &Request{Principal: &Principal{Type: tt.kind, Account: accountA}, Action: tt.action, Resource: "*"}
		x := p.Explain(r)
		if got := p.Decide(r).Allowed(); got != tt.free || x.Free != tt.free || (x.Outcome == Allow) != tt.free {
			t.Errorf("%s by %v: %v", tt.action, tt.kind, got)
		}
	}
	free := Explanation{Outcome: Allow, Free: true}
	if tree := free.Tree(); tree.String() != "allowed: the action needs no permission\n" {
		t.Error(tree)
	}
}

// The unique id of a user or role names it, as AWS stores it in policies.
func TestUniqueIDsAsPrincipals(t *testing.T) {
	session := &Principal{
		Type: RoleSession, ARN: "arn:aws:sts::111111111111:assumed-role/app/s1", Issuer: "arn:aws:iam::111111111111:role/app",
		Account: accountA, ID: "AROAAPP", Name: "s1",
	}
	role := &Principal{Type: Role, ARN: "arn:aws:iam::111111111111:role/app", Account: accountA, ID: "AROAAPP"}
	for _, tt := range []struct {
		id        string
		principal *Principal
		want      bool
	}{
		{"AIDAALICE", alice(), true},
		{"AIDABOB", alice(), false},
		{"AROAAPP", session, true},
		{"AROAAPP", role, true},
		{"AROAOTHER", role, false},
		{"", &Principal{Account: accountA}, false},
		{"1234", alice(), false},
		{"11111111111x", alice(), false},
		{"arn:aws:iam::1111:root", alice(), false},
	} {
		policy := resourceSet(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+tt.id+`"},"Action":"s3:*","Resource":"*"}}`)
		r := &Request{Principal: tt.principal, Action: "s3:GetObject", Resource: "*", Target: &Target{Policy: policy}}
		if got := Prepare(Layers{}).Decide(r).Allowed(); got != tt.want {
			t.Errorf("%s for %s: %v", tt.id, tt.principal.ARN, got)
		}
	}
}

func TestExplanationTree(t *testing.T) {
	own := set(t, "own", `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Team", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*",
     "Condition": {"StringEquals": {"aws:PrincipalTag/Team": "red"}, "Bool": {"aws:SecureTransport": "true"}}},
    {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::other/${aws:SourceIdentity}"},
    {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
  ]
}`)
	managed := NewSet(Policy{Name: "Guard", ARN: "arn:aws:iam::111111111111:policy/Guard", Document: compileText(t, allowAll)})
	bucket := resourceSet(t, `{"Version":"2012-10-17","Statement":{"Sid":"Bob","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:*","Resource":"*"}}`)
	p := Prepare(Layers{Identity: []*Set{own}, Boundaries: []*Set{managed}, SCPs: []*Set{managed, managed}, Session: set(t, "empty", allowEC2)})
	r := &Request{
		Principal: alice(), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Target: &Target{Policy: bucket},
		Context: []policy.Entry{policy.Single("aws:principaltag/team", "blue"), policy.Multi("aws:tagkeys", nil)},
	}
	x := p.Explain(r)
	const want = `denied: User: arn:aws:iam::111111111111:user/alice is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no identity-based policy allows the s3:GetObject action
  service control policies, 1: allowed
    statement 1 of arn:aws:iam::111111111111:policy/Guard, line 1: Allow applies
  service control policies, 2: allowed
    statement 1 of arn:aws:iam::111111111111:policy/Guard, line 1: Allow applies
  identity-based policies: no statement allows it, but the request needs an allow here
    Team of own of user alice, line 4: Allow does not apply
      StringEquals aws:PrincipalTag/Team: the request has ["blue"]
      Bool aws:SecureTransport: the request has no such key
    statement 2 of own of user alice, line 6: Allow does not apply
      another resource
  permissions boundary: allowed
    statement 1 of arn:aws:iam::111111111111:policy/Guard, line 1: Allow applies
  session policies: no statement allows it, but the request needs an allow here
  resource-based policy: no statement allows it
    Bob of bucket, line 1: Allow does not apply
      another principal
`
	tree := x.Tree()
	if got := tree.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := x.Statements[2]; !slices.Equal(s.Missing, []string{"aws:SecureTransport"}) {
		t.Errorf("missing %q", s.Missing)
	}
	if s := x.Statements[3]; !slices.Equal(s.Missing, []string{"aws:sourceidentity"}) || s.Start.Line != 6 || s.Index != 1 {
		t.Errorf("missing %q, %+v", s.Missing, s)
	}

	denied := Prepare(Layers{Identity: []*Set{set(t, "deny", denyS3)}}).Explain(r)
	if tree := denied.Tree(); tree.Children[0].Text != "identity-based policies: denied" {
		t.Error(tree)
	}
	stranger := &Request{Principal: &Principal{Type: Anonymous}, Action: "s3:GetObject", Resource: "*"}
	none := Prepare(Layers{}).Explain(stranger)
	if tree := none.Tree(); len(tree.Children) != 1 || tree.Children[0].Text != "resource-based policy: none, but the request needs an allow here" {
		t.Error(tree)
	}
}

func TestNames(t *testing.T) {
	var outcomes, kinds []string
	for o := range Outcome(3) {
		outcomes = append(outcomes, o.String())
	}
	for k := range principalTypes {
		kinds = append(kinds, k.String())
	}
	if !slices.Equal(outcomes, []string{"implicitDeny", "explicitDeny", "allow"}) {
		t.Error(outcomes)
	}
	if kinds[RoleSession] != "role_session" || kinds[FederatedIdentity] != "federated_idp" {
		t.Error(kinds)
	}
	if LayerBoundary.String() != "boundary" || NoLayer.String() != "" {
		t.Error(LayerBoundary, NoLayer)
	}
}

func TestCaseErrors(t *testing.T) {
	for _, tt := range []struct{ member, line string }{
		{"", `{"request":{"action":"s3:GetObject"}`},
		{"", `{"identity_policy":[]}`},
		{"request.action", `{"request":{"resource_arn":"*"},"expected":{"decision":"allow"}}`},
		{"request.resource_arn", `{"request":{"action":"s3:GetObject"},"expected":{"decision":"allow"}}`},
		{"expected.decision", `{"request":{"action":"s3:GetObject","resource_arn":"*"}}`},
		{"request.principal_type", `{"request":{"principal_type":"group","action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"}}`},
		{"scps[1]", `{"request":{"action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"},"scps":[[` + allowAll + `,{}],[[]]]}`},
		{"resource_policy[0]", `{"request":{"action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"},"resource_policy":"x"}`},
	} {
		c, err := DecodeCase([]byte(tt.line))
		if tt.member == "" {
			if err == nil {
				t.Errorf("%s: decoded", tt.line)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		_, err = c.Run()
		e := (*CaseError)(nil)
		if !errors.As(err, &e) || e.Member != tt.member || !strings.HasPrefix(err.Error(), tt.member+": ") || errors.Unwrap(err) == nil {
			t.Errorf("%s: %v", tt.line, err)
		}
	}
}

// Members that are absent take what the others tell.
func TestCaseDefaults(t *testing.T) {
	for _, tt := range []struct {
		arn     string
		kind    PrincipalType
		account string
		issuer  string
	}{
		{"", User, "", ""},
		{"arn:aws:iam::111111111111:role/app", Role, accountA, ""},
		{"arn:aws:sts::111111111111:assumed-role/app/s1", RoleSession, accountA, "arn:aws:iam::111111111111:role/app"},
	} {
		p, err := (&CaseRequest{PrincipalARN: tt.arn}).principal()
		if err != nil || p.Type != tt.kind || p.Account != tt.account || p.Issuer != tt.issuer {
			t.Errorf("%s: %+v, %v", tt.arn, p, err)
		}
	}
	line := `{"request":{"action":"s3:GetObject","resource_arn":"arn:aws:s3:::b/k"},"identity_policies":[` + allowAll + `],"expected":{"decision":"allow"}}`
	c, err := DecodeCase([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := c.Run(); err != nil || !c.Passed(x) {
		t.Errorf("%v, %v", x.Outcome, err)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}
