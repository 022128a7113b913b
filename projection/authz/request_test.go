package authz

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/writ-iam/writ/projection/policy"
)

// Callers, and what is known of their requests.
var (
	callerNow    = time.Date(2024, 5, 1, 10, 0, 0, 0, time.FixedZone("CEST", 7200))
	callerIssued = callerNow.Add(-time.Hour)
	callerUser   = Principal{
		ARN: "arn:aws:iam::111111111111:user/x/alice", Account: accountA, ID: "AIDAALICE", Name: "alice",
		Tags: []Tag{{"Team", "red"}, {"team", "blue"}}, OrgID: "o-1", OrgPaths: []string{"o-1/r-1/"},
	}
	callerSession = Principal{
		Type: RoleSession, ARN: "arn:aws:sts::111111111111:assumed-role/app/s1", Issuer: "arn:aws:iam::111111111111:role/p/app",
		Account: accountA, ID: "AROAAPP", Name: "s1", TokenIssued: callerIssued, MFA: callerIssued, SourceIdentity: "alice", FederatedProvider: "accounts.google.com",
	}
	callerFederated = Principal{Type: FederatedUser, ARN: "arn:aws:sts::111111111111:federated-user/fred", Account: accountA, Name: "fred", TokenIssued: callerIssued}
	callerRole      = Principal{Type: Role, ARN: "arn:aws:iam::111111111111:role/app", Account: accountA, ID: "AROAAPP", Name: "app"}
	callerRoot      = Principal{Type: Root, ARN: "arn:aws:iam::111111111111:root", Account: accountA}
	callerService   = Principal{Type: Service, Service: "sns.amazonaws.com"}
	callerNobody    = Principal{Type: Anonymous}
	callerProvider  = Principal{Type: FederatedIdentity, ARN: "accounts.google.com"}
	callerUnknown   = Principal{Type: RoleSession, Issuer: "arn:aws:iam::111111111111:role/app", Name: "s1"}
	fullGlobals     = &Globals{
		Time: callerNow, SourceIP: "10.1.2.3", Region: "us-east-1", UserAgent: "curl", Transport: TLSTransport, ResourceOrgID: "o-2",
	}
	callerWithoutMFA = Principal{
		Type: RoleSession, ARN: "arn:aws:sts::111111111111:assumed-role/app/s1", Issuer: "arn:aws:iam::111111111111:role/p/app",
		Account: accountA, ID: "AROAAPP", Name: "s1", TokenIssued: callerIssued, SourceIdentity: "alice", FederatedProvider: "accounts.google.com",
	}
)

// globalCase is a key of a request, and what it gives.
type globalCase struct {
	principal *Principal
	globals   *Globals
	key       policy.Key
	want      []string // nil: missing
}

// globalsOfCallers are keys that say who calls.
var globalsOfCallers = []globalCase{
	{&callerUser, fullGlobals, "aws:principalarn", []string{callerUser.ARN}},
	{&callerSession, fullGlobals, "aws:principalarn", []string{callerSession.Issuer}},
	{&callerFederated, fullGlobals, "aws:principalarn", []string{callerFederated.ARN}},
	{&callerProvider, fullGlobals, "aws:principalarn", nil},
	{&callerNobody, fullGlobals, "aws:principalarn", nil},
	{&callerUser, fullGlobals, "aws:principalaccount", []string{accountA}},
	{&callerService, fullGlobals, "aws:principalaccount", nil},
	{&callerUser, fullGlobals, "aws:principaltype", []string{"User"}},
	{&callerSession, fullGlobals, "aws:principaltype", []string{"AssumedRole"}},
	{&callerRole, fullGlobals, "aws:principaltype", []string{"AssumedRole"}},
	{&callerFederated, fullGlobals, "aws:principaltype", []string{"FederatedUser"}},
	{&callerRoot, fullGlobals, "aws:principaltype", []string{"Account"}},
	{&callerNobody, fullGlobals, "aws:principaltype", []string{"Anonymous"}},
	{&callerService, fullGlobals, "aws:principaltype", nil},
	{&callerUser, fullGlobals, "aws:userid", []string{"AIDAALICE"}},
	{&callerSession, fullGlobals, "aws:userid", []string{"AROAAPP:s1"}},
	{&callerUnknown, fullGlobals, "aws:userid", nil},
	{&callerRole, fullGlobals, "aws:userid", []string{"AROAAPP"}},
	{&callerFederated, fullGlobals, "aws:userid", []string{accountA + ":fred"}},
	{&callerRoot, fullGlobals, "aws:userid", []string{accountA}},
	{&callerNobody, fullGlobals, "aws:userid", []string{"anonymous"}},
	{&callerProvider, fullGlobals, "aws:userid", nil},
	{&callerUser, fullGlobals, "aws:username", []string{"alice"}},
	{&callerSession, fullGlobals, "aws:username", nil},
	{&callerUser, fullGlobals, "aws:principaltag/team", []string{"red"}},
	{&callerUser, fullGlobals, "aws:principaltag/other", nil},
	{&callerUser, fullGlobals, "aws:principaltag/tea", nil},
	{&callerUser, fullGlobals, "aws:principaltag/meat", nil},
	{&callerUser, fullGlobals, "aws:principalorgid", []string{"o-1"}},
	{&callerSession, fullGlobals, "aws:principalorgid", nil},
	{&callerUser, fullGlobals, "aws:principalorgpaths", []string{"o-1/r-1/"}},
	{&callerSession, fullGlobals, "aws:principalorgpaths", nil},
	{&callerUser, fullGlobals, "aws:principalisawsservice", []string{"false"}},
	{&callerService, fullGlobals, "aws:principalisawsservice", []string{"true"}},
	{&callerService, fullGlobals, "aws:principalservicename", []string{"sns.amazonaws.com"}},
	{&callerSession, fullGlobals, "aws:sourceidentity", []string{"alice"}},
	{&callerSession, fullGlobals, "aws:federatedprovider", []string{"accounts.google.com"}},
}

// globalsOfRequests are keys that say how, when and about what it is called.
var globalsOfRequests = []globalCase{
	{&callerSession, fullGlobals, "aws:tokenissuetime", []string{"2024-05-01T07:00:00Z"}},
	{&callerUser, fullGlobals, "aws:tokenissuetime", nil},
	{&callerSession, fullGlobals, "aws:multifactorauthpresent", []string{"true"}},
	{&callerWithoutMFA, fullGlobals, "aws:multifactorauthpresent", []string{"false"}},
	{&callerUser, fullGlobals, "aws:multifactorauthpresent", nil},
	{&callerSession, fullGlobals, "aws:multifactorauthage", []string{"3600"}},
	{&callerWithoutMFA, fullGlobals, "aws:multifactorauthage", nil},
	{&callerSession, &Globals{}, "aws:multifactorauthage", nil},
	{&callerUser, fullGlobals, "aws:currenttime", []string{"2024-05-01T08:00:00Z"}},
	{&callerUser, fullGlobals, "aws:epochtime", []string{"1714550400"}},
	{&callerUser, &Globals{}, "aws:currenttime", nil},
	{&callerUser, &Globals{}, "aws:epochtime", nil},
	{&callerUser, fullGlobals, "aws:sourceip", []string{"10.1.2.3"}},
	{&callerUser, &Globals{}, "aws:sourceip", nil},
	{&callerUser, fullGlobals, "aws:useragent", []string{"curl"}},
	{&callerUser, fullGlobals, "aws:securetransport", []string{"true"}},
	{&callerUser, &Globals{Transport: TransportOf(true)}, "aws:securetransport", []string{"true"}},
	{&callerUser, &Globals{Transport: TransportOf(false)}, "aws:securetransport", []string{"false"}},
	{&callerUser, &Globals{}, "aws:securetransport", nil},
	{&callerUser, &Globals{}, "aws:useragent", nil},
	{&callerUser, &Globals{}, "aws:requestedregion", nil},
	{&callerUser, &Globals{}, "aws:resourceorgid", nil},
	{&callerUser, fullGlobals, "aws:requestedregion", []string{"us-east-1"}},
	{&callerUser, fullGlobals, "aws:resourceaccount", []string{accountB}},
	{&callerUser, fullGlobals, "aws:resourceorgid", []string{"o-2"}},
	{&callerUser, fullGlobals, "app:other", nil},
}

func TestGlobals(t *testing.T) {
	for _, tt := range slices.Concat(globalsOfCallers, globalsOfRequests) {
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
