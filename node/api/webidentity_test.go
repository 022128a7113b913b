package api_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/node/federation/oidc"
)

const (
	issuerName  = "issuer.test/realms/ci"
	providerARN = "arn:aws:iam::123456789012:oidc-provider/" + issuerName
	deployARN   = "arn:aws:iam::123456789012:role/deploy"
)

// federated is a world whose first account has the provider of an issuer, and the role deploy,
// which trusts it.
type federated struct {
	*world
	issuer *issuertest.Issuer
}

func newFederated(t testing.TB, change ...func(*config)) *federated {
	t.Helper()
	i := issuertest.New(t, "https://"+issuerName)
	i.At(noon)
	f := &federated{issuer: i}
	f.world = newWorld(t, append([]func(*config){f.reach(t)}, change...)...)
	f.must(&identity.CreateOIDCProvider{Account: account, URL: issuerName, ClientIDs: []string{issuertest.Audience, "writ"}},
		&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", MaxSession: 7200, Trust: trusts("")},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "own", Document: allow("iam:*")})
	return f
}

// reach lets a node ask the issuer.
func (f *federated) reach(t testing.TB) func(*config) {
	reach, err := oidc.ParseReach([]string{f.issuer.Setting()}, f.issuer.CA)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *config) { c.Identities = oidc.New(reach, c.Now, nil) }
}

// trusts is a trust policy for the issuer's provider, under a condition.
func trusts(condition string, actions ...string) string {
	if len(actions) == 0 {
		actions = []string{"sts:AssumeRoleWithWebIdentity"}
	}
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + providerARN + `"},"Action":["` + strings.Join(actions, `","`) + `"]` + condition + `}}`
}

func (f *federated) trust(document string) {
	f.t.Helper()
	f.must(&identity.UpdateTrust{Account: account, Name: "deploy", Trust: document})
}

// present presents a token at a node.
func (n *node) present(token string, pairs ...string) *httptest.ResponseRecorder {
	n.world.t.Helper()
	r, _ := form(stsVersion, "AssumeRoleWithWebIdentity", append([]string{"RoleArn", deployARN, "RoleSessionName", "job", "WebIdentityToken", token}, pairs...)...)
	return n.serve(r)
}

// webIdentity is the answer to AssumeRoleWithWebIdentity.
type webIdentity struct {
	Result struct {
		Credentials struct {
			AccessKeyID                   string `xml:"AccessKeyId"`
			SecretAccessKey, SessionToken string
			Expiration                    time.Time
		}
		AssumedRoleUser             struct{ Arn, AssumedRoleID string }
		SubjectFromWebIdentityToken string
		Provider, Audience          string
		PackedPolicySize            int
		SourceIdentity              string
	} `xml:"AssumeRoleWithWebIdentityResult"`
}

// session is the session that an answer has.
func (w *world) assumed(rec *httptest.ResponseRecorder) (webIdentity, temporary) {
	w.t.Helper()
	w.accepted("AssumeRoleWithWebIdentity", rec)
	var answer webIdentity
	if err := xml.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	c := answer.Result.Credentials
	return answer, temporary{credential{c.AccessKeyID, c.SecretAccessKey}, c.SessionToken}
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	f := newFederated(t)
	f.trust(trusts("", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"))
	answer, c := f.assumed(f.present(f.issuer.Token(map[string]any{
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}}, "transitive_tag_keys": []string{"Team"}},
		"https://aws.amazon.com/source_identity": "alice",
	}), "DurationSeconds", "7200"))
	r := answer.Result
	if r.SubjectFromWebIdentityToken != issuertest.Subject || r.Provider != providerARN || r.Audience != issuertest.Audience || r.SourceIdentity != "alice" || r.PackedPolicySize == 0 ||
		r.AssumedRoleUser.Arn != "arn:aws:sts::123456789012:assumed-role/deploy/job" || !r.Credentials.Expiration.Equal(noon.Add(2*time.Hour)) || !strings.HasPrefix(c.id, "ASIA") {
		t.Errorf("the answer is %+v", r)
	}
	f.accepted("a call", f.as(c, "ListUsers"))
	if plain, _ := f.assumed(f.present(f.issuer.Token(nil))); plain.Result.PackedPolicySize != 0 || plain.Result.SourceIdentity != "" || !plain.Result.Credentials.Expiration.Equal(noon.Add(time.Hour)) {
		t.Errorf("without tags the answer is %+v", plain.Result)
	}
}

// TestWebIdentityRefusals has AWS's codes, statuses and words.
func TestWebIdentityRefusals(t *testing.T) {
	f := newFederated(t)
	f.must(&identity.CreateRole{Account: account, ID: "AROAOTHER", Name: "other", Path: "/", MaxSession: 3600, Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`})
	f.present(f.issuer.Token(nil)) // so that the cluster has a session key
	good := f.issuer.Token(nil)
	stranger := issuertest.NewKey(t, f.issuer.Key().ID, jose.RS256)
	const noKey = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	const noJWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	const denied = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	past := noon.Add(-time.Second).Unix()
	for name, c := range map[string]struct {
		token  string
		pairs  []string
		status int
		code   string
		text   string
	}{
		"no token":         {"not.a.token", nil, 400, "InvalidIdentityToken", noJWT},
		"none":             {"eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", nil, 400, "InvalidIdentityToken", noJWT},
		"huge":             {strings.Repeat("x", 20_001), nil, 400, "ValidationError", ""},
		"another issuer":   {f.issuer.Token(map[string]any{"iss": "https://other.test"}), nil, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://other.test"},
		"another account":  {good, []string{"RoleArn", "arn:aws:iam::210987654321:role/deploy"}, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://" + issuerName},
		"another audience": {f.issuer.Token(map[string]any{"aud": "other"}), nil, 400, "InvalidIdentityToken", "Incorrect token audience"},
		"another party":    {f.issuer.Token(map[string]any{"azp": "other"}), nil, 400, "InvalidIdentityToken", "Incorrect token audience"},
		"expired": {f.issuer.Token(map[string]any{"exp": past}), nil, 400, "ExpiredTokenException",
			"Token expired: current date/time " + strconv.FormatInt(noon.Unix(), 10) + " must be before the expiration date/time " + strconv.FormatInt(past, 10)},
		"another key":       {issuertest.Sign(t, stranger, f.issuer.Claims(nil), map[string]any{"jwk": stranger.Public()}), nil, 400, "InvalidIdentityToken", ""},
		"an unknown key":    {issuertest.Sign(t, issuertest.Key{ID: "x", Algorithm: jose.RS256, Private: stranger.Private}, f.issuer.Claims(nil), nil), nil, 400, "InvalidIdentityToken", noKey},
		"a claim":           {f.issuer.Token(map[string]any{"https://aws.amazon.com/tags": 1}), nil, 403, "IDPRejectedClaim", "The identity provider's token has a claim that is not accepted: https://aws.amazon.com/tags."},
		"a long subject":    {f.issuer.Token(map[string]any{"sub": strings.Repeat("x", 256)}), nil, 403, "IDPRejectedClaim", ""},
		"a source identity": {f.issuer.Token(map[string]any{"https://aws.amazon.com/source_identity": "a b"}), nil, 403, "IDPRejectedClaim", ""},
		"OAuth":             {good, []string{"ProviderId", "www.amazon.com"}, 400, "InvalidIdentityToken", ""},
		"no such role":      {good, []string{"RoleArn", "arn:aws:iam::123456789012:role/none"}, 403, "AccessDenied", denied},
		"a role of others":  {good, []string{"RoleArn", "arn:aws:iam::123456789012:role/other"}, 403, "AccessDenied", denied},
		"tags": {f.issuer.Token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": "b"}}}), nil, 403, "AccessDenied",
			"Not authorized to perform sts:TagSession"},
		"a source":       {f.issuer.Token(map[string]any{"https://aws.amazon.com/source_identity": "alice"}), nil, 403, "AccessDenied", "Not authorized to perform sts:SetSourceIdentity"},
		"too long":       {good, []string{"DurationSeconds", "7201"}, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"no policy":      {good, []string{"Policy", "{}"}, 400, "MalformedPolicyDocument", ""},
		"no such policy": {good, []string{"PolicyArns.member.1.arn", "arn:aws:iam::123456789012:policy/none"}, 400, "InvalidParameterValue", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := append([]string{"WebIdentityToken", c.token}, c.pairs...)
			f.refused(name, f.present(good, pairs...), c.status, c.code, c.text)
		})
	}
	f.issuer.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	now := f.node.now()
	f.node.now = func() time.Time { return now.Add(oidc.MaxStale) }
	f.refused("an issuer that is away", f.present(f.issuer.Token(map[string]any{"exp": noon.Add(3 * time.Hour).Unix()})), 400, "IDPCommunicationError", "")
	f.node.now = func() time.Time { return now.Add(10 * time.Minute) }
	f.refused("a token that was good", f.present(good), 400, "ExpiredTokenException", "")
}

// TestWebIdentityTrust holds what a provider says against the conditions of a trust policy.
func TestWebIdentityTrust(t *testing.T) {
	f := newFederated(t)
	token := f.issuer.Token(map[string]any{"azp": "writ", "aud": []string{"account"}, "amr": []string{"pwd", "otp"}, "repository": "writ/app", "run_number": 7})
	const key = issuerName + ":"
	for condition, want := range map[string]bool{
		`{"StringEquals":{"` + key + `sub":"` + issuertest.Subject + `"}}`:        true,
		`{"StringEquals":{"` + key + `sub":"repo:writ/app:ref:refs/heads/evil"}}`: false,
		`{"StringLike":{"` + strings.ToUpper(key) + `SUB":"repo:writ/app:*"}}`:    true,
		`{"StringEquals":{"` + key + `aud":"writ"}}`:                              true,
		`{"StringEquals":{"` + key + `azp":"writ"}}`:                              true,
		`{"ForAnyValue:StringEquals":{"` + key + `oaud":"account"}}`:              true,
		`{"ForAnyValue:StringEquals":{"` + key + `amr":"otp"}}`:                   true,
		`{"ForAllValues:StringEquals":{"` + key + `amr":["otp"]}}`:                false,
		`{"StringEquals":{"` + key + `repository":"writ/app"}}`:                   true,
		`{"NumericEquals":{"` + key + `run_number":"7"}}`:                         true,
		`{"StringEquals":{"other.test:sub":"` + issuertest.Subject + `"}}`:        false,
		`{"StringEquals":{"sts:RoleSessionName":"job"}}`:                          true,
		`{"Null":{"aws:PrincipalArn":"true"}}`:                                    true,
		`{"StringEquals":{"` + key + `missing":"x"}}`:                             false,
	} {
		f.trust(trusts(condition))
		if rec := f.present(token); (rec.Code == http.StatusOK) != want || !want && rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", condition, rec.Code, rec.Body)
		}
	}
	for name, document := range map[string]string{
		"another provider": strings.Replace(trusts(""), issuerName, "other.test", 1),
		"another action":   trusts("", "sts:AssumeRole"),
		"a deny":           `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + providerARN + `"},"Action":"sts:AssumeRoleWithWebIdentity"},{"Effect":"Deny","Principal":"*","Action":"sts:*","Condition":{"StringEquals":{"` + key + `repository":"writ/app"}}}]}`,
	} {
		f.trust(document)
		f.refused(name, f.present(token), http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	f.trust(trusts(""))
	f.must(&identity.RemoveClientID{Account: account, ARN: providerARN, ClientID: "writ"})
	f.refused("a client that was removed", f.present(token), http.StatusBadRequest, "InvalidIdentityToken", "Incorrect token audience")
	f.must(&identity.DeleteOIDCProvider{Account: account, ARN: providerARN})
	f.refused("a provider that was deleted", f.present(f.issuer.Token(nil)), http.StatusBadRequest, "InvalidIdentityToken", "")
}

// TestWebIdentitiesThatNoRoleTrusts are strangers, for whomever a provider vouches: they take
// nothing on account of the role.
func TestWebIdentitiesThatNoRoleTrusts(t *testing.T) {
	f := newFederated(t)
	unproved := func() float64 {
		return f.metric(`writ_request_duration_seconds_count{action="unverified",code="403"}`)
	}
	f.trust(trusts(`{"StringEquals":{"` + issuerName + `:sub":"somebody else"}}`))
	before := unproved()
	f.refused("another subject", f.present(f.issuer.Token(nil)), http.StatusForbidden, "AccessDenied", "")
	if more := unproved() - before; more != 1 {
		t.Errorf("%v strangers are refused", more)
	}
	f.trust(trusts(""))
	f.assumed(f.present(f.issuer.Token(nil)))
	if more := unproved() - before; more != 1 {
		t.Errorf("%v strangers are refused in all", more)
	}
}

// TestWebIdentityInAClosedAccount ends with the account.
func TestWebIdentityInAClosedAccount(t *testing.T) {
	f := newFederated(t)
	arn := strings.Replace(deployARN, string(account), string(other), 1)
	f.must(&identity.CreateAccount{ID: other}, &identity.CreateOIDCProvider{Account: other, URL: issuerName, ClientIDs: []string{issuertest.Audience}},
		&identity.CreateRole{Account: other, ID: "AROAOTHER", Name: "deploy", Path: "/", MaxSession: 3600, Trust: strings.Replace(trusts(""), string(account), string(other), 1)})
	f.assumed(f.present(f.issuer.Token(nil), "RoleArn", arn))
	f.must(&identity.CloseAccount{Account: other})
	f.refused("closed", f.present(f.issuer.Token(nil), "RoleArn", arn), http.StatusBadRequest, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://"+issuerName)
}

// TestWebIdentitySession holds what a provider says against the policies of the session's role.
func TestWebIdentitySession(t *testing.T) {
	f := newFederated(t)
	f.trust(trusts("", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"))
	_, c := f.assumed(f.present(f.issuer.Token(map[string]any{"amr": []string{"pwd"}, "repository": "writ/app", "https://aws.amazon.com/source_identity": "alice",
		"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"Team": "red"}}})))
	const key = issuerName + ":"
	for condition, want := range map[string]bool{
		`{"StringEquals":{"` + key + `sub":"` + issuertest.Subject + `"}}`:  true,
		`{"StringEquals":{"` + key + `aud":"` + issuertest.Audience + `"}}`: true,
		`{"ForAnyValue:StringEquals":{"` + key + `amr":"pwd"}}`:             true,
		`{"StringEquals":{"` + key + `repository":"writ/app"}}`:             false, // for the trust alone, as in AWS
		`{"StringEquals":{"aws:FederatedProvider":"` + providerARN + `"}}`:  true,
		`{"StringEquals":{"aws:SourceIdentity":"alice"}}`:                   true,
		`{"StringEquals":{"aws:PrincipalTag/team":"red"}}`:                  true,
		`{"StringEquals":{"aws:userid":"AROADEPLOY:job"}}`:                  true,
		`{"StringEquals":{"` + key + `sub":"other"}}`:                       false,
	} {
		f.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "own",
			Document: strings.Replace(allow("iam:ListUsers"), `"Resource":"*"`, `"Resource":"*","Condition":`+condition, 1)})
		if rec := f.as(c, "ListUsers"); (rec.Code == http.StatusOK) != want {
			t.Errorf("%s: %d %s", condition, rec.Code, rec.Body)
		}
	}
	f.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "own", Document: allow("iam:*")})
	_, narrow := f.assumed(f.present(f.issuer.Token(nil), "Policy", allow("iam:ListRoles")))
	f.accepted("within the session policy", f.as(narrow, "ListRoles"))
	f.refused("beyond the session policy", f.as(narrow, "ListUsers"), http.StatusForbidden, "AccessDenied", "")
}

// TestWebIdentityTrustThatEndsWhileTheKeyIsMade: the first session is authorized in the view that has the key.
func TestWebIdentityTrustThatEndsWhileTheKeyIsMade(t *testing.T) {
	f := newFederated(t)
	f.log.before = func(c event.Command) {
		if _, ok := c.Content.(*identity.AddSessionKey); ok {
			f.must(&identity.DeleteOIDCProvider{Account: account, ARN: providerARN})
		}
	}
	f.refused("a provider that is gone", f.present(f.issuer.Token(nil)), http.StatusBadRequest, "InvalidIdentityToken", "")
}

// TestWebIdentityAtAReplica makes sessions at a replica, and has the leader make those that it
// cannot: without keys, or without a key that seals.
func TestWebIdentityAtAReplica(t *testing.T) {
	f := newFederated(t)
	handed := 0
	forward := func(cfg *config) {
		cfg.Node.Forward = func(rw http.ResponseWriter, r *http.Request, of admission.Forwarded) error {
			handed++
			of.SetHeaders(r)
			r.Body = io.NopCloser(bytes.NewReader(of.Body))
			f.server.ServeForwarded(rw, r, "r1")
			return nil
		}
	}
	for name, c := range map[string]struct {
		keys   bool
		handed int
	}{"with keys": {true, 1}, "without": {false, 2}} {
		handed = 0
		n, l := f.replica(f.reach(t), forward, func(cfg *config) {
			if !c.keys {
				cfg.Seal = nil
			}
		})
		for range 2 { // the first of all makes the key
			f.log.show(n.projection)
			l.grant(f.world, n.projection, n.projection.Head())
			rec := n.present(f.issuer.Token(nil))
			_, made := f.assumed(rec)
			f.accepted("a call", f.as(made, "ListUsers"))
		}
		if name == "without" && handed != c.handed || name == "with keys" && handed > c.handed {
			t.Errorf("%s: %d were handed on", name, handed)
		}
		f.refused("a forged one", n.present(issuertest.Sign(t, issuertest.NewKey(t, f.issuer.Key().ID, jose.RS256), f.issuer.Claims(nil), nil)), http.StatusBadRequest, "InvalidIdentityToken", "")
	}
}

// TestUnsignedCallersAreStrangers: a replica that has the leader prove tokens hands on no more
// of them than of other strangers.
func TestUnsignedCallersAreStrangers(t *testing.T) {
	f := newFederated(t)
	handed := 0
	n, l := f.replica(func(cfg *config) {
		cfg.Seal = nil
		cfg.Limits.Strangers, cfg.Limits.StrangersPerSecond = 32, 4 // of which one network has a quarter
		cfg.Node.Forward = func(rw http.ResponseWriter, _ *http.Request, _ admission.Forwarded) error {
			handed++
			rw.WriteHeader(http.StatusTeapot)
			return nil
		}
	})
	f.log.show(n.projection)
	l.grant(f.world, n.projection, n.projection.Head())
	for range 100 {
		n.present("forged")
	}
	if handed != 8 {
		t.Errorf("%d were handed on", handed)
	}
	f.refused("one more", n.present("forged"), http.StatusServiceUnavailable, "ServiceUnavailable", "")
}

// TestWebIdentitiesThatWaitTogether: all who may wait for an issuer have what they came for when it
// answers, though they come back at one moment and from one address.
func TestWebIdentitiesThatWaitTogether(t *testing.T) {
	f := newFederated(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	f.issuer.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
		f.issuer.Publish(w, r)
	}))
	token, answers := f.issuer.Token(nil), make(chan *httptest.ResponseRecorder, oidc.MaxWaitingOne+1)
	for range cap(answers) {
		go func() { answers <- f.present(token) }()
	}
	<-asked
	f.refused("one more: all others wait", <-answers, http.StatusServiceUnavailable, "ServiceUnavailable", "")
	close(answer)
	<-asked // for the keys, after the discovery document
	for range oidc.MaxWaitingOne {
		f.assumed(<-answers)
	}
}

// TestWebIdentityIssuerHangs: who waits for an issuer keeps no one else from a session.
func TestWebIdentityIssuerHangs(t *testing.T) {
	f := newFederated(t)
	silent := issuertest.New(t, "https://silent.test")
	silent.At(noon)
	asked, done := make(chan struct{}, 1), make(chan struct{})
	silent.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-done
	}))
	reach, err := oidc.ParseReach([]string{f.issuer.Setting(), silent.Setting()}, append(f.issuer.CA, silent.CA...))
	if err != nil {
		t.Fatal(err)
	}
	n := f.addNode(true, func(c *config) { c.Identities = oidc.New(reach, c.Now, nil) })
	f.must(&identity.CreateOIDCProvider{Account: account, URL: "silent.test", ClientIDs: []string{issuertest.Audience}})
	f.log.readers = append(f.log.readers, n.projection)
	f.log.show(n.projection)
	token, answers := silent.Token(nil), make(chan *httptest.ResponseRecorder, 2*oidc.MaxWaitingOne)
	for range cap(answers) {
		go func() { answers <- n.present(token) }()
	}
	<-asked
	for range cap(answers) - oidc.MaxWaitingOne {
		f.refused("more than may wait", <-answers, http.StatusServiceUnavailable, "ServiceUnavailable", "")
	}
	for range 100 {
		f.assumed(n.present(f.issuer.Token(nil)))
	}
	close(done)
	for range oidc.MaxWaitingOne {
		f.refused("who waited", <-answers, http.StatusBadRequest, "IDPCommunicationError", "")
	}
}

// TestGivenKeys gives the keys of a provider by the native API.
func TestGivenKeys(t *testing.T) {
	f := newFederated(t)
	visits := f.issuer.Visits()
	set := func(c credential, provider, keys string) *httptest.ResponseRecorder {
		return f.native(c, http.MethodPost, "/v1/providers/keys", `{"provider":"`+provider+`","keys":`+keys+`}`)
	}
	alice := f.user("alice", allow("iam:*"))
	keys := string(f.issuer.KeySet())
	f.problem("no permission", set(alice, providerARN, keys), http.StatusForbidden, "AccessDenied")
	f.problem("no permission, and no keys", set(alice, providerARN, `{"keys":[{"kty":"oct","k":"AAAA"}]}`), http.StatusForbidden, "AccessDenied") // which nobody has read
	f.problem("another provider", set(f.root, providerARN+"x", keys), http.StatusNotFound, "NoSuchEntity")
	f.problem("no keys", set(f.root, providerARN, `{"keys":[]}`), http.StatusBadRequest, "InvalidRequest")
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: f.issuer.Key().Private}}})
	if err != nil {
		t.Fatal(err)
	}
	f.problem("private keys", set(f.root, providerARN, string(private)), http.StatusBadRequest, "InvalidRequest")
	f.problem("no provider", set(f.root, "", keys), http.StatusBadRequest, "InvalidRequest")
	rec := set(f.root, providerARN, keys)
	if done := f.json(rec); rec.Code != http.StatusOK || done["keys"] != 1.0 || done["provider"] != providerARN || done["token"] == "" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	f.assumed(f.present(f.issuer.Token(nil)))
	f.issuer.Rotate()
	f.refused("by a key that was not given", f.present(f.issuer.Token(nil)), http.StatusBadRequest, "InvalidIdentityToken", "")
	if f.issuer.Visits() != visits {
		t.Error("the issuer was asked")
	}
	if rec := f.native(f.root, http.MethodPost, "/v1/providers/keys", `{"provider":"`+providerARN+`"}`); rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	f.assumed(f.present(f.issuer.Token(nil)))
}

// TestWebIdentitySigned takes no account of a signature, good or bad.
func TestWebIdentitySigned(t *testing.T) {
	f := newFederated(t)
	r, body := form(stsVersion, "AssumeRoleWithWebIdentity", "RoleArn", deployARN, "RoleSessionName", "job", "WebIdentityToken", f.issuer.Token(nil))
	f.accepted("by root", f.serve(f.sign(r, f.root, "sts", body)))
	r, body = form(stsVersion, "AssumeRoleWithWebIdentity", "RoleArn", deployARN, "RoleSessionName", "job", "WebIdentityToken", f.issuer.Token(nil))
	f.accepted("by a secret that is wrong", f.serve(f.sign(r, credential{f.root.id, "wrong"}, "sts", body)))
	r, body = form(stsVersion, "AssumeRoleWithWebIdentity", "RoleArn", deployARN, "RoleSessionName", "job", "WebIdentityToken", "forged")
	f.refused("by root, forged", f.serve(f.sign(r, f.root, "sts", body)), http.StatusBadRequest, "InvalidIdentityToken", "")
}

// TestWebIdentityTellsNothing: whoever has proved nothing is not told how the node stands, and
// is not found in its log.
func TestWebIdentityTellsNothing(t *testing.T) {
	f := newFederated(t)
	token := f.issuer.Token(nil)
	rec := f.present(token[:len(token)-8])
	if rec.Header().Get("X-Writ-Position") != "" || rec.Code != http.StatusBadRequest {
		t.Errorf("a stranger is told: %d, %v", rec.Code, rec.Header())
	}
	f.assumed(f.present(token))
	if logs := f.logs.String(); strings.Contains(logs, token[:40]) || strings.Contains(logs, issuertest.Subject) {
		t.Error("the token is in the node's log")
	}
}
