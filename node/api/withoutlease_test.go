package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/replication/propagation"
)

// probe is a request that a caller with all permissions sends.
type probe struct {
	name                    string
	service, method, target string
	header                  http.Header
	body                    string
	question                bool // for decisions
	leader, writer          bool // only a leader answers, or a writer
	open                    bool // to all
	verifier                bool // asks for what is public, and says nothing of freshness
}

// probes are one request for each route and each action of the Query protocol.
func probes(t *testing.T, s *api.Server, token string) (list []probe) {
	const q = `{"principal":"arn:aws:iam::123456789012:user/mallory","action":"s3:Get"}`
	const part = `{"policies":[{"id":"ANPAAAAAAAAAAAAAAAAAA","name":"A","path":"/","created_ms":1,"updated_ms":1,"default":1,"versions":[{"number":1,"created_ms":1,` +
		`"document":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:Get*\",\"Resource\":\"*\"}]}"}]}]}`
	native := map[string]probe{
		"POST /v1/authorize":                                     {body: q, question: true},
		"POST /v1/authorize/batch":                               {body: `{"questions":[` + q + `]}`, question: true},
		"POST /v1/authenticate":                                  {body: `{"service":"s3","method":"GET","path":"/","headers":{"Host":["s3.test"]}}`},
		"POST /v1/signing-key":                                   {body: `{"access_key_id":"AKIAUSERUSERMALLORY","date":"20260701","region":"","service":"s3"}`},
		"POST /v1/authorize/changes":                             {body: strings.TrimSuffix(q, "}") + `,"from":1,"to":1}`, writer: true},
		"POST /v1/search/principals":                             {body: `{"action":"s3:Get"}`},
		"GET /v1/propagation":                                    {target: "/v1/propagation?head", leader: true},
		"GET /v1/propagation/{token}":                            {target: "/v1/propagation/" + token, leader: true},
		"POST /v1/propagation/effect":                            {body: strings.TrimSuffix(q, "}") + `,"expect":"allow","timeout":"1s"}`, leader: true},
		"GET /v1/cluster":                                        {},
		"GET /v1/events":                                         {target: "/v1/events?after=0"},
		"POST /v1/replicas/{name}/drain":                         {target: "/v1/replicas/r1/drain", leader: true},
		"POST /v1/replicas/{name}/resume":                        {target: "/v1/replicas/r1/resume", leader: true},
		"POST /v1/replicas/{name}/admit":                         {target: "/v1/replicas/r1/admit", leader: true},
		"DELETE /v1/replicas/{name}":                             {target: "/v1/replicas/r1", leader: true},
		"POST /v1/verify":                                        {leader: true},
		"POST /v1/writers":                                       {body: `{"name":"w9","peer":"w9:8430"}`, leader: true},
		"POST /v1/writers/{name}/move":                           {target: "/v1/writers/w9/move", body: `{"peer":"w9:8430"}`, leader: true},
		"DELETE /v1/writers/{name}":                              {target: "/v1/writers/w9:8430", leader: true},
		"POST /v1/leader":                                        {leader: true},
		"GET /v1/backup":                                         {leader: true},
		"GET /v1/catalog":                                        {},
		"POST /v1/catalog/{digest}/parts/{part}":                 {target: "/v1/catalog/" + strings.Repeat("0", 64) + "/parts/1", body: part, leader: true},
		"POST /v1/catalog/{digest}/install":                      {target: "/v1/catalog/" + strings.Repeat("0", 64) + "/install?parts=1", leader: true},
		"GET /v1/quotas":                                         {},
		"POST /v1/quotas":                                        {body: `{"defaults":"aws"}`, leader: true},
		"GET /v1/sessions":                                       {},
		"GET /v1/seal":                                           {leader: true},
		"GET /v1/retention":                                      {},
		"PUT /v1/retention":                                      {body: `{"keep_days":30}`, leader: true},
		"POST /v1/seal/rotate":                                   {leader: true},
		"GET /v1/session-keys":                                   {},
		"POST /v1/session-keys":                                  {leader: true},
		"POST /v1/session-keys/{number}/revoke":                  {target: "/v1/session-keys/1/revoke", leader: true},
		"GET /v1/issuer-keys":                                    {},
		"POST /v1/issuer-keys":                                   {leader: true},
		"POST /v1/issuer-keys/{number}/revoke":                   {target: "/v1/issuer-keys/1/revoke", leader: true},
		"POST /v1/providers/keys":                                {body: `{"provider":"arn:aws:iam::123456789012:oidc-provider/none"}`, leader: true},
		"POST /v1/passkeys":                                      {body: `{"name":"key","credential":{}}`, leader: true},
		"POST /v1/passkeys/challenge":                            {body: `{}`, leader: true},
		"POST /signin/challenge":                                 {header: http.Header{"Content-Type": {"application/json"}}, body: `{"account":"123456789012","user":"mallory"}`, leader: true},
		"POST /v1/certificates/revoke":                           {body: `{"name":"replica-1"}`, leader: true},
		"POST /v1/revocations":                                   {body: `{"session":"ASIAAAAAAAAAAAAAAAAA"}`, leader: true},
		"GET /v1/accounts":                                       {},
		"POST /v1/accounts":                                      {body: `{"email":"ops@example.com"}`, leader: true},
		"POST /v1/accounts/{account}/alias":                      {target: "/v1/accounts/123456789012/alias", body: `{"alias":"ops"}`, leader: true},
		"POST /v1/accounts/{account}/close":                      {target: "/v1/accounts/210987654321/close", leader: true},
		"POST /v1/accounts/{account}/root/email":                 {target: "/v1/accounts/210987654321/root/email", body: `{"email":"ops@example.com"}`, leader: true},
		"POST /v1/accounts/{account}/root/password":              {target: "/v1/accounts/210987654321/root/password", body: `{"password":"Passw0rd-1"}`, leader: true},
		"GET /v1/head":                                           {leader: true},
		"GET /v1/chain":                                          {target: "/v1/chain?after=0", writer: true},
		"GET /issuers/{issuer}/.well-known/openid-configuration": {target: "/issuers/" + issuerID + "/.well-known/openid-configuration", verifier: true},
		"GET /issuers/{issuer}/.well-known/jwks.json":            {target: "/issuers/" + issuerID + "/.well-known/jwks.json", verifier: true},
		"POST /signin":                                           {header: http.Header{"Content-Type": {"application/json"}}, body: `{"account":"123456789012","user":"mallory","password":"Passw0rd-1"}`, leader: true},
		"GET /livez":                                             {open: true},
		"GET /readyz":                                            {open: true},
		"GET /metrics":                                           {open: true},
		"GET /openapi.json":                                      {open: true},
		"/":                                                      {method: "GET", target: "/nowhere", open: true},
		"/{$}":                                                   {}, "/iam": {}, "/iam/{$}": {}, "/sts": {}, "/sts/{$}": {}, // by action, below
	}
	var queries []string
	for _, pattern := range s.Patterns() {
		p, ok := native[pattern]
		if !ok {
			t.Fatalf("%s is a new route: say what it admits without a lease", pattern)
		}
		method, target, ok := strings.Cut(pattern, " ")
		if !ok && p.method == "" {
			queries = append(queries, strings.TrimSuffix(pattern, "{$}"))
			continue
		}
		p.name, p.service = pattern, "writ"
		if p.method == "" {
			p.method = method
		}
		if p.target == "" {
			p.target = target
		}
		list = append(list, p)
	}
	for i, a := range slices.Concat(iam.Actions(), sts.Actions()) {
		version := iamVersion
		if a.Service == "sts" {
			version = stsVersion
		}
		list = append(list, probe{
			name: a.Name, service: a.Service, method: "POST", target: queries[i%len(queries)], leader: a.Write,
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: "Version=" + version + "&Action=" + a.Name,
		})
	}
	return list
}

// send sends a probe; a stream is left after a minute.
func (n *node) send(c credential, p probe, headers ...string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(n.world.t.Context(), time.Minute)
	defer cancel()
	r := httptest.NewRequest(p.method, "http://writ.test"+p.target, bytes.NewReader([]byte(p.body))).WithContext(ctx)
	for name, values := range p.header {
		r.Header[name] = values
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	s := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: "eu-west-1", Service: p.service}
	s.Sign(r, sha256.Sum256([]byte(p.body)), n.now())
	return n.serve(r)
}

// A node that is cut off does not know that a key was deleted. What it admits is the
// operator's choice, whatever the caller asks for: at every route, for every action.
func TestDeletedKeyAtACutOffNode(t *testing.T) {
	cut := errors.New("cut off")
	for kind, votes := range map[string]bool{"replica": false, "writer": true, "deposed leader": true} {
		for _, setting := range []freshness.WithoutLease{"", freshness.AdmitNothing, freshness.AdmitQuestions, freshness.AdmitReads} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				mallory := w.user("mallory", allow("*"))
				w.must(&identity.EnableWebIdentity{Account: account, Issuer: "http://writ.test/issuers/" + issuerID})
				token := w.projection.View().Token().String()
				n, l := w.replica(func(c *config) {
					c.WithoutLease = setting
					c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error { return cut }
					c.Node.StrictHead = func(context.Context) (event.Head, error) { return event.Head{}, cut }
					c.Node.Everywhere = func(context.Context, event.Position, propagation.Scope, time.Duration) (s propagation.Status, err error) {
						return s, dispatch.ErrNotLeader
					}
					c.Node.SignHead = func(context.Context) (*event.SignedHead, error) { return nil, dispatch.ErrNotLeader }
					c.Node.Verify = func(context.Context, event.Position, time.Duration) (*shape.Verification, error) {
						return nil, dispatch.ErrNotLeader
					}
					c.Node.Propose = func(context.Context, event.Command) (*event.Batch, error) { return nil, dispatch.ErrNotLeader }
					if votes {
						c.Node.Votes, c.Node.Fresh = true, (&node{}).unleased
						c.Node.Chain = func(event.Position, int) ([][]byte, error) { return nil, nil }
					}
				})
				n.leads = kind == "deposed leader"
				w.log.show(n.projection)
				if !votes {
					l.grant(w, n.projection, n.projection.Head())
				}
				time.Sleep(11 * time.Second) // the lease runs out
				w.must(&identity.DeleteAccessKey{Account: account, User: "mallory", ID: mallory.id})
				deletion := w.projection.View().Token().String()

				for _, p := range probes(t, n.server, token) {
					for _, headers := range [][]string{
						nil, {"X-Writ-Consistency", "any"}, {"X-Writ-Consistency", "leased"}, {"X-Writ-Consistency", "strict"},
						{"X-Writ-At-Least", token}, {"X-Writ-At-Least", deletion}, {"X-Writ-At-Least", token, "X-Writ-Consistency", "any"},
						{"X-Writ-Max-Staleness", "1h"}, {"X-Writ-Max-Staleness", "1h", "X-Writ-Consistency", "any"},
					} {
						name := fmt.Sprintf("%s that admits %q: %s with %v", kind, setting, p.name, headers)
						rec := n.send(mallory, p, headers...)
						if p.open {
							if rec.Code == http.StatusServiceUnavailable {
								t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
							}
							continue
						}
						if !mayAdmit(setting, votes, p, headers, deletion) {
							refusedForNow(t, name, rec)
							continue
						}
						admitted(t, w, name, p, setting, headers, rec)
					}
				}
				n.server.EndStreams()
			})
		}
	}
}

// unleased is a node's freshness that never had a lease.
func (n *node) unleased() (f propagation.Freshness) { return f }

// mayAdmit tells whether a cut-off node may admit a probe.
func mayAdmit(setting freshness.WithoutLease, votes bool, p probe, headers []string, deletion string) bool {
	asked := map[string]string{}
	for i := 0; i < len(headers); i += 2 {
		asked[headers[i]] = headers[i+1]
	}
	mode := asked["X-Writ-Consistency"]
	switch {
	case slices.Contains([]string{"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage", "GetDelegatedAccessToken", "GetFederationToken", "GetSessionToken", "GetWebIdentityToken",
		"POST /v1/authenticate", "POST /v1/signing-key"}, p.name):
		return false // they work by keys that may be revoked
	case p.verifier: // what it asks for may be revoked, too
		return votes && setting == freshness.AdmitReads
	case p.leader, p.writer && !votes, mode == "leased", mode == "strict", asked["X-Writ-At-Least"] == deletion:
		return false
	case votes && (asked["X-Writ-Max-Staleness"] != "" || mode == "" && (asked["X-Writ-At-Least"] == "" || setting != freshness.AdmitReads)):
		return false // a writer reads strictly then
	case setting == freshness.AdmitReads:
		return true
	}
	return p.question && setting != freshness.AdmitNothing
}

// refusedForNow checks a refusal that says when to come again, and why; or one of
// what the request alone shows to be wrong.
func refusedForNow(t *testing.T, name string, rec *httptest.ResponseRecorder) {
	t.Helper()
	body := rec.Body.String()
	has := func(codes ...string) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return strings.Contains(body, code) })
	}
	switch {
	case rec.Code == http.StatusBadRequest && has("ValidationError", "MissingParameter"):
	case rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" || !has("NotLeased", "Unavailable", "NotReached"):
		t.Errorf("%s: %d %v %s", name, rec.Code, rec.Header(), body)
	}
}

// admitted checks an answer that was not refused for want of a lease: decisions say
// how fresh they are, and an allow is none, unless reads are admitted and the caller
// said how old it may be.
func admitted(t *testing.T, w *world, name string, p probe, setting freshness.WithoutLease, headers []string, rec *httptest.ResponseRecorder) {
	t.Helper()
	if rec.Code == http.StatusServiceUnavailable || rec.Code == http.StatusForbidden {
		t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
	}
	if !p.question {
		return
	}
	m := w.json(rec)
	if list, ok := m["answers"].([]any); ok {
		m = list[0].(map[string]any)
	}
	decision, mode := "indeterminate", "unleased"
	atLeast := slices.Contains(headers, "X-Writ-At-Least") && !slices.Contains(headers, "any")
	if atLeast {
		mode = "at_least"
	}
	if setting == freshness.AdmitReads && (atLeast || slices.Contains(headers, "X-Writ-Max-Staleness")) {
		decision = "allow"
	}
	if m["decision"] != decision || m["freshness"] != mode {
		t.Errorf("%s: %v (%v)", name, m["decision"], m["freshness"])
	}
}

func TestWithoutLeaseIsRead(t *testing.T) {
	var w freshness.WithoutLease
	if text, err := w.MarshalText(); err != nil || string(text) != "questions" {
		t.Errorf("by default %s, %v", text, err)
	}
	for _, text := range []string{"nothing", "questions", "reads"} {
		if err := w.UnmarshalText([]byte(text)); err != nil || w.String() != text {
			t.Errorf("%s: %s, %v", text, w, err)
		}
	}
	for _, text := range []string{"", "everything", "Reads"} {
		if err := w.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
