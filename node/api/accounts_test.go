package api_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
)

// stranger makes another account, with a root key.
func (w *world) stranger() credential {
	w.t.Helper()
	c := credential{"AKIAOTHEROTHER000000", "the secret of another root"}
	w.must(&identity.CreateAccount{ID: other, RootKey: w.sealed(other, c)})
	return c
}

// accounts are those that a caller is told of, by number.
func (w *world) accounts(c credential) map[string]map[string]any {
	w.t.Helper()
	found := map[string]map[string]any{}
	for _, a := range w.json(w.accepted("list", w.native(c, "GET", "/v1/accounts", "")))["accounts"].([]any) {
		found[a.(map[string]any)["account"].(string)] = a.(map[string]any)
	}
	return found
}

func TestAccounts(t *testing.T) {
	w := newWorld(t)
	const create = `{"email":"Ops@example.com","name":"Operations","alias":"ops","root_key":true}`
	rec := w.accepted("create", w.native(w.root, "POST", "/v1/accounts", create, "Amz-Sdk-Invocation-Id", "i-1"))
	made := w.json(rec)
	number, _ := made["account"].(string)
	if token, err := event.ParseToken(rec.Header().Get("X-Writ-Token")); err != nil || token.Position != w.log.position() || made["token"] != token.String() || !regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(number) {
		t.Errorf("made %v, token %v, %v", made, token, err)
	}
	if cause := w.log.batches[len(w.log.batches)-1].Cause; cause.By.Credential != w.root.id || cause.Action != "writ:CreateAccount" {
		t.Errorf("the cause is %+v", cause)
	}
	key := made["root_key"].(map[string]any)
	member := credential{key["access_key_id"].(string), key["secret_access_key"].(string)}
	if again := w.json(w.native(w.root, "POST", "/v1/accounts", create, "Amz-Sdk-Invocation-Id", "i-1")); again["account"] != number || again["root_key"].(map[string]any)["secret_access_key"] != member.secret {
		t.Errorf("a retry makes %v", again)
	}
	if answer := w.whoami(member).Body.String(); between(answer, "Arn") != "arn:aws:iam::"+number+":root" {
		t.Errorf("its root is %s", answer)
	}
	all := w.accounts(w.root)
	if a := all[number]; len(all) != 2 || a["email"] != "Ops@example.com" || a["name"] != "Operations" || a["alias"] != "ops" || a["state"] != "open" || a["root_keys"] != 1.0 || a["manages"] != false || all[string(account)]["manages"] != true {
		t.Errorf("the accounts are %v", all)
	}
	if own := w.accounts(member); len(own) != 1 || own[number] == nil {
		t.Errorf("a member sees %v", own)
	}
	w.problem("the address again", w.native(w.root, "POST", "/v1/accounts", `{"email":"ops@EXAMPLE.com"}`), 409, "EntityAlreadyExists")
	w.problem("the alias again", w.native(w.root, "POST", "/v1/accounts", `{"email":"b@example.com","alias":"ops"}`), 409, "EntityAlreadyExists")
	w.problem("the number again", w.native(w.root, "POST", "/v1/accounts", `{"email":"b@example.com","account":"`+number+`"}`), 409, "EntityAlreadyExists")
	w.accepted("without a key", w.native(w.root, "POST", "/v1/accounts", `{"email":"b@example.com","account":"111111111111"}`))
	if b := w.accounts(w.root)["111111111111"]; b["root_keys"] != 0.0 || b["root_password"] != false {
		t.Errorf("it has %v", b)
	}
	if strings.Contains(w.logs.String(), member.secret) {
		t.Error("the secret is in the node's log")
	}
}

func TestAccountChanges(t *testing.T) {
	w := newWorld(t)
	member := w.stranger()
	at := "/v1/accounts/" + string(other)
	w.accepted("alias", w.native(w.root, "POST", at+"/alias", `{"alias":"ops"}`))
	w.accepted("by itself", w.native(member, "POST", at+"/alias", `{"alias":"opera"}`))
	w.accepted("email", w.native(w.root, "POST", at+"/root/email", `{"email":"a@example.com"}`))
	w.accepted("by itself", w.native(member, "POST", at+"/root/email", `{"email":"b@example.com"}`))
	w.accepted("password", w.native(w.root, "POST", at+"/root/password", `{"password":"Passw0rd-1"}`))
	before := w.accepted("by itself", w.native(member, "POST", at+"/root/password", `{"password":"Passw0rd-2"}`, "Amz-Sdk-Invocation-Id", "i-1"))
	after := w.accepted("again", w.native(member, "POST", at+"/root/password", `{"password":"Passw0rd-2"}`, "Amz-Sdk-Invocation-Id", "i-1"))
	if a, b := before.Header().Get("X-Writ-Token"), after.Header().Get("X-Writ-Token"); a != b {
		t.Errorf("tokens %s and %s", a, b)
	}
	a, _ := w.projection.View().State.Account(other)
	if a.Alias != "opera" || a.Email != "b@example.com" {
		t.Errorf("the account is %+v", a)
	}
	hash, err := w.key.Open(seal.PasswordHash, seal.PasswordContext(string(other), string(other)), a.Password.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	var checker password.Checker
	var job admission.Job
	password.NewHasher(password.Cost{}).Begin(&checker, t.Context(), &job, "test", noon)
	if right, err := checker.Matches(string(hash), "Passw0rd-2"); !right || err != nil {
		t.Errorf("the password is another: %v", err)
	}
	if text := w.accepted("summary", w.iam(member, "GetAccountSummary")).Body.String(); !regexp.MustCompile(`(?s)AccountPasswordPresent</key>\s*<value>1<`).MatchString(text) {
		t.Errorf("the summary is %s", text)
	}
	w.accepted("no alias", w.native(w.root, "POST", at+"/alias", `{"alias":""}`))
	if a := w.accounts(w.root)[string(other)]; a["alias"] != nil || a["root_password"] != true {
		t.Errorf("the account is %v", a)
	}
	for _, secret := range []string{"Passw0rd-1", "Passw0rd-2"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("%s is in the node's log", secret)
		}
	}
}

func TestAccountRefusals(t *testing.T) {
	w := newWorld(t)
	member := w.stranger()
	for name, body := range map[string]string{
		"no JSON": "x", "nothing": `{}`, "no address": `{"email":"ops"}`, "another member": `{"email":"a@example.com","x":1}`, "no alias": `{"email":"a@example.com","alias":"-a-"}`,
		"a number for an alias": `{"email":"a@example.com","alias":"123456789012"}`, "no number": `{"email":"a@example.com","account":"12"}`, "a long name": `{"email":"a@example.com","name":"` + strings.Repeat("x", 51) + `"}`,
	} {
		w.problem(name, w.native(w.root, "POST", "/v1/accounts", body), 400, "InvalidRequest")
	}
	mine, its := "/v1/accounts/"+string(account), "/v1/accounts/"+string(other)
	w.problem("no address", w.native(w.root, "POST", its+"/root/email", `{"email":"x"}`), 400, "InvalidRequest")
	w.problem("no alias", w.native(w.root, "POST", its+"/alias", `{"alias":"x"}`), 400, "InvalidRequest")
	w.problem("no number", w.native(w.root, "POST", "/v1/accounts/x/close", ""), 400, "InvalidRequest")
	w.problem("the first", w.native(w.root, "POST", mine+"/close", ""), 400, "InvalidInput")
	w.problem("a weak one", w.native(w.root, "POST", its+"/root/password", `{"password":"password"}`), 400, "PasswordPolicyViolation")
	w.problem("a long one", w.native(w.root, "POST", its+"/root/password", `{"password":"`+strings.Repeat("aB3-", 33)+`"}`), 400, "PasswordPolicyViolation")
	admin := w.user("admin", allow("*"))
	for _, path := range []string{"/root/email", "/root/password"} {
		body := `{"email":"a@example.com"}`
		if path == "/root/password" {
			body = `{"password":"Passw0rd-1"}`
		}
		w.problem("not the root", w.native(admin, "POST", mine+path, body), 403, "AccessDenied")
		w.accepted("of another account", w.native(admin, "POST", its+path, body))
		w.problem("of the account that manages", w.native(member, "POST", mine+path, body), 403, "AccessDenied")
		w.problem("no account", w.native(admin, "POST", "/v1/accounts/999999999999"+path, body), 404, "NoSuchEntity")
	}
	w.problem("by a member", w.native(member, "POST", "/v1/accounts", `{"email":"c@example.com"}`), 403, "AccessDenied")
	w.problem("closes itself", w.native(member, "POST", its+"/close", ""), 403, "AccessDenied")
	// To a member an account that is not there is as one that is.
	for _, path := range []string{"/alias", "/close", "/root/email", "/root/password"} {
		w.problem("another's", w.native(member, "POST", mine+path, `{}`), 403, "AccessDenied")
		w.problem("nobody's", w.native(member, "POST", "/v1/accounts/999999999999"+path, `{}`), 403, "AccessDenied")
	}
	bob := w.user("bob", "")
	for _, path := range []string{"", "/" + string(other) + "/alias", "/" + string(other) + "/close"} {
		w.problem("not allowed", w.native(bob, "POST", "/v1/accounts"+path, "x"), 403, "AccessDenied")
	}
	w.problem("not allowed", w.native(bob, "GET", "/v1/accounts", ""), 403, "AccessDenied")
}

func TestRootPasswordByWayOfAReplica(t *testing.T) {
	w := newWorld(t)
	w.stranger()
	var seen admission.Forwarded
	n, _ := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
	w.log.show(n.projection)
	w.accepted("set", n.native(w.root, "POST", "/v1/accounts/"+string(other)+"/root/password", `{"password":"Passw0rd-1"}`))
	if a, _ := w.projection.View().State.Account(other); len(a.Password.Sealed) == 0 {
		t.Error("it was not set")
	}
}

// trusts lets the role deploy of the first account be assumed by the other one.
func (w *world) trusts(principal string) (role string) {
	w.t.Helper()
	w.must(&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", MaxSession: 3600,
		Trust: `{"Version":"2012-10-17","Statement":{"Sid":"Hidden","Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"xy"}}}}`})
	return "arn:aws:iam::123456789012:role/deploy"
}

// ada is a user of the other account, with a policy if any.
func (w *world) ada(document string) credential {
	w.t.Helper()
	c := credential{"AKIAUSERUSERADA00000", "the secret of ada"}
	w.must(&identity.CreateUser{Account: other, ID: "AIDAADA", Name: "ada", Path: "/"}, &identity.CreateAccessKey{Account: other, User: "ada", Key: w.sealed(other, c)})
	if document != "" {
		w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: other, Name: "ada"}, Name: "own", Document: document})
	}
	return c
}

// assumes tries to assume a role.
func (n *node) assumes(c credential, role string, pairs ...string) *httptest.ResponseRecorder {
	r, body := form(stsVersion, "AssumeRole", append([]string{"RoleArn", role, "RoleSessionName", "one"}, pairs...)...)
	return n.serve(n.sign(r, c, "sts", body))
}

// Both accounts must allow it: the role's by its trust, the caller's by a policy. A question
// is answered alike, and tells nothing of a trust that is another account's.
func TestAssumeRoleAcrossAccounts(t *testing.T) {
	for name, c := range map[string]struct {
		trusts, policy string
		allowed        bool
	}{
		"both":            {"AIDAADA", allow("sts:*"), true},
		"both, by root":   {"arn:aws:iam::210987654321:root", allow("sts:*"), true},
		"the role alone":  {"AIDAADA", "", false},
		"the caller's":    {"arn:aws:iam::123456789012:root", allow("sts:*"), false},
		"an account more": {"arn:aws:iam::999999999999:root", allow("sts:*"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			member := w.stranger()
			ada, role := w.ada(c.policy), w.trusts(c.trusts)
			rec := w.assumes(ada, role, "ExternalId", "xy")
			if c.allowed {
				w.accepted(name, rec)
			} else {
				w.refused(name, rec, 403, "AccessDenied", "")
			}
			w.refused("without the id", w.assumes(ada, role), 403, "AccessDenied", "")
			ask := `{"principal":"arn:aws:iam::210987654321:user/ada","action":"sts:AssumeRole","resource":"` + role + `","context":{"sts:ExternalId":"xy"}`
			answer := w.native(member, "POST", "/v1/authorize", ask+`,"explain":true}`)
			if got := w.json(answer)["decision"]; (got == "allow") != c.allowed {
				t.Errorf("the question is answered %v", got)
			}
			if text := answer.Body.String(); strings.Contains(text, "Hidden") || strings.Contains(text, `"Layer":6,"Level":0,"Policies":1`) {
				t.Errorf("it tells of the trust: %s", text)
			}
			if text := w.native(member, "POST", "/v1/authorize", strings.Replace(ask, `,"context":{"sts:ExternalId":"xy"}`, "}", 1)).Body.String(); strings.Contains(text, "ExternalId") {
				t.Errorf("it tells of a condition: %s", text)
			}
			w.problem("about another account's", w.native(w.root, "POST", "/v1/authorize", ask+`}`), 403, "AccessDenied")
		})
	}
}

// In one account a question about a role shows its trust to those who may see the role.
func TestTrustOfOwnRoles(t *testing.T) {
	w := newWorld(t)
	role := w.trusts("AIDAUSERALICE")
	w.user("alice", "")
	asker := w.user("asker", allow("writ:Authorize"))
	ask := `{"principal":"` + userARN("alice") + `","action":"sts:AssumeRole","resource":"` + role + `","context":{"sts:ExternalId":"xy"},"explain":true}`
	for c, shown := range map[credential]bool{w.root: true, asker: false} {
		rec := w.native(c, "POST", "/v1/authorize", ask)
		if w.json(rec)["decision"] != "allow" || strings.Contains(rec.Body.String(), "Hidden") != shown {
			t.Errorf("%s is told %s", c.id, rec.Body)
		}
	}
}

// From the position of its closing on, nothing of an account is accepted, or is anybody.
func TestClosedAccount(t *testing.T) {
	w := newWorld(t)
	member := w.stranger()
	ada, role := w.ada(allow("*")), w.trusts("AIDAADA")
	made := w.assumedIn(w.assumes(ada, role, "ExternalId", "xy"))
	w.must(&identity.CreateRole{Account: other, ID: "AROATHEIRS", Name: "theirs", Path: "/", Trust: strings.Replace(allow("sts:AssumeRole"), `"Resource":"*"`, `"Principal":{"AWS":"arn:aws:iam::123456789012:root"}`, 1)})
	alice := w.user("alice", allow("*"))
	theirs := w.assumedIn(w.assumes(alice, "arn:aws:iam::210987654321:role/theirs"))
	at := "/v1/accounts/" + string(other)
	w.accepted("close", w.native(w.root, "POST", at+"/close", ""))
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"root's key": w.iam(member, "ListUsers"), "a user's key": w.iam(ada, "ListUsers"), "a session": w.as(theirs, "ListUsers"), "a write": w.iam(ada, "CreateUser", "UserName", "x"),
	} {
		w.refused(name, rec, 403, "InvalidClientTokenId", "")
	}
	w.problem("the native API", w.native(member, "GET", "/v1/accounts", ""), 403, "InvalidClientTokenId")
	w.refused("its role", w.assumes(alice, "arn:aws:iam::210987654321:role/theirs"), 403, "AccessDenied", "")
	w.refused("a session elsewhere, whose chain began in it", w.as(made, "GetUser", "UserName", "alice"), 403, "InvalidClientTokenId", "")
	w.refused("an alias", w.iam(w.root, "CreateRole", "RoleName", "new", "AssumeRolePolicyDocument",
		strings.Replace(allow("sts:AssumeRole"), `"Resource":"*"`, `"Principal":{"AWS":"arn:aws:iam::210987654321:user/ada"}`, 1)), 400, "MalformedPolicyDocument", "")
	if text := w.iam(w.root, "GetRole", "RoleName", "deploy").Body.String(); !strings.Contains(text, "AIDAADA") {
		t.Errorf("the trust is shown as %s", text)
	}
	for _, path := range []string{"/close", "/alias", "/root/email", "/root/password"} {
		body := map[string]string{"/alias": `{"alias":"ops"}`, "/root/email": `{"email":"a@example.com"}`, "/root/password": `{"password":"Passw0rd-1"}`}[path]
		w.problem(path, w.native(w.root, "POST", at+path, body), 404, "NoSuchEntity")
	}
	w.problem("quotas", w.native(w.root, "POST", "/v1/quotas?account="+string(other), `{"defaults":"aws"}`), 404, "NoSuchEntity")
	if a := w.accounts(w.root)[string(other)]; a["state"] != "closed" || a["closed"] == nil {
		t.Errorf("the account is %v", a)
	}
	if _, ok := w.projection.View().State.User(other, "ada"); !ok {
		t.Error("its user is gone")
	}
}

var requestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// What another account has is to a caller as what nobody has, whatever is asked.
func TestAccountsSeeOnlyThemselves(t *testing.T) {
	w := newWorld(t)
	w.stranger()
	w.ada("")
	w.must(
		&identity.CreateRole{Account: other, ID: "AROAADA", Name: "ada", Path: "/", MaxSession: 3600, Trust: strings.Replace(allow("sts:AssumeRole"), `"Resource":"*"`, `"Principal":{"AWS":"AIDAADA"}`, 1)},
		&identity.CreateGroup{Account: other, ID: "AGPAADA", Name: "ada", Path: "/"},
		&identity.CreatePolicy{Account: other, ID: "ANPAADA", Name: "ada", Path: "/", Document: allow("*")},
		&identity.CreateSAMLProvider{Account: other, Name: "ada", UUID: "u", Metadata: []byte("m")},
		&identity.CreateMFADevice{Account: other, Name: "ada", Sealed: []byte("s")},
		&identity.CreateOIDCProvider{Account: other, URL: "https://ada.example.com"},
	)
	admin := w.user("admin", allow("*"))
	calls := map[string][]string{
		"GetPolicy": {"PolicyArn", "POLICY"}, "GetPolicyVersion": {"PolicyArn", "POLICY", "VersionId", "v1"}, "ListPolicyVersions": {"PolicyArn", "POLICY"},
		"ListEntitiesForPolicy": {"PolicyArn", "POLICY"}, "ListPolicyTags": {"PolicyArn", "POLICY"}, "DeletePolicy": {"PolicyArn", "POLICY"},
		"CreatePolicyVersion": {"PolicyArn", "POLICY", "PolicyDocument", allow("*")}, "SetDefaultPolicyVersion": {"PolicyArn", "POLICY", "VersionId", "v1"},
		"TagPolicy": {"PolicyArn", "POLICY", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v"}, "AttachUserPolicy": {"UserName", "admin", "PolicyArn", "POLICY"},
		"PutUserPermissionsBoundary": {"UserName", "admin", "PermissionsBoundary", "POLICY"}, "GetSAMLProvider": {"SAMLProviderArn", "SAML"},
		"ListSAMLProviderTags": {"SAMLProviderArn", "SAML"}, "DeleteSAMLProvider": {"SAMLProviderArn", "SAML"},
		"GetOpenIDConnectProvider": {"OpenIDConnectProviderArn", "OIDC"}, "ListOpenIDConnectProviderTags": {"OpenIDConnectProviderArn", "OIDC"},
		"DeleteOpenIDConnectProvider": {"OpenIDConnectProviderArn", "OIDC"}, "ListMFADeviceTags": {"SerialNumber", "MFA"}, "GetMFADevice": {"UserName", "admin", "SerialNumber", "MFA"},
		"DeleteVirtualMFADevice": {"SerialNumber", "MFA"}, "DeactivateMFADevice": {"UserName", "admin", "SerialNumber", "MFA"},
		"SimulatePrincipalPolicy":           {"PolicySourceArn", "USER", "ActionNames.member.1", "s3:GetObject"},
		"GetContextKeysForPrincipalPolicy":  {"PolicySourceArn", "USER"},
		"ListPoliciesGrantingServiceAccess": {"Arn", "USER", "ServiceNamespaces.member.1", "iam"}, "GenerateServiceLastAccessedDetails": {"Arn", "USER"},
		"SimulateCustomPolicy": {"PolicyInputList.member.1", allow("*"), "ActionNames.member.1", "sts:AssumeRole", "ResourceArns.member.1", "ROLE", "CallerArn", "USER"},
		"GetUser":              {"UserName", "NAME"}, "GetRole": {"RoleName", "NAME"}, "GetGroup": {"GroupName", "NAME"}, "GetAccessKeyLastUsed": {"AccessKeyId", "KEY"},
	}
	arn := func(kind, name string) string { return "arn:aws:iam::210987654321:" + kind + "/" + name }
	named := func(name string, in string) string {
		key := "AKIAUSERUSERADA00000"
		if name != "ada" {
			key = "AKIAUSERUSERBOB00000"
		}
		return strings.NewReplacer("POLICY", arn("policy", name), "SAML", arn("saml-provider", name), "OIDC", arn("oidc-provider", name+".example.com"), "MFA", arn("mfa", name),
			"USER", arn("user", name), "ROLE", arn("role", name), "GROUP", arn("group", name), "NAME", name, "KEY", key).Replace(in)
	}
	// as is an answer without what differs from name to name.
	as := func(name string, rec *httptest.ResponseRecorder) string {
		text := requestID.ReplaceAllString(rec.Body.String(), "ID")
		text = regexp.MustCompile(`"(decision_id|hash)":"[^"]*"`).ReplaceAllString(text, "")
		return http.StatusText(rec.Code) + regexp.MustCompile(`\b`+name+`\b`).ReplaceAllString(strings.ReplaceAll(text, "USER"+strings.ToUpper(name), "KEY"), "NAME")
	}
	same := func(what string, ask func(name string) *httptest.ResponseRecorder) {
		t.Helper()
		there, gone := as("ada", ask("ada")), as("bob", ask("bob"))
		if there != gone {
			t.Errorf("%s: of one that is there:\n%s\nand of one that is not:\n%s", what, there, gone)
		}
	}
	for action, input := range calls {
		same(action, func(name string) *httptest.ResponseRecorder {
			var p []string
			for _, text := range input {
				p = append(p, named(name, text))
			}
			return w.iam(admin, action, p...)
		})
	}
	same("AssumeRole", func(name string) *httptest.ResponseRecorder { return w.assumes(admin, named(name, "ROLE")) })
	for _, kind := range []string{"USER", "ROLE", "GROUP", "POLICY"} {
		same("propagation of "+kind, func(name string) *httptest.ResponseRecorder {
			return w.native(admin, "GET", "/v1/propagation?arn="+named(name, kind), "")
		})
	}
	for _, path := range []string{"/v1/authorize", "/v1/propagation/effect"} {
		more := ""
		if strings.HasSuffix(path, "effect") {
			more = `,"expect":"allow","timeout":"0s"`
		}
		for _, c := range []credential{admin, w.root} {
			same(path, func(name string) *httptest.ResponseRecorder {
				return w.native(c, "POST", path, `{"principal":"`+named(name, "USER")+`","action":"s3:GetObject"`+more+`}`)
			})
		}
	}
	same("a question about their role", func(name string) *httptest.ResponseRecorder {
		return w.native(admin, "POST", "/v1/authorize", `{"principal":"`+userARN("admin")+`","action":"sts:AssumeRole","resource":"`+named(name, "ROLE")+`","explain":true}`)
	})
	same("revocations", func(name string) *httptest.ResponseRecorder {
		return w.native(admin, "POST", "/v1/revocations", `{"principal":"`+named(name, "ROLE")+`"}`)
	})
}

// assumesRoot tries to become the root of another account for a task.
func (n *node) assumesRoot(c credential, target, task string, pairs ...string) *httptest.ResponseRecorder {
	r, body := form(stsVersion, "AssumeRoot", append([]string{"TargetPrincipal", target, "TaskPolicyArn.arn", "arn:aws:iam::aws:policy/root-task/" + task}, pairs...)...)
	return n.serve(n.sign(r, c, "sts", body))
}

// taskRoot is a session of the other account's root for a task.
func (w *world) taskRoot(c credential, task string) temporary {
	w.t.Helper()
	text := w.accepted(task, w.assumesRoot(c, string(other), task)).Body.String()
	return temporary{credential{between(text, "AccessKeyId"), between(text, "SecretAccessKey")}, between(text, "SessionToken")}
}

func TestAssumeRoot(t *testing.T) {
	w := newWorld(t)
	member := w.stranger()
	admin := w.user("admin", allow("sts:AssumeRoot"))
	w.refused("not enabled", w.assumesRoot(admin, string(other), "IAMAuditRootUserCredentials"), 403, "AccessDenied",
		"User: arn:aws:iam::123456789012:user/admin is not authorized to perform: sts:AssumeRoot on resource: arn:aws:iam::210987654321:root")
	w.accepted("enable", w.iam(w.root, "EnableOrganizationsRootSessions"))
	rec := w.accepted("by number", w.assumesRoot(admin, string(other), "IAMAuditRootUserCredentials"))
	if got := between(rec.Body.String(), "Expiration"); got != "2026-07-01T12:15:00Z" {
		t.Errorf("it lasts until %s", got)
	}
	w.accepted("by ARN, shorter", w.assumesRoot(admin, "arn:aws:iam::210987654321:root", "S3UnlockBucketPolicy", "DurationSeconds", "60"))
	w.refused("longer", w.assumesRoot(admin, string(other), "S3UnlockBucketPolicy", "DurationSeconds", "901"), 400, "ValidationError", "")
	w.refused("another task", w.assumesRoot(admin, string(other), "AdministratorAccess"), 400, "ValidationError", "")
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"its own root": w.assumesRoot(admin, string(account), "S3UnlockBucketPolicy"), "no account": w.assumesRoot(admin, "999999999999", "S3UnlockBucketPolicy"),
		"no root": w.assumesRoot(admin, userARN("admin"), "S3UnlockBucketPolicy"), "by a root": w.assumesRoot(w.root, string(other), "S3UnlockBucketPolicy"),
		"by a member": w.assumesRoot(w.ada(allow("*")), string(account), "S3UnlockBucketPolicy"), "by nobody in particular": w.assumesRoot(w.user("bob", ""), string(other), "S3UnlockBucketPolicy"),
		"by a member, itself": w.assumesRoot(member, string(other), "S3UnlockBucketPolicy"),
	} {
		w.refused(name, rec, 403, "AccessDenied", "")
	}
	one := w.user("one", strings.Replace(allow("sts:AssumeRoot"), `"Resource":"*"`,
		`"Resource":"arn:aws:iam::210987654321:root","Condition":{"StringEquals":{"sts:TaskPolicyArn":"arn:aws:iam::aws:policy/root-task/SQSUnlockQueuePolicy"}}`, 1))
	w.accepted("the task it may", w.assumesRoot(one, string(other), "SQSUnlockQueuePolicy"))
	w.refused("another", w.assumesRoot(one, string(other), "S3UnlockBucketPolicy"), 403, "AccessDenied", "")
}

// A session by AssumeRoot is the root of the other account, for its task and nothing else.
func TestTasksOfRoots(t *testing.T) {
	w := newWorld(t)
	member := w.stranger()
	w.ada("")
	admin := w.user("admin", allow("sts:AssumeRoot"))
	w.accepted("enable", w.iam(w.root, "EnableOrganizationsRootSessions"))
	audit, create, remove := w.taskRoot(admin, "IAMAuditRootUserCredentials"), w.taskRoot(admin, "IAMCreateRootUserPassword"), w.taskRoot(admin, "IAMDeleteRootUserCredentials")
	identity := func(c temporary) string {
		r, body := form(stsVersion, "GetCallerIdentity", "@X-Amz-Security-Token", c.token)
		return between(w.serve(w.sign(r, c.credential, "sts", body)).Body.String(), "Arn")
	}
	if got := identity(audit); got != "arn:aws:iam::210987654321:root" {
		t.Errorf("it is %s", got)
	}
	for _, action := range []string{"ListAccessKeys", "ListMFADevices", "ListSigningCertificates", "GetAccountSummary", "GetUser"} {
		w.accepted(action, w.as(audit, action))
	}
	w.accepted("last use", w.as(audit, "GetAccessKeyLastUsed", "AccessKeyId", member.id))
	w.refused("another's keys", w.as(audit, "ListAccessKeys", "UserName", "ada"), 403, "AccessDenied", "")
	w.refused("the password", w.as(audit, "GetLoginProfile"), 404, "NoSuchEntity", "Login Profile for User root cannot be found.")
	for _, c := range []temporary{audit, create, remove} {
		w.refused("another action", w.as(c, "ListUsers"), 403, "AccessDenied", "")
		w.refused("a key", w.as(c, "CreateAccessKey"), 403, "AccessDenied", "")
		w.problem("the native API", w.native(c.credential, "POST", "/v1/accounts/210987654321/root/password", `{"password":"Passw0rd-1"}`, "X-Amz-Security-Token", c.token), 403, "AccessDenied")
		r, body := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::210987654321:role/x", "RoleSessionName", "xy", "@X-Amz-Security-Token", c.token)
		w.refused("a role", w.serve(w.sign(r, c.credential, "sts", body)), 403, "AccessDenied", "Cannot call AssumeRole with session credentials")
	}
	w.refused("told", w.as(create, "CreateLoginProfile", "Password", "Passw0rd-1"), 400, "ValidationError", "")
	w.accepted("to be chosen", w.as(create, "CreateLoginProfile"))
	w.refused("again", w.as(create, "CreateLoginProfile"), 409, "EntityAlreadyExists", "")
	w.accepted("it is there", w.as(audit, "GetLoginProfile"))
	w.accepted("chosen", w.native(w.root, "POST", "/v1/accounts/210987654321/root/password", `{"password":"Passw0rd-1"}`))
	w.refused("not its task", w.as(create, "DeleteLoginProfile"), 403, "AccessDenied", "")
	w.accepted("deleted", w.as(remove, "DeleteLoginProfile"))
	w.accepted("its key", w.as(remove, "DeleteAccessKey", "AccessKeyId", member.id))
	if a, _ := w.projection.View().State.Account(other); a.Password.SetAt != 0 || len(a.Keys) != 0 {
		t.Errorf("the root has %+v", a)
	}
	w.refused("without a session", w.iam(w.root, "GetLoginProfile"), 400, "ValidationError", "")
	w.accepted("close", w.native(w.root, "POST", "/v1/accounts/210987654321/close", ""))
	w.refused("of a closed account", w.as(audit, "ListAccessKeys"), 403, "InvalidClientTokenId", "")
	w.refused("a closed account", w.assumesRoot(admin, string(other), "IAMAuditRootUserCredentials"), 403, "AccessDenied", "")
}

// An authorization message says nothing of another account's role: neither its tags nor what
// its trust denies.
func TestMessagesOfOtherAccounts(t *testing.T) {
	w := newWorld(t)
	w.stranger()
	w.getSession()
	ada := w.ada(allow("*"))
	w.must(&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", MaxSession: 3600, Tags: []identity.Tag{{Key: "Secret", Value: "hidden"}},
		Trust: `{"Version":"2012-10-17","Statement":{"Sid":"Hidden","Effect":"Deny","Principal":{"AWS":"AIDAADA"},"Action":"sts:AssumeRole","Condition":{"Null":{"aws:SourceIdentity":"true"}}}}`})
	rec := w.assumes(ada, "arn:aws:iam::123456789012:role/deploy")
	w.refused("denied", rec, 403, "AccessDenied", "")
	message := rec.Header().Get("X-Writ-Authorization-Message")
	text := w.accepted("decode", w.decodeMessage(ada, message)).Body.String()
	if !strings.Contains(text, "sts:AssumeRole") || strings.Contains(strings.ToLower(text), "hidden") || strings.Contains(strings.ToLower(text), "secret") {
		t.Errorf("it says %s", text)
	}
}
