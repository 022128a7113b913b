package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/dispatch"
)

const badSignature = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

func TestSignatures(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	idle := w.user("idle", "")
	w.must(&identity.UpdateAccessKey{Account: account, User: "idle", ID: idle.id, Active: false})

	rec := w.accepted("root", w.whoami(w.root))
	if got := between(rec.Body.String(), "Arn"); got != "arn:aws:iam::123456789012:root" {
		t.Errorf("the root is %s", got)
	}
	if rec.Header().Get("X-Writ-Position") == "" || rec.Header().Get("X-Writ-Freshness") != "strict" {
		t.Errorf("headers are %v", rec.Header())
	}
	if got := between(w.whoami(alice).Body.String(), "Arn"); got != userARN("alice") {
		t.Errorf("alice is %s", got)
	}

	w.refused("wrong secret", w.whoami(credential{alice.id, "another secret"}), http.StatusForbidden, "SignatureDoesNotMatch", badSignature)
	for name, c := range map[string]credential{"unknown key": {"AKIANOBODYNOBODY0000", "x"}, "inactive key": idle} {
		w.refused(name, w.whoami(c), http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	r, body := form(stsVersion, "GetCallerIdentity", "@X-Amz-Security-Token", "a token")
	w.refused("session token", w.serve(w.sign(r, alice, "sts", body)), http.StatusForbidden, "InvalidClientTokenId", "")
	r, body = form(stsVersion, "GetCallerIdentity")
	w.refused("another service", w.serve(w.sign(r, alice, "iam", body)), http.StatusForbidden, "SignatureDoesNotMatch",
		"Credential should be scoped to correct service: 'sts'.")
	r, _ = form(stsVersion, "GetCallerIdentity")
	w.refused("another body", w.serve(w.sign(r, alice, "sts", []byte("Action=Other"))), http.StatusForbidden, "SignatureDoesNotMatch", "")
	r, _ = form(stsVersion, "GetCallerIdentity")
	w.refused("unsigned", w.serve(r), http.StatusForbidden, "MissingAuthenticationToken", "")
	for _, skew := range []time.Duration{-16 * time.Minute, 16 * time.Minute} {
		r, body = form(stsVersion, "GetCallerIdentity")
		w.sign(r, alice, "sts", body)
		w.node.now = func() time.Time { return noon.Add(skew) }
		if e := w.error(w.serve(r)); e.Code != "SignatureDoesNotMatch" || !strings.HasPrefix(e.Message, "Signature ") {
			t.Errorf("a skew of %v: %s: %s", skew, e.Code, e.Message)
		}
		w.node.now = func() time.Time { return noon }
	}
}

func TestPresigned(t *testing.T) {
	w := newWorld(t)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://writ.test/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	url, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: w.root.id, SecretAccessKey: w.root.secret}, r, empty, "sts", "us-east-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	w.accepted("presigned", w.serve(httptest.NewRequest(http.MethodGet, url, nil)))
	w.refused("changed", w.serve(httptest.NewRequest(http.MethodGet, url+"&x=y", nil)), http.StatusForbidden, "SignatureDoesNotMatch", badSignature)
	w.node.now = func() time.Time { return noon.Add(61 * time.Second) }
	if rec := w.serve(httptest.NewRequest(http.MethodGet, url, nil)); rec.Code != http.StatusForbidden {
		t.Errorf("expired: status %d", rec.Code)
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	before := w.log.position()
	w.refused("unknown action", w.iam(w.root, "FlyToTheMoon"), http.StatusBadRequest, "InvalidAction", `Could not find operation FlyToTheMoon for version 2010-05-08`)
	w.refused("missing action", w.iam(w.root, ""), http.StatusBadRequest, "MissingAction", "The request must contain the parameter Action")
	r, body := form(stsVersion, "FlyToTheMoon")
	w.refused("unknown action of STS", w.serve(w.sign(r, w.root, "sts", body)), http.StatusBadRequest, "InvalidAction", "")
	w.refused("missing parameter", w.iam(w.root, "CreateUser"), http.StatusBadRequest, "ValidationError", "")
	w.refused("bad name", w.iam(w.root, "CreateUser", "UserName", "a b"), http.StatusBadRequest, "ValidationError", "")
	w.refused("bad policy", w.iam(w.root, "CreatePolicy", "PolicyName", "p", "PolicyDocument", "{}"), http.StatusBadRequest, "MalformedPolicyDocument", "")
	w.refused("no entity", w.iam(w.root, "GetUser", "UserName", "nobody"), http.StatusNotFound, "NoSuchEntity", "The user with name nobody cannot be found.")

	r, _ = form(iamVersion, "GetUser")
	bad := []byte("Action=GetUser&Version=2010-05-08&UserName=%zz")
	r.Body, r.ContentLength = http.NoBody, 0
	r = httptest.NewRequest(http.MethodPost, "http://writ.test/", strings.NewReader(string(bad)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.refused("malformed form", w.serve(w.sign(r, w.root, "iam", bad)), http.StatusNotFound, "MalformedQueryString", "")

	for name, length := range map[string]int64{"declared": admission.MaxBody + 1, "undeclared": -1} {
		r := httptest.NewRequest(http.MethodPost, "http://writ.test/", strings.NewReader(strings.Repeat("x", admission.MaxBody+1)))
		r.ContentLength = length
		w.refused(name+" length", w.serve(r), http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Request size exceeded the limit of 1048576 bytes")
	}
	r = httptest.NewRequest(http.MethodPost, "http://writ.test/", strings.NewReader("Action=x"))
	r.ContentLength = 100
	w.refused("cut short", w.serve(r), http.StatusBadRequest, "IncompleteBody", "")
	if w.log.position() != before {
		t.Error("something was written")
	}
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/iam", "/iam/", "/sts", "/sts/"} {
		r, body := form(stsVersion, "GetCallerIdentity")
		r.URL.Path = path
		w.accepted(path, w.serve(w.sign(r, w.root, "sts", body)))
	}
	rec := w.serve(httptest.NewRequest(http.MethodGet, "/nowhere", nil))
	if m := w.json(rec); rec.Code != http.StatusNotFound || m["code"] != "NotFound" {
		t.Errorf("/nowhere: %d, %v", rec.Code, m)
	}
}

// What clients send that know no more of HTTP than they need.
func TestUnusualRequests(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"//", "/./", "/iam/..", "//iam//", "/sts/./"} {
		r, body := form(stsVersion, "GetCallerIdentity")
		r.URL.Path = path
		w.accepted(path, w.serve(w.sign(r, w.root, "sts", body)))
	}
	if rec := w.serve(httptest.NewRequest(http.MethodGet, "//nowhere/..//x", nil)); rec.Code != http.StatusNotFound {
		t.Errorf("a path that is none: %d", rec.Code)
	}
	tunnel := httptest.NewRequest(http.MethodConnect, "http://writ.example.com:80", nil)
	tunnel.URL.Path = "" // as the server has it: where to, and no path
	if rec := w.serve(tunnel); rec.Code != http.StatusNotFound || w.json(rec)["code"] != "NotFound" {
		t.Errorf("a tunnel: %d %s", rec.Code, rec.Body)
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead} {
		r, body := form(stsVersion, "GetCallerIdentity")
		r.Method = method
		if rec := w.serve(w.sign(r, w.root, "sts", body)); rec.Code != http.StatusNotFound || !strings.Contains(rec.Body.String(), "<Code>UnknownOperationException</Code>") {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
	}
	r, _ := form(stsVersion, "AssumeRoleWithSAML")
	w.refused("an action that nobody signs", w.serve(r), http.StatusBadRequest, "InvalidAction", "The action AssumeRoleWithSAML is not available here.")
}

// aws-iam-authenticator, and whoever asks by a presigned URL, reads JSON.
func TestJSON(t *testing.T) {
	w := newWorld(t)
	r, body := form(stsVersion, "GetCallerIdentity")
	r.Header.Set("Accept", "application/json")
	rec := w.accepted("the caller", w.serve(w.sign(r, w.root, "sts", body)))
	var answer struct {
		GetCallerIdentityResponse struct {
			GetCallerIdentityResult struct{ Account, Arn, UserID string }
			ResponseMetadata        struct{ RequestID string }
		}
	}
	err := json.Unmarshal(rec.Body.Bytes(), &answer)
	got := answer.GetCallerIdentityResponse
	if err != nil || rec.Header().Get("Content-Type") != "application/json" || got.GetCallerIdentityResult.Arn != "arn:aws:iam::123456789012:root" ||
		got.GetCallerIdentityResult.Account != string(account) || got.ResponseMetadata.RequestID != rec.Header().Get("X-Amzn-Requestid") {
		t.Errorf("got %v, %s", err, rec.Body)
	}
	r, _ = form(stsVersion, "GetCallerIdentity")
	r.Header.Set("Accept", "application/json")
	rec = w.serve(r)
	var refusal struct {
		Error     struct{ Code, Message, Type string }
		RequestID string
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &refusal); err != nil || rec.Code != http.StatusForbidden || refusal.Error.Code != "MissingAuthenticationToken" ||
		refusal.Error.Type != "Sender" || refusal.RequestID != rec.Header().Get("X-Amzn-Requestid") {
		t.Errorf("got %v, %d, %s", err, rec.Code, rec.Body)
	}
}

func TestAccessDenied(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	carol := w.user("carol", "")
	bob := w.user("bob", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:*","Resource":"*"}}`)
	const arn = "arn:aws:iam::123456789012:user/new"
	w.refused("nothing allows", w.iam(alice, "CreateUser", "UserName", "new"), http.StatusForbidden, "AccessDenied",
		"User: "+userARN("alice")+" is not authorized to perform: iam:CreateUser on resource: "+arn+" because no identity-based policy allows the iam:CreateUser action")
	w.refused("a denial", w.iam(bob, "CreateUser", "UserName", "new"), http.StatusForbidden, "AccessDenied",
		"User: "+userARN("bob")+" is not authorized to perform: iam:CreateUser on resource: "+arn+" with an explicit deny in an identity-based policy")
	// A refusal calls what is there what the caller called it, as AWS does: nobody finds
	// out by asking what exists, nor where.
	w.must(&identity.CreateUser{Account: account, ID: "AIDACEO", Name: "Ceo", Path: "/board/"},
		&identity.CreateGroup{Account: account, ID: "AGPABOARD", Name: "Board", Path: "/board/"})
	for _, c := range []struct{ action, member, name, called string }{
		{"GetUser", "UserName", "ceo", "user ceo"},
		{"GetUser", "UserName", "nobody", "user nobody"},
		{"CreateAccessKey", "UserName", "CEO", "user CEO"},
		{"GetGroup", "GroupName", "board", "group board"},
		{"GetRole", "RoleName", "none", "role none"},
		{"GetInstanceProfile", "InstanceProfileName", "web", "instance profile web"},
		{"DeleteServerCertificate", "ServerCertificateName", "www", "server certificate www"},
		{"GetSAMLProvider", "SAMLProviderArn", "arn:aws:iam::123456789012:saml-provider/idp", "arn:aws:iam::123456789012:saml-provider/idp"},
		{"DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", "arn:aws:iam::123456789012:oidc-provider/a.b", "arn:aws:iam::123456789012:oidc-provider/a.b"},
		{"GetPolicy", "PolicyArn", "arn:aws:iam::123456789012:policy/p", "policy arn:aws:iam::123456789012:policy/p"},
		{"GetAccessKeyLastUsed", "AccessKeyId", carol.id, "access key " + carol.id},
		{"GetAccessKeyLastUsed", "AccessKeyId", "AKIANOBODYNOBODYNOBO", "access key AKIANOBODYNOBODYNOBO"},
	} {
		w.refused(c.action+" of "+c.name, w.iam(alice, c.action, c.member, c.name), http.StatusForbidden, "AccessDenied",
			"User: "+userARN("alice")+" is not authorized to perform: iam:"+c.action+" on resource: "+c.called+" because no identity-based policy allows the iam:"+c.action+" action")
	}
	for _, source := range []string{"user/board/Ceo", "user/board/none", "user/Ceo", "user/none"} {
		w.refused("a simulation of "+source, w.iam(alice, "SimulatePrincipalPolicy", "PolicySourceArn", "arn:aws:iam::123456789012:"+source, "ActionNames.member.1", "s3:GetObject"),
			http.StatusForbidden, "AccessDenied", "User: "+userARN("alice")+" is not authorized to perform: iam:SimulatePrincipalPolicy on resource: arn:aws:iam::123456789012:"+source+
				" because no identity-based policy allows the iam:SimulatePrincipalPolicy action")
	}
	if got := w.log.authors(alice); len(got) != 0 {
		t.Errorf("alice wrote at %v", got)
	}
}

// Who may rename what it cannot see is not told where it is, nor how it is spelled.
func TestDeniedRenames(t *testing.T) {
	w := newWorld(t)
	dan := w.user("dan", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"arn:aws:iam::123456789012:user/*/Ceo"}}`)
	w.must(&identity.CreateUser{Account: account, ID: "AIDACEO", Name: "Ceo", Path: "/board/"})
	for _, c := range []struct {
		pairs  []string
		called string
	}{
		{[]string{"NewUserName", "cfo"}, "user cfo"},
		{[]string{"NewPath", "/"}, "arn:aws:iam::123456789012:user/ceo"},
		{[]string{"NewPath", "/x/", "NewUserName", "cfo"}, "arn:aws:iam::123456789012:user/x/cfo"},
	} {
		w.refused(c.called, w.iam(dan, "UpdateUser", append(c.pairs, "UserName", "ceo")...), http.StatusForbidden, "AccessDenied",
			"User: "+userARN("dan")+" is not authorized to perform: iam:UpdateUser on resource: "+c.called+" because no identity-based policy allows the iam:UpdateUser action")
	}
}

// A simulation shows nothing to whoever may not see it otherwise: no tags of the
// principal that is simulated to call, no trust policy of a role.
func TestSimulationsShowNothingElse(t *testing.T) {
	w := newWorld(t)
	simulator := w.user("simulator", allow("iam:Simulate*"))
	reader := w.user("reader", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:Simulate*","iam:GetUser","iam:GetRole"],"Resource":"*"}}`)
	w.must(&identity.CreateUser{Account: account, ID: "AIDAVIP", Name: "vip", Path: "/", Tags: []identity.Tag{{Key: "project", Value: "secret"}}},
		&identity.CreateRole{Account: account, ID: "AROAOPEN", Name: "open", Path: "/", MaxSession: 3600,
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + userARN("vip") + `"},"Action":"sts:AssumeRole"}}`})
	const tagged = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalTag/project":"s*"}}}}`
	const role = "arn:aws:iam::123456789012:role/open"
	for _, c := range []struct {
		name  string
		as    credential
		pairs []string
		sees  bool
	}{
		{"tags, unseen", simulator, []string{"PolicyInputList.member.1", tagged, "ActionNames.member.1", "s3:GetObject"}, false},
		{"tags", reader, []string{"PolicyInputList.member.1", tagged, "ActionNames.member.1", "s3:GetObject"}, true},
		{"trust, unseen", simulator, []string{"PolicyInputList.member.1", allow("sts:AssumeRole"), "ActionNames.member.1", "sts:AssumeRole", "ResourceArns.member.1", role}, false},
		{"trust", reader, []string{"PolicyInputList.member.1", allow("sts:AssumeRole"), "ActionNames.member.1", "sts:AssumeRole", "ResourceArns.member.1", role}, true},
	} {
		rec := w.accepted(c.name, w.iam(c.as, "SimulateCustomPolicy", append(c.pairs, "CallerArn", userARN("vip"))...))
		if got := strings.Contains(rec.Body.String(), "<EvalDecision>allowed<"); got != c.sees {
			t.Errorf("%s: allowed %v: %s", c.name, got, rec.Body)
		}
	}
}

// Who may not ask about a role may not ask about its sessions.
func TestSessionsAreAskedAboutAsTheirRole(t *testing.T) {
	w := newWorld(t)
	asker := w.user("asker", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"},
		{"Effect":"Deny","Action":"writ:Authorize","Resource":"arn:aws:iam::*:role/prod/*"}]}`)
	for _, r := range []struct{ id, name, path string }{{"AROAPROD", "deployer", "/prod/"}, {"AROATEST", "tester", "/test/"}} {
		w.must(&identity.CreateRole{Account: account, ID: identity.ID(r.id), Name: r.name, Path: r.path, MaxSession: 3600, Trust: trust})
	}
	ask := func(role string) *httptest.ResponseRecorder {
		return w.native(asker, "POST", "/v1/authorize", `{"principal":"arn:aws:sts::123456789012:assumed-role/`+role+`/session","action":"s3:GetObject","resource":"*"}`)
	}
	if detail := w.problem("a denied role's", ask("deployer"), http.StatusForbidden, "AccessDenied"); strings.Contains(detail, "prod") {
		t.Errorf("it shows the path: %s", detail)
	}
	w.accepted("another role's", ask("tester"))
	w.problem("an effect for it", w.native(asker, "POST", "/v1/propagation/effect",
		`{"principal":"arn:aws:sts::123456789012:assumed-role/deployer/session","action":"s3:GetObject","expect":"allow"}`), http.StatusForbidden, "AccessDenied")
}

// trust is a trust policy that trusts a service.
const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`

// Conditions see where a caller comes from, in the form that policies have it in.
func TestRequestContext(t *testing.T) {
	for _, c := range []struct {
		remote, condition string
		tls               bool
		status            int
	}{
		{"203.0.113.7:4711", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, false, http.StatusOK},
		{"[::ffff:203.0.113.7]:4711", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, false, http.StatusOK},
		{"198.51.100.7:4711", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, false, http.StatusForbidden},
		{"[fe80::1%eth0]:4711", `{"IpAddress":{"aws:SourceIp":"fe80::/64"}}`, false, http.StatusOK},
		{"203.0.113.7:4711", `{"Bool":{"aws:SecureTransport":"true"}}`, false, http.StatusForbidden},
	} {
		w := newWorld(t)
		alice := w.user("alice", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+c.condition+`}}`)
		r, body := form(iamVersion, "GetUser")
		w.sign(r, alice, "iam", body).RemoteAddr = c.remote
		if rec := w.serve(r); rec.Code != c.status {
			t.Errorf("from %s with %s: %d: %s", c.remote, c.condition, rec.Code, rec.Body)
		}
	}
}

// A gate on a tag is not passed by spelling its key in two ways, in neither order.
func TestTagsInSeveralSpellings(t *testing.T) {
	w := newWorld(t)
	only := func(effect, rest string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:TagPolicy","iam:Get*"],"Resource":"*"},
			{"Effect":"` + effect + `","Action":"iam:CreatePolicy","Resource":"*","Condition":{` + rest + `}}` +
			map[string]string{"Deny": `,{"Effect":"Allow","Action":"iam:CreatePolicy","Resource":"*"}`}[effect] + `]}`
	}
	callers := map[string]credential{
		"allowed":   w.user("allowed", only("Allow", `"StringEquals":{"aws:RequestTag/risk":"low"}`)),
		"unless":    w.user("unless", only("Allow", `"StringNotEquals":{"aws:RequestTag/risk":"high"}`)),
		"denied":    w.user("denied", only("Deny", `"StringEquals":{"aws:RequestTag/risk":"high"}`)),
		"otherwise": w.user("otherwise", only("Deny", `"StringNotEquals":{"aws:RequestTag/risk":"low"}`)),
	}
	made := 0
	for name, caller := range callers {
		for _, c := range []struct {
			tags   [2]string
			values [2]string
			status int
		}{
			{[2]string{"risk", "Risk"}, [2]string{"low", "high"}, http.StatusForbidden},
			{[2]string{"risk", "Risk"}, [2]string{"high", "low"}, http.StatusForbidden},
			{[2]string{"RISK", "ri\u017Fk"}, [2]string{"low", "high"}, http.StatusForbidden},
			{[2]string{"ris\u212A", "risk"}, [2]string{"low", "high"}, http.StatusForbidden},
			{[2]string{"risk", "Risk"}, [2]string{"low", "low"}, http.StatusOK},
			{[2]string{"risk", "other"}, [2]string{"low", "high"}, http.StatusOK},
		} {
			made++
			rec := w.iam(caller, "CreatePolicy", "PolicyName", fmt.Sprint("p", made), "PolicyDocument", allow("s3:*"),
				"Tags.member.1.Key", c.tags[0], "Tags.member.1.Value", c.values[0], "Tags.member.2.Key", c.tags[1], "Tags.member.2.Value", c.values[1])
			if rec.Code != c.status {
				t.Errorf("%s with %+v: %d: %s", name, c, rec.Code, rec.Body)
			}
		}
	}
	// The tags of what is there.
	w.accepted("a policy", w.iam(w.root, "CreatePolicy", "PolicyName", "both", "PolicyDocument", allow("s3:*"),
		"Tags.member.1.Key", "env", "Tags.member.1.Value", "dev", "Tags.member.2.Key", "Env", "Tags.member.2.Value", "prod"))
	arn := identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", "both")
	for name, values := range map[string]string{"dev": `"dev"`, "prod": `"prod"`, "any": `["dev","prod"]`} {
		caller := w.user(name, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
			"Condition":{"StringEquals":{"aws:ResourceTag/ENV":`+values+`}}}}`)
		if rec := w.iam(caller, "GetPolicy", "PolicyArn", arn); (rec.Code == http.StatusOK) != (name == "any") {
			t.Errorf("read by %s: %d: %s", values, rec.Code, rec.Body)
		}
	}
	w.refused("a user", w.iam(w.root, "TagUser", "UserName", "allowed", "Tags.member.1.Key", "env", "Tags.member.1.Value", "dev",
		"Tags.member.2.Key", "Env", "Tags.member.2.Value", "prod"), 400, "InvalidInput",
		"Duplicate tag keys found. Please note that Tag keys are case insensitive.")
}

// A key that is deleted between authorization and decision authors nothing.
func TestContainment(t *testing.T) {
	owner := identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}
	for name, c := range map[string]struct {
		between func(*world, credential) identity.Command
		code    string
	}{
		"deleted": {func(_ *world, alice credential) identity.Command {
			return &identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id}
		}, "InvalidClientTokenId"},
		"deactivated": {func(_ *world, alice credential) identity.Command {
			return &identity.UpdateAccessKey{Account: account, User: "alice", ID: alice.id, Active: false}
		}, "InvalidClientTokenId"},
		"permission withdrawn": {func(*world, credential) identity.Command {
			return &identity.DeleteInlinePolicy{Owner: owner, Name: "own"}
		}, "AccessDenied"},
		"permission kept": {func(*world, credential) identity.Command {
			return &identity.PutInlinePolicy{Owner: owner, Name: "another", Document: allow("s3:*")}
		}, ""},
	} {
		w := newWorld(t)
		alice := w.user("alice", allow("iam:*"))
		once := sync.OnceFunc(func() { w.must(c.between(w, alice)) })
		w.log.before = func(event.Command) { once() }
		rec := w.iam(alice, "CreateUser", "UserName", "new")
		if c.code == "" {
			w.accepted(name, rec)
			continue
		}
		w.refused(name, rec, http.StatusForbidden, c.code, "")
		if got := w.log.authors(alice); len(got) > 0 {
			t.Errorf("%s: alice wrote at %v", name, got)
		}
	}
}

// A write is decided about what it was authorized against. Where that changes in
// between, it is authorized anew, and refused if it may not be any more.
func TestTargetsThatChange(t *testing.T) {
	const outsider = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Effect":"Deny","Action":"*","Resource":"arn:aws:iam::*:*/admin/*"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/guard":"yes"}}},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::123456789012:policy/fence"}}}]}`
	guard := []identity.Tag{{Key: "guard", Value: "yes"}}
	policy := func(id identity.ID, name string) identity.Command {
		return &identity.CreatePolicy{Account: account, ID: id, Name: name, Path: "/", Document: allow("*")}
	}
	user := func(id identity.ID, path string, tags []identity.Tag) identity.Command {
		return &identity.CreateUser{Account: account, ID: id, Name: "bob", Path: path, Tags: tags}
	}
	bob := user("AIDABOB", "/", nil)
	const arn = "arn:aws:iam::123456789012:policy/p"
	for name, c := range map[string]struct {
		before  []identity.Command
		call    []string
		between []identity.Command
		code    string // none: it is authorized anew, and may
		event   identity.Event
	}{
		"made under another path": {nil, []string{"CreateAccessKey", "UserName", "bob"}, []identity.Command{user("AIDABOB", "/admin/", nil)}, "AccessDenied", nil},
		"made with a tag":         {nil, []string{"DeleteUser", "UserName", "BOB"}, []identity.Command{user("AIDABOB", "/", guard)}, "AccessDenied", nil},
		"made, and may be": {nil, []string{"DeleteUser", "UserName", "bob"}, []identity.Command{user("AIDABOB", "/staff/", nil)}, "",
			&identity.UserDeleted{ID: "AIDABOB"}},
		"moved": {[]identity.Command{bob}, []string{"DeleteUser", "UserName", "bob"},
			[]identity.Command{&identity.UpdateUser{Account: account, Name: "bob", NewPath: "/admin/"}}, "AccessDenied", nil},
		"tagged": {[]identity.Command{bob}, []string{"UpdateUser", "UserName", "bob", "NewPath", "/mine/"},
			[]identity.Command{&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "bob", Tags: guard}}, "AccessDenied", nil},
		"bounded": {[]identity.Command{bob, policy("ANPAFENCE", "fence")}, []string{"PutUserPolicy", "UserName", "bob", "PolicyName", "p", "PolicyDocument", allow("*")},
			[]identity.Command{&identity.SetBoundary{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "bob"}, Policy: "arn:aws:iam::123456789012:policy/fence"}}, "AccessDenied", nil},
		"made again elsewhere": {[]identity.Command{bob}, []string{"DeleteUser", "UserName", "bob"},
			[]identity.Command{&identity.DeleteUser{Account: account, Name: "bob"}, user("AIDABOB2", "/admin/", nil)}, "AccessDenied", nil},
		"made again": {[]identity.Command{bob}, []string{"DeleteUser", "UserName", "bob"},
			[]identity.Command{&identity.DeleteUser{Account: account, Name: "bob"}, user("AIDABOB2", "/", nil)}, "", &identity.UserDeleted{ID: "AIDABOB2"}},
		"gone": {[]identity.Command{bob}, []string{"DeleteUser", "UserName", "bob"},
			[]identity.Command{&identity.DeleteUser{Account: account, Name: "bob"}}, "NoSuchEntity", nil},
		"policy made again": {[]identity.Command{bob, policy("ANPAP", "p")}, []string{"AttachUserPolicy", "UserName", "bob", "PolicyArn", arn},
			[]identity.Command{&identity.DeletePolicy{ARN: arn}, policy("ANPAP2", "p")}, "", &identity.PolicyAttached{Kind: identity.KindUser, ID: "AIDABOB", Policy: "ANPAP2"}},
		"principal made again": {[]identity.Command{bob, &identity.CreateRole{Account: account, ID: "AROAR", Name: "r", Path: "/", Trust: allow("*")}},
			[]string{"UpdateAssumeRolePolicy", "RoleName", "r", "PolicyDocument", trustOf("arn:aws:iam::123456789012:user/bob")},
			[]identity.Command{&identity.DeleteUser{Account: account, Name: "bob"}, user("AIDABOB2", "/", nil)}, "",
			&identity.TrustUpdated{ID: "AROAR", Trust: trustOf("AIDABOB2")}},
	} {
		w := newWorld(t)
		alice := w.user("alice", outsider)
		for _, command := range c.before {
			w.must(command)
		}
		proposals := 0
		w.log.before = func(event.Command) {
			if proposals++; proposals == 1 {
				for _, command := range c.between {
					w.must(command)
				}
			}
		}
		rec := w.iam(alice, c.call[0], c.call[1:]...)
		if c.code != "" {
			status := map[string]int{"AccessDenied": http.StatusForbidden, "NoSuchEntity": http.StatusNotFound}
			w.refused(name, rec, status[c.code], c.code, "")
			if got := w.log.authors(alice); len(got) > 0 {
				t.Errorf("%s: alice wrote at %v", name, got)
			}
			continue
		}
		w.accepted(name, rec)
		if last := w.log.batches[len(w.log.batches)-1]; proposals != 2 || !reflect.DeepEqual(last.Events, []identity.Event{c.event}) {
			t.Errorf("%s: after %d proposals the event is %+v", name, proposals, last.Events[0])
		}
	}
}

func trustOf(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
}

// Where what a write is about changes again and again by others than this node, the
// edge gives up after as many authorizations as it may make.
func TestATargetThatKeepsChanging(t *testing.T) {
	w := newWorld(t)
	proposals := 0
	w.must(&identity.CreateUser{Account: account, ID: "AIDABOB", Name: "bob", Path: "/"})
	w.log.before = func(event.Command) {
		proposals++
		w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "bob", Tags: []identity.Tag{{Key: "n", Value: strconv.Itoa(proposals)}}})
	}
	w.refused("it", w.iam(w.root, "DeleteUser", "UserName", "bob"), http.StatusServiceUnavailable, "ServiceUnavailable", "")
	if proposals != 5 {
		t.Errorf("it was authorized %d times", proposals)
	}
}

// Where permissions change again and again, the edge gives up.
func TestPermissionsThatKeepChanging(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", allow("iam:*"))
	w.log.before = func(event.Command) {
		w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Name: "another", Document: allow("s3:*")})
	}
	rec := w.iam(alice, "CreateUser", "UserName", "new")
	w.refused("it", rec, http.StatusServiceUnavailable, "ServiceUnavailable", "The caller's permissions, or what the request is about, keep changing. Try again.")
	if rec.Header().Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
}

// Many write with a key while it is deleted: nothing is authored after that, and
// each answer tells the truth.
func TestContainmentRaced(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", allow("iam:*"))
	var mu sync.Mutex
	accepted := 0
	var wg sync.WaitGroup
	started := make(chan struct{}, 8*1000) // room for all
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				rec := w.iam(alice, "CreateUser", "UserName", string(rune('a'+g))+strings.Repeat("x", i%60)+string(rune('a'+i/60)))
				if rec.Code != http.StatusOK {
					if e := w.error(rec); e.Code != "InvalidClientTokenId" {
						t.Errorf("%s: %s", e.Code, e.Message)
					}
					return
				}
				mu.Lock()
				accepted++
				mu.Unlock()
				started <- struct{}{}
			}
		})
	}
	for range 30 {
		<-started
	}
	rec := w.accepted("delete", w.iam(w.root, "DeleteAccessKey", "UserName", "alice", "AccessKeyId", alice.id))
	wg.Wait()
	authored := w.log.authors(alice)
	deleted, err := event.ParseToken(rec.Header().Get("X-Writ-Token"))
	if err != nil {
		t.Fatal(err)
	}
	if last := authored[len(authored)-1]; last > deleted.Position {
		t.Errorf("authored at %d after the deletion at %d", last, deleted.Position)
	}
	if len(authored) != accepted {
		t.Errorf("%d batches, %d accepted", len(authored), accepted)
	}
}

func TestRetriesTakeEffectOnce(t *testing.T) {
	w := newWorld(t)
	w.must(&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/"})
	call := func(invocation string, pairs ...string) *httptest.ResponseRecorder {
		return w.accepted("create a key", w.iam(w.root, "CreateAccessKey", append(pairs, "@Amz-Sdk-Invocation-Id", invocation)...))
	}
	first := call("i-1", "UserName", "alice")
	at := w.log.position()
	w.node.now = func() time.Time { return noon.Add(time.Minute) } // a retry is signed anew
	again := call("i-1", "UserName", "alice")
	for _, element := range []string{"AccessKeyId", "SecretAccessKey", "CreateDate"} {
		if a, b := between(first.Body.String(), element), between(again.Body.String(), element); a != b || a == "" {
			t.Errorf("%s is %q, then %q", element, a, b)
		}
	}
	for _, header := range []string{"X-Writ-Position", "X-Writ-Token", "X-Amzn-Requestid"} {
		if a, b := first.Header().Get(header), again.Header().Get(header); a != b || a == "" {
			t.Errorf("%s is %q, then %q", header, a, b)
		}
	}
	if w.log.position() != at {
		t.Error("the retry made a batch")
	}
	call("i-1") // another body: the root's own key
	call("i-2", "UserName", "alice")
	if got := w.log.position(); got != at+2 {
		t.Errorf("two other commands led from %d to %d", at, got)
	}
	w.accepted("without an id", w.iam(w.root, "CreateUser", "UserName", "x"))
	w.refused("without an id, again", w.iam(w.root, "CreateUser", "UserName", "x"), http.StatusConflict, "EntityAlreadyExists", "User with name x already exists.")
}

// What goes wrong in the log is told as AWS would, without what only we may know.
func TestProposalsThatFail(t *testing.T) {
	for _, c := range []struct {
		err        error
		status     int
		code, text string
	}{
		{dispatch.ErrOverloaded, 503, "ServiceUnavailable", "The node takes no writes now. Try again."},
		{dispatch.ErrTooLarge, 409, "LimitExceeded", "The request makes a change that is larger than the log takes."},
		{dispatch.ErrOutcomeUnknown, 503, "OutcomeUnknown", ""},
		{dispatch.ErrNotLeader, 503, "ServiceUnavailable", "No node that leads was reached. Try again."},
		{context.DeadlineExceeded, 503, "ServiceUnavailable", "The request was not served in time. Try again."},
		{errors.New("inner" + strings.Repeat("x", 100_000)), 500, "InternalFailure", "The request failed inside Writ; its log says why under this request's id."},
	} {
		w := newWorld(t, func(cfg *config) {
			cfg.Node.Propose = func(context.Context, event.Command) (*event.Batch, error) { return nil, c.err }
			cfg.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error {
				return errors.New("10.0.0.1 is down")
			}
		})
		rec := w.iam(w.root, "CreateUser", "UserName", "new")
		w.refused(fmt.Sprintf("%.100v", c.err), rec, c.status, c.code, c.text)
		if strings.Contains(rec.Body.String(), "10.0.0.1") {
			t.Errorf("%v: an inner address in %s", c.err, rec.Body)
		}
		if (rec.Header().Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After is %q", c.err, rec.Header().Get("Retry-After"))
		}
		if c.status == 500 && !strings.Contains(w.logs.String(), "inner") {
			t.Error("the log does not say why")
		}
		if n := w.logs.Len(); n > 4096 {
			t.Errorf("%d bytes are logged", n)
		}
	}
}

// No secret and no access key id is ever logged, whatever is called.
func TestLogsHoldNoKeys(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	created := w.accepted("create", w.iam(w.root, "CreateAccessKey", "UserName", "alice")).Body.String()
	made := credential{between(created, "AccessKeyId"), between(created, "SecretAccessKey")}
	w.iam(w.root, "UpdateAccessKey", "UserName", "alice", "AccessKeyId", made.id, "Status", "Inactive")
	w.iam(made, "CreateUser", "UserName", "x")
	w.iam(credential{alice.id, "wrong"}, "CreateUser", "UserName", "x")
	w.ask(w.root, userARN("alice"), "s3:Get")
	w.native(alice, "GET", "/v1/cluster", "")
	// a node with another seal key cannot open any secret
	stranger := newWorld(t)
	n := stranger.addNode(true)
	w.log.show(n.projection)
	if rec := n.whoami(w.root); rec.Code != http.StatusInternalServerError {
		t.Errorf("another seal key: status %d", rec.Code)
	}
	logs := w.logs.String() + stranger.logs.String()
	if !strings.Contains(logs, `"level":"ERROR"`) || !strings.Contains(logs, `"position":"`) {
		t.Errorf("too little is logged:\n%s", logs)
	}
	for _, c := range []credential{w.root, alice, made} {
		if strings.Contains(logs, c.id) || strings.Contains(logs, c.secret) {
			t.Errorf("a key is in the log:\n%s", logs)
		}
	}
}
