package authz

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/writ-iam/writ/projection/policy"
)

func TestGlobals(t *testing.T) {
	now := time.Date(2024, 5, 1, 10, 0, 0, 0, time.FixedZone("CEST", 7200))
	issued := now.Add(-time.Hour)
	user := Principal{
		ARN: "arn:aws:iam::111111111111:user/x/alice", Account: accountA, ID: "AIDAALICE", Name: "alice",
		Tags: []Tag{{"Team", "red"}, {"team", "blue"}}, OrgID: "o-1", OrgPaths: []string{"o-1/r-1/"},
	}
	session := Principal{
		Type: RoleSession, ARN: "arn:aws:sts::111111111111:assumed-role/app/s1", Issuer: "arn:aws:iam::111111111111:role/p/app",
		Account: accountA, ID: "AROAAPP", Name: "s1", TokenIssued: issued, MFA: issued, SourceIdentity: "alice", FederatedProvider: "accounts.google.com",
	}
	weak := session
	weak.MFA = time.Time{}
	federated := Principal{Type: FederatedUser, ARN: "arn:aws:sts::111111111111:federated-user/fred", Account: accountA, Name: "fred", TokenIssued: issued}
	role := Principal{Type: Role, ARN: "arn:aws:iam::111111111111:role/app", Account: accountA, ID: "AROAAPP", Name: "app"}
	root := Principal{Type: Root, ARN: "arn:aws:iam::111111111111:root", Account: accountA}
	service := Principal{Type: Service, Service: "sns.amazonaws.com"}
	nobody := Principal{Type: Anonymous}
	provider := Principal{Type: FederatedIdentity, ARN: "accounts.google.com"}
	unknown := Principal{Type: RoleSession, Issuer: "arn:aws:iam::111111111111:role/app", Name: "s1"}
	full := &Globals{
		Time: now, SourceIP: "10.1.2.3", Region: "us-east-1", UserAgent: "curl", Transport: TLSTransport, ResourceOrgID: "o-2",
	}
	for _, tt := range []struct {
		principal *Principal
		globals   *Globals
		key       policy.Key
		want      []string // nil: missing
	}{
		{&user, full, "aws:principalarn", []string{user.ARN}},
		{&session, full, "aws:principalarn", []string{session.Issuer}},
		{&federated, full, "aws:principalarn", []string{federated.ARN}},
		{&provider, full, "aws:principalarn", nil},
		{&nobody, full, "aws:principalarn", nil},
		{&user, full, "aws:principalaccount", []string{accountA}},
		{&service, full, "aws:principalaccount", nil},
		{&user, full, "aws:principaltype", []string{"User"}},
		{&session, full, "aws:principaltype", []string{"AssumedRole"}},
		{&role, full, "aws:principaltype", []string{"AssumedRole"}},
		{&federated, full, "aws:principaltype", []string{"FederatedUser"}},
		{&root, full, "aws:principaltype", []string{"Account"}},
		{&nobody, full, "aws:principaltype", []string{"Anonymous"}},
		{&service, full, "aws:principaltype", nil},
		{&user, full, "aws:userid", []string{"AIDAALICE"}},
		{&session, full, "aws:userid", []string{"AROAAPP:s1"}},
		{&unknown, full, "aws:userid", nil},
		{&role, full, "aws:userid", []string{"AROAAPP"}},
		{&federated, full, "aws:userid", []string{accountA + ":fred"}},
		{&root, full, "aws:userid", []string{accountA}},
		{&nobody, full, "aws:userid", []string{"anonymous"}},
		{&provider, full, "aws:userid", nil},
		{&user, full, "aws:username", []string{"alice"}},
		{&session, full, "aws:username", nil},
		{&user, full, "aws:principaltag/team", []string{"red"}},
		{&user, full, "aws:principaltag/other", nil},
		{&user, full, "aws:principaltag/tea", nil},
		{&user, full, "aws:principaltag/meat", nil},
		{&user, full, "aws:principalorgid", []string{"o-1"}},
		{&session, full, "aws:principalorgid", nil},
		{&user, full, "aws:principalorgpaths", []string{"o-1/r-1/"}},
		{&session, full, "aws:principalorgpaths", nil},
		{&user, full, "aws:principalisawsservice", []string{"false"}},
		{&service, full, "aws:principalisawsservice", []string{"true"}},
		{&service, full, "aws:principalservicename", []string{"sns.amazonaws.com"}},
		{&session, full, "aws:sourceidentity", []string{"alice"}},
		{&session, full, "aws:federatedprovider", []string{"accounts.google.com"}},
		{&session, full, "aws:tokenissuetime", []string{"2024-05-01T07:00:00Z"}},
		{&user, full, "aws:tokenissuetime", nil},
		{&session, full, "aws:multifactorauthpresent", []string{"true"}},
		{&weak, full, "aws:multifactorauthpresent", []string{"false"}},
		{&user, full, "aws:multifactorauthpresent", nil},
		{&session, full, "aws:multifactorauthage", []string{"3600"}},
		{&weak, full, "aws:multifactorauthage", nil},
		{&session, &Globals{}, "aws:multifactorauthage", nil},
		{&user, full, "aws:currenttime", []string{"2024-05-01T08:00:00Z"}},
		{&user, full, "aws:epochtime", []string{"1714550400"}},
		{&user, &Globals{}, "aws:currenttime", nil},
		{&user, &Globals{}, "aws:epochtime", nil},
		{&user, full, "aws:sourceip", []string{"10.1.2.3"}},
		{&user, &Globals{}, "aws:sourceip", nil},
		{&user, full, "aws:useragent", []string{"curl"}},
		{&user, full, "aws:securetransport", []string{"true"}},
		{&user, &Globals{Transport: TransportOf(true)}, "aws:securetransport", []string{"true"}},
		{&user, &Globals{Transport: TransportOf(false)}, "aws:securetransport", []string{"false"}},
		{&user, &Globals{}, "aws:securetransport", nil},
		{&user, &Globals{}, "aws:useragent", nil},
		{&user, &Globals{}, "aws:requestedregion", nil},
		{&user, &Globals{}, "aws:resourceorgid", nil},
		{&user, full, "aws:requestedregion", []string{"us-east-1"}},
		{&user, full, "aws:resourceaccount", []string{accountB}},
		{&user, full, "aws:resourceorgid", []string{"o-2"}},
		{&user, full, "app:other", nil},
	} {
		r := Request{Principal: tt.principal, Resource: "arn:aws:sqs:us-east-1:222222222222:q"}
		r.FillGlobals(tt.globals)
		e, ok := (*globalKeys)(&r).Entry(tt.key, 0)
		got := e.Values
		if !e.Multivalued {
			got = []string{e.Value}
		}
		if ok != (tt.want != nil) || ok && !slices.Equal(got, tt.want) {
			t.Errorf("%v %s: %q %v, want %q", tt.principal.Type, tt.key, got, ok, tt.want)
		}
	}
}

// The context of the request comes before the global keys, and without
// FillGlobals there is nothing else.
func TestContextIsAClosedWorldWithoutGlobals(t *testing.T) {
	set := NewSet(Policy{Document: compileText(t, `{"Version":"2012-10-17","Statement":
		{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":"alice"}}}}`)})
	p := Prepare(Layers{Identity: []*Set{set}})
	r := Request{Principal: &Principal{Account: accountA, Name: "alice"}, Action: "s3:GetObject", Resource: "*"}
	if p.Evaluate(&r).Allowed() {
		t.Error("aws:username was filled in")
	}
	r.FillGlobals(&Globals{})
	if !p.Evaluate(&r).Allowed() {
		t.Error("aws:username was not filled in")
	}
	r.Context = []policy.Entry{policy.Single("aws:username", "bob")}
	if p.Evaluate(&r).Allowed() {
		t.Error("the request's own aws:username does not count")
	}
}

func TestRequestAccount(t *testing.T) {
	p := &Principal{Account: accountA}
	for _, tt := range []struct{ resource, account, want string }{
		{"arn:aws:sqs:us-east-1:222222222222:q", "", accountB},
		{"arn:aws:sqs:us-east-1:222222222222:q", accountA, accountA},
		{"arn:aws:s3:::b", "", accountA},
		{"*", "", accountA},
		{"arn:aws:sqs:us-east-1:222222222222", "", accountA}, // not an ARN
	} {
		r := Request{Principal: p, Resource: tt.resource, ResourceAccount: tt.account}
		if got := r.account(); got != tt.want {
			t.Errorf("%s of %q: account %s, want %s", tt.resource, tt.account, got, tt.want)
		}
	}
}

func TestParsePrincipal(t *testing.T) {
	for _, tt := range []struct {
		arn    string
		kind   PrincipalType
		name   string
		issuer string
		ok     bool
	}{
		{"arn:aws:iam::111111111111:user/alice", User, "alice", "", true},
		{"arn:aws:iam::111111111111:user/a/b/alice", User, "alice", "", true},
		{"arn:aws:iam::111111111111:role/p/app", Role, "app", "", true},
		{"arn:aws:iam::111111111111:root", Root, "", "", true},
		{"arn:aws:sts::111111111111:assumed-role/app/s1", RoleSession, "s1", "arn:aws:iam::111111111111:role/app", true},
		{"arn:aws-cn:sts::111111111111:assumed-role/app/s1", RoleSession, "s1", "arn:aws-cn:iam::111111111111:role/app", true},
		{"arn:aws:sts::111111111111:federated-user/fred", FederatedUser, "fred", "", true},
		{"arn:aws:sts::111111111111:assumed-role/app", 0, "", "", false},
		{"arn:aws:sts::111111111111:user/alice", 0, "", "", false},
		{"arn:aws:iam::111111111111:group/g", 0, "", "", false},
		{"arn:aws:iam::111111111111:user/", 0, "", "", false},
		{"arn:aws:iam::111111111111:role/", 0, "", "", false},
		{"arn:aws:sts::111111111111:federated-user/", 0, "", "", false},
		{"arn:aws:s3:::root", 0, "", "", false},
		{"alice", 0, "", "", false},
		{"", 0, "", "", false},
	} {
		p, err := ParsePrincipal(tt.arn)
		if !tt.ok {
			if !errors.Is(err, ErrPrincipal) {
				t.Errorf("%s: %v", tt.arn, err)
			}
			continue
		}
		if err != nil || p.Type != tt.kind || p.Name != tt.name || p.Issuer != tt.issuer || p.Account != accountA || p.ARN != tt.arn {
			t.Errorf("%s: %+v, %v", tt.arn, p, err)
		}
	}
	if got := SessionIssuer("arn:aws:iam::111111111111:user/alice"); got != "" {
		t.Errorf("a user has the issuer %s", got)
	}
}
