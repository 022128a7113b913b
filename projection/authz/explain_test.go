package authz

import (
	"fmt"
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
	accountA = "111111111111"
	accountB = "222222222222"
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
		if d := p.Evaluate(r); d != x.Decision() || Message(r, d) != tt.want || (tt.want == "") != (Because(r, d) == "") {
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
		if got := p.Evaluate(r).Allowed(); got != tt.free || x.Free != tt.free || (x.Outcome == Allow) != tt.free {
			t.Errorf("%s by %v: %v", tt.action, tt.kind, got)
		}
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
		if got := Prepare(Layers{}).Evaluate(r).Allowed(); got != tt.want {
			t.Errorf("%s for %s: %v", tt.id, tt.principal.ARN, got)
		}
	}
}

// lines writes an explanation as text: layers, and below them statements with
// what did not match.
func lines(x *Explanation) string {
	var b strings.Builder
	for _, l := range x.Layers {
		fmt.Fprintf(&b, "%v %d of %d policies, needed %v, allows %v, denies %v\n", l.Layer, l.Level, l.Policies, l.Needed, l.Allows, l.Denies)
		for _, s := range x.Statements {
			if s.Layer != l.Layer || s.Level != l.Level {
				continue
			}
			fmt.Fprintf(&b, "  %s %d %q %v from %v to %v, applies %v, principal %v, resource %v, missing %q\n",
				s.Policy.Name, s.Index, s.Sid, s.Effect, s.Start, s.End, s.Applies, s.Principal, s.Resource, s.Missing)
			for _, c := range s.Conditions {
				fmt.Fprintf(&b, "    %s %s %q %v\n", c.Operator, c.Key, c.Values, c.Match)
			}
		}
	}
	return b.String()
}

func TestExplanation(t *testing.T) {
	own := set(t, "own", `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Team", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*",
     "Condition": {"StringEquals": {"aws:PrincipalTag/Team": "red"}, "Bool": {"aws:SecureTransport": "true"}}},
    {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::other/${aws:SourceIdentity}"},
    {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"},
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": "*"}}}
  ]
}`)
	guard := NewSet(Policy{Name: "guard", Document: compileText(t, allowAll)})
	bucket := resourceSet(t, `{"Version":"2012-10-17","Statement":{"Sid":"Bob","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"s3:*","Resource":"*"}}`)
	p := Prepare(Layers{Identity: []*Set{own}, Boundaries: []*Set{guard}, SCPs: []*Set{guard, guard}, Session: set(t, "session", denyS3)})
	r := &Request{
		Principal: alice(), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Target: &Target{Policy: bucket},
		Context: []policy.Entry{policy.Single("aws:principaltag/team", "blue"), policy.Multi("aws:tagkeys", nil)},
	}
	x := p.Explain(r)
	const want = `scp 1 of 1 policies, needed true, allows true, denies false
  guard 0 "" Allow from {1 37} to {1 83}, applies true, principal true, resource true, missing []
scp 2 of 1 policies, needed true, allows true, denies false
  guard 0 "" Allow from {1 37} to {1 83}, applies true, principal true, resource true, missing []
identity 0 of 1 policies, needed true, allows false, denies false
  own 0 "Team" Allow from {4 5} to {5 111}, applies false, principal true, resource true, missing ["aws:SecureTransport"]
    StringEquals aws:PrincipalTag/Team ["blue"] false
    Bool aws:SecureTransport [] false
  own 1 "" Allow from {6 5} to {6 101}, applies false, principal true, resource false, missing ["aws:sourceidentity"]
  own 3 "" Allow from {8 5} to {8 122}, applies false, principal true, resource true, missing ["aws:TagKeys"]
    ForAnyValue:StringLike aws:TagKeys [] false
boundary 0 of 1 policies, needed true, allows true, denies false
  guard 0 "" Allow from {1 37} to {1 83}, applies true, principal true, resource true, missing []
session 0 of 1 policies, needed true, allows false, denies true
  session 0 "" Deny from {1 37} to {1 85}, applies true, principal true, resource true, missing []
resource 0 of 1 policies, needed false, allows false, denies false
  bucket 0 "Bob" Allow from {1 37} to {1 133}, applies false, principal false, resource true, missing []
`
	if got := lines(&x); got != want || x.Outcome != ExplicitDeny || !slices.Equal(x.By, []Layer{LayerSession}) {
		t.Errorf("%v by %v\n%s\nwant\n%s", x.Outcome, x.By, got, want)
	}
	stranger := &Request{Principal: &Principal{Type: Anonymous}, Action: "s3:GetObject", Resource: "*"}
	x = p.Explain(stranger)
	if got := lines(&x); got != "resource 0 of 0 policies, needed true, allows false, denies false\n" {
		t.Error(got)
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

// An answer hangs on a key that the request lacks only if a statement that reads it
// could turn it.
func TestHangsOn(t *testing.T) {
	const mfa, ip = `"Bool":{"aws:MultiFactorAuthPresent":"true"}`, `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`
	st := func(effect, resource, condition string) string {
		return `{"Effect":"` + effect + `","Action":"s3:*","Resource":"` + resource + `","Condition":{` + condition + `}}`
	}
	allow, inClear := st("Allow", "*", ""), st("Deny", "*", `"Bool":{"aws:SecureTransport":"false"}`)
	for _, tt := range []struct {
		statements string
		outcome    Outcome
		want       []string
	}{
		{allow, Allow, nil},
		{allow + "," + inClear, Allow, []string{"aws:SecureTransport"}},
		{allow + "," + st("Allow", "*", mfa), Allow, nil},
		{st("Allow", "*", `"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`), Allow, []string{"aws:MultiFactorAuthPresent"}},
		{st("Allow", "*", mfa), ImplicitDeny, []string{"aws:MultiFactorAuthPresent"}},
		{st("Allow", "*", mfa+","+ip), ImplicitDeny, []string{"aws:MultiFactorAuthPresent", "aws:SourceIp"}},
		{st("Allow", "*", `"Bool":{"AWS:multifactorauthpresent":"true","aws:viaawsservice":"true"}`) + "," + st("Allow", "*", mfa), ImplicitDeny,
			[]string{"AWS:multifactorauthpresent", "aws:viaawsservice"}},
		{st("Allow", "*", mfa) + "," + inClear, ImplicitDeny, []string{"aws:MultiFactorAuthPresent", "aws:SecureTransport"}},
		{inClear, ImplicitDeny, nil}, // no Allow could make it one
		{st("Allow", "arn:aws:s3:::other/*", mfa), ImplicitDeny, nil},
		{st("Allow", "*", mfa+`,"StringEquals":{"s3:prefix":"home"}`), ImplicitDeny, nil}, // the prefix is another
		{st("Allow", "*", `"StringEquals":{"s3:prefix":"${aws:SourceIdentity}"}`), ImplicitDeny, []string{"aws:sourceidentity"}},
		{st("Allow", "arn:aws:s3:::${aws:SourceIdentity}/*", ""), ImplicitDeny, []string{"aws:sourceidentity"}},
		{st("Allow", "arn:aws:s3:::${aws:username}/*", mfa), ImplicitDeny, nil},
		{st("Allow", "*", mfa+`,"StringEquals":{"aws:PrincipalTag/team":"red"}`), ImplicitDeny, nil}, // a user without that tag has none
		{st("Allow", "*", mfa+`,"StringEquals":{"aws:PrincipalTag/role":"dev"}`), ImplicitDeny, []string{"aws:MultiFactorAuthPresent"}},
		{allow + "," + st("Deny", "*", ""), ExplicitDeny, nil},
		{allow + "," + st("Deny", "*", `"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}`), ExplicitDeny, []string{"aws:MultiFactorAuthPresent"}},
		{allow + "," + st("Deny", "*", `"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}`) + "," + st("Deny", "*", ""), ExplicitDeny, nil},
	} {
		p := Prepare(Layers{Identity: []*Set{set(t, "own", `{"Version":"2012-10-17","Statement":[`+tt.statements+`]}`)}})
		who := alice()
		who.Tags = []Tag{{Key: "role", Value: "dev"}}
		r := &Request{Principal: who, Action: "s3:ListBucket", Resource: "arn:aws:s3:::b/k", Context: []policy.Entry{policy.Single("s3:prefix", "tmp")}}
		r.FillGlobals(&Globals{})
		x := p.Explain(r)
		if got := x.HangsOn(); x.Outcome != tt.outcome || !slices.Equal(got, tt.want) {
			t.Errorf("%s\n%v hangs on %q, want %v on %q", tt.statements, x.Outcome, got, tt.outcome, tt.want)
		}
	}
}

// A session may have tags that the store does not know; a statement about somebody
// else does not count.
func TestHangsOnWhom(t *testing.T) {
	team := set(t, "own", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}}}`)
	bucket := resourceSet(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/bob"},"Action":"s3:*","Resource":"*",
		"Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`)
	session := &Principal{Type: RoleSession, ARN: "arn:aws:sts::111111111111:assumed-role/app/s1", Issuer: "arn:aws:iam::111111111111:role/app", Account: accountA, ID: "AROAAPP", Name: "s1"}
	bob := &Principal{ARN: "arn:aws:iam::111111111111:user/bob", Account: accountA, ID: "AIDABOB", Name: "bob"}
	p := Prepare(Layers{Identity: []*Set{team}})
	for who, want := range map[*Principal][]string{alice(): nil, bob: {"aws:SecureTransport"}, session: {"aws:PrincipalTag/team"}} {
		r := &Request{Principal: who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Target: &Target{Policy: bucket}}
		r.FillGlobals(&Globals{})
		x := p.Explain(r)
		if got := x.HangsOn(); !slices.Equal(got, want) {
			t.Errorf("%s: %v hangs on %q, want %q", who.ARN, x.Outcome, got, want)
		}
		if got := x.Missing(); !slices.Equal(got, []string{"aws:PrincipalTag/team", "aws:SecureTransport"}) {
			t.Errorf("%s: missing are %q", who.ARN, got)
		}
	}
}

func TestKeyNames(t *testing.T) {
	if names := KeyNames(nil); names == nil || len(names) != 0 {
		t.Errorf("%#v", names)
	}
	uses := []policy.KeyUse{{Key: "b:b", Name: "b:b"}, {Key: "a:a", Name: "a:a"}, {Key: "b:b", Name: "B:b"}}
	if names := KeyNames(uses); !slices.Equal(names, []string{"B:b", "a:a"}) {
		t.Errorf("%q", names)
	}
}
