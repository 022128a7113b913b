package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/replication/propagation"
)

// problem checks an answer for RFC 9457's members and returns its detail.
func (w *world) problem(name string, rec *httptest.ResponseRecorder, status int, code string) string {
	w.t.Helper()
	m := w.json(rec)
	if rec.Code != status || m["code"] != code {
		w.t.Errorf("%s: %d %v, not %d %s", name, rec.Code, m, status, code)
	}
	if m["type"] != "about:blank" || m["title"] != http.StatusText(rec.Code) || m["status"] != float64(rec.Code) ||
		rec.Header().Get("Content-Type") != "application/problem+json" ||
		m["request_id"] == "" || m["request_id"] != rec.Header().Get("X-Amzn-Requestid") {
		w.t.Errorf("%s: %v with headers %v", name, m, rec.Header())
	}
	if (rec.Header().Get("Retry-After") == "1") != (rec.Code == http.StatusServiceUnavailable) {
		w.t.Errorf("%s: Retry-After is %q with status %d", name, rec.Header().Get("Retry-After"), rec.Code)
	}
	detail, _ := m["detail"].(string)
	return detail
}

func TestAuthorize(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get*"))
	app := w.user("app", allow("writ:Authorize"))
	m := w.ask(app, userARN("alice"), "s3:GetObject")
	for name, want := range map[string]any{
		"decision": "allow", "cluster": clusterID, "incarnation": incarnation, "position": float64(7), "known_head": float64(7),
		"freshness": "strict", "node": "node-1", "hash": fmt.Sprintf("%x", w.log.head.Hash[:8]),
	} {
		if m[name] != want {
			t.Errorf("%s is %v, not %v", name, m[name], want)
		}
	}
	if m["decision_id"] == "" || m["reason"] != nil || m["explanation"] != nil {
		t.Errorf("the answer is %v", m)
	}
	if m = w.ask(app, userARN("alice"), "s3:PutObject"); m["decision"] != "implicitDeny" || !strings.Contains(m["reason"].(string), "no identity-based policy allows the s3:PutObject action") {
		t.Errorf("another action: %v", m)
	}
	if m = w.ask(app, "arn:aws:iam::123456789012:root", "s3:GetObject"); m["decision"] != "allow" {
		t.Errorf("the root: %v", m)
	}
	rec := w.native(app, "POST", "/v1/authorize", `{"principal":"`+userARN("alice")+`","action":"s3:GetObject","explain":true}`)
	if m = w.json(rec); m["explanation"] == nil {
		t.Errorf("not explained: %v", m)
	}
	if rec.Header().Get("X-Writ-Position") != "7" || rec.Header().Get("X-Writ-Freshness") != "strict" || rec.Header().Get("X-Amzn-Requestid") != m["decision_id"] {
		t.Errorf("headers are %v", rec.Header())
	}
}

func TestAuthorizeContext(t *testing.T) {
	w := newWorld(t)
	w.user("alice", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:Get","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}},
		{"Effect":"Allow","Action":"s3:Put","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}},
		{"Effect":"Allow","Action":"s3:List","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-07-02T00:00:00Z"}}}]}`)
	for _, c := range []struct{ action, context, want string }{
		{"s3:Get", `{"aws:SourceIp":"203.0.113.7"}`, "allow"},
		{"s3:Get", `{"AWS:sourceip":"203.0.113.7"}`, "allow"},
		{"s3:Get", `{"aws:SourceIp":"198.51.100.7"}`, "implicitDeny"},
		{"s3:Get", `{}`, "implicitDeny"}, // the asker's own address does not count
		{"s3:Put", `{"aws:TagKeys":["a","b"]}`, "allow"},
		{"s3:Put", `{"aws:TagKeys":["a","c"]}`, "implicitDeny"},
		{"s3:Put", `{"aws:TagKeys":[]}`, "allow"},
		{"s3:List", `{}`, "allow"}, // the time is the node's
	} {
		m := w.json(w.native(w.root, "POST", "/v1/authorize", `{"principal":"`+userARN("alice")+`","action":"`+c.action+`","context":`+c.context+`}`))
		if m["decision"] != c.want {
			t.Errorf("%s with %s: %v", c.action, c.context, m)
		}
	}
}

func TestBatch(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	question := func(action string) string {
		return `{"principal":"` + userARN("alice") + `","action":"` + action + `"}`
	}
	rec := w.native(w.root, "POST", "/v1/authorize/batch", `{"questions":[`+question("s3:Get")+`,`+question("s3:Put")+`]}`)
	answers, _ := w.json(rec)["answers"].([]any)
	if len(answers) != 2 || answers[0].(map[string]any)["decision"] != "allow" || answers[1].(map[string]any)["decision"] != "implicitDeny" {
		t.Errorf("answers: %s", rec.Body)
	}
	many := func(n int) string {
		return `{"questions":[` + strings.TrimSuffix(strings.Repeat(question("s3:Get")+",", n), ",") + `]}`
	}
	rec = w.native(w.root, "POST", "/v1/authorize/batch", many(decision.MaxBatch))
	if answers, _ := w.json(rec)["answers"].([]any); len(answers) != decision.MaxBatch {
		t.Errorf("%d answers", len(answers))
	}
	for name, body := range map[string]string{
		"none": `{"questions":[]}`, "no member": `{}`, "another member": `{"x":[]}`, "too many": many(decision.MaxBatch + 1),
		"twice": `{"questions":[],"questions":[]}`, "not a list": `{"questions":{}}`, "no principal": `{"questions":[{"action":"s3:Get"}]}`,
	} {
		w.problem(name, w.native(w.root, "POST", "/v1/authorize/batch", body), 400, "InvalidRequest")
	}
}

// A caller needs the permission on the principal, and no account's root has it for
// another account's principals.
func TestAuthorizePermission(t *testing.T) {
	w := newWorld(t, func(c *config) {
		c.Node.Chain = func(event.Position, int) ([][]byte, error) { return nil, nil }
	})
	stranger := credential{"AKIAOTHEROTHER000000", "the secret of another root"}
	w.must(&identity.CreateAccount{ID: other, RootKey: w.sealed(other, stranger)})
	w.user("alice", "")
	app := w.user("app", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"`+userARN("alice")+`"}}`)
	ask := func(c credential, name string) *httptest.ResponseRecorder {
		return w.native(c, "POST", "/v1/authorize", `{"principal":"`+userARN(name)+`","action":"s3:Get"}`)
	}
	w.accepted("alice", ask(app, "alice"))
	if detail := w.problem("app", ask(app, "app"), 403, "AccessDenied"); !strings.Contains(detail, "is not authorized to perform: writ:Authorize on resource: "+userARN("app")) {
		t.Errorf("the detail is %q", detail)
	}
	w.problem("another account", ask(stranger, "alice"), 403, "AccessDenied")
	w.problem("no permission", w.native(app, "GET", "/v1/cluster", ""), 403, "AccessDenied")
	w.accepted("its own account's", w.native(stranger, "GET", "/v1/cluster", ""))
	for _, target := range []string{"DELETE /v1/replicas/r", "POST /v1/replicas/r/drain", "POST /v1/replicas/r/admit", "GET /v1/chain?after=1", "GET /v1/events", "POST /v1/verify"} {
		method, path, _ := strings.Cut(target, " ")
		w.problem(target, w.native(stranger, method, path, ""), 403, "AccessDenied")
	}
	w.problem("no permission", w.native(app, "GET", "/v1/propagation?head", ""), 403, "AccessDenied")
}

func TestAuthorizeRefusesBadQuestions(t *testing.T) {
	w := newWorld(t)
	long, longKey := strings.Repeat("x", 2049), strings.Repeat("x", 256)
	about := func(members string) string { return `{"principal":"arn:aws:iam::123456789012:root",` + members + `}` }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return `{"principal":"arn:aws:iam::123456789012:root","action":"s3:Get","context":{` + b.String()[1:] + `}}`
	}
	for _, c := range []struct{ body, detail string }{
		{``, "at byte 1: here should be an object"},
		{`null`, "at byte 1: here should be an object"},
		{`[]`, "at byte 1: here should be an object"},
		{`{`, "at byte 2: here should be a string"},
		{`{"principal":"p","action":"a"} x`, "at byte 32: the text goes on after its end"},
		{`{"principal":"p","action":"a"}{}`, "the text goes on after its end"},
		{`{"principal":"p","action":"a","extra":1}`, `a question has no member "extra"`},
		{`{"Principal":"p","action":"a"}`, `a question has no member "Principal"`},
		{`{"principal":"p","action":"a","action":"b"}`, `the member "action" is given twice`},
		{`{"principal":"p" "action":"a"}`, "here should be a comma"},
		{`{"principal" "p"}`, "here should be a colon"},
		{`{"principal":"p","action":"a",}`, "here should be a string"},
		{`{"principal":7,"action":"a"}`, "here should be a string"},
		{`{"principal":"p`, "the string has no end"},
		{`{"principal":"p\`, "the string has no end"},
		{`{"principal":"\x"}`, "an escape that JSON does not know"},
		{"{\"principal\":\"a\nb\"}", "a control character"},
		{"{\"principal\":\"\xff\"}", "not UTF-8"},
		{"{\"principal\":\"p\",\"action\":\"a\"}\x00", "the text goes on"},
		{`{"principal":"p","action":"a","explain":1}`, "here should be true or false"},
		{`{"principal":"p","action":"a","context":[]}`, "here should be an object"},
		{`{"principal":"p","action":"a","context":{"k":null}}`, "here should be a list"},
		{`{"principal":"p","action":"a","context":{"k":["v",null]}}`, "here should be a string"},
		{`{"principal":"p","action":"a","context":{"aws:SourceIp":"1.2.3.4","AWS:SourceIp":"5.6.7.8"}}`, `"AWS:SourceIp" is given twice`},
		{`{"principal":"p","action":"a","context":{"` + longKey + `":"a","` + longKey + `":"b"}}`, "... is given twice"},
		{`{"principal":"p","action":"a","context":{"` + long + `":"a"}}`, "a condition key is longer than 256 characters"},
		{`{"principal":"p","action":"a","context":{"":"a"}}`, "a condition key has no name"},
		{`{"principal":"p","action":"a","context":{" aws:SourceIp":"a"}}`, "has spaces around it"},
		{keys(257), "more than 256 keys"},
		{`{"principal":"p","action":"a","context":{"k":[` + strings.Repeat(`"v",`, 1000) + `"v"]}}`, "more than 1000 values"},
		{`{}`, "no principal is named"},
		{`{"principal":"` + long + `","action":"s3:Get"}`, "the principal is longer than 2048"},
		{`{"principal":"alice","action":"s3:Get"}`, `the principal "alice" is not the ARN of one`},
		{`{"principal":"arn:aws:iam::123456789012:group/g","action":"s3:Get"}`, "is a group"},
		{about(`"action":"s3:*"`), "has a wildcard"},
		{about(`"action":"s3:Get?"`), "has a wildcard"},
		{about(`"action":"GetObject"`), "names no service"},
		{about(`"action":"s3:Get Object"`), "not of the form service:Action"},
		{about(`"explain":true`), "no action is named"},
		{about(`"actoin":"s3:Get"`), `a question has no member "actoin"`},
		{about(`"action":"s3:Get","resource":""`), "the resource is empty"},
		{about(`"action":"s3:Get","resource":"bucket/key"`), "is no ARN"},
		{about(`"action":"s3:Get","resource":"arn:aws:s3:*:*:bucket"`), "wildcard before its last field"},
	} {
		detail := w.problem(c.body[:min(len(c.body), 60)], w.native(w.root, "POST", "/v1/authorize", c.body), 400, "InvalidRequest")
		if want := strings.ReplaceAll(c.detail, `... is`, `..." is`); !strings.Contains(detail, want) {
			t.Errorf("%.60q: %q, not %q", c.body, detail, want)
		}
	}
	for _, body := range []string{
		keys(256), " \t\r\n{ \"principal\" : \"arn:aws:iam::123456789012:roo\\u0074\" , \"action\" : \"s3:Get\" , \"explain\" : false } \n",
		about(`"action":"s3:Get","resource":"arn:aws:s3:::p\"\\","context":{}`),
	} {
		w.accepted(body[:20], w.native(w.root, "POST", "/v1/authorize", body))
	}
	w.problem("too large", w.native(w.root, "POST", "/v1/authorize", strings.Repeat(" ", admission.MaxBody+1)), 413, "RequestEntityTooLarge")
	r := httptest.NewRequest("POST", "/v1/authorize", strings.NewReader("{"))
	r.ContentLength = 9
	w.problem("cut short", w.serve(r), 400, "IncompleteBody")
	w.problem("unsigned", w.serve(httptest.NewRequest("POST", "/v1/authorize", nil)), 403, "MissingAuthenticationToken")
	w.problem("for another service", w.serve(w.sign(httptest.NewRequest("GET", "/v1/cluster", nil), w.root, "iam", nil)), 403, "SignatureDoesNotMatch")
	w.problem("another method", w.native(w.root, "GET", "/v1/authorize", ""), 404, "NotFound")
}

func FuzzAuthorize(f *testing.F) {
	for _, s := range []string{benchQuestion, `{}`, `{"questions":[{}]}`, `{"principal":"\ud800","action":"a","context":{"k":["v"],"l":"w"},"explain":true}`, ` [] `, `{"context":{"a":"`} {
		f.Add(s)
	}
	w := newWorld(f, quiet)
	f.Fuzz(func(t *testing.T, body string) {
		rec := w.native(w.root, "POST", "/v1/authorize", body)
		if !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%q is answered with %s", body, rec.Body)
		}
		var oracle struct {
			Principal, Action, Resource string
			Explain                     bool
			Context                     map[string]any
		}
		dec := json.NewDecoder(strings.NewReader(body))
		dec.DisallowUnknownFields()
		err := dec.Decode(&oracle)
		switch {
		case rec.Code == http.StatusOK && err != nil:
			t.Fatalf("%q was taken; encoding/json says %v", body, err)
		case rec.Code != http.StatusOK && rec.Code != http.StatusBadRequest && rec.Code != http.StatusNotFound && rec.Code != http.StatusForbidden && rec.Code != http.StatusRequestEntityTooLarge:
			t.Fatalf("%q: status %d", body, rec.Code)
		}
		w.native(w.root, "POST", "/v1/authorize/batch", body)
	})
}

func TestPropagation(t *testing.T) {
	type asked struct {
		at    event.Position
		scope propagation.Scope
		wait  time.Duration
	}
	var got asked
	status, failure := propagation.Status{State: propagation.StateCommitted}, error(nil)
	w := newWorld(t, func(c *config) {
		c.Node.Everywhere = func(_ context.Context, at event.Position, scope propagation.Scope, wait time.Duration) (propagation.Status, error) {
			got = asked{at, scope, wait}
			return status, failure
		}
	})
	w.user("alice", allow("s3:Get"))
	w.must(&identity.CreateGroup{Account: account, ID: "AGPADEVS", Name: "devs", Path: "/x/"},
		&identity.CreatePolicy{Account: account, ID: "ANPAREAD", Name: "read", Path: "/", Document: allow("s3:Get")},
		&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindGroup, Account: account, Name: "devs"}, Policy: "arn:aws:iam::123456789012:policy/read"},
		&identity.CreatePolicyVersion{ARN: "arn:aws:iam::123456789012:policy/read", Document: allow("s3:Put"), Default: true})
	token := w.projection.View().Token()
	none := propagation.Scope{}
	for target, want := range map[string]asked{
		"/v1/propagation?head":                                       {8, none, 0},
		"/v1/propagation/" + token.String():                          {8, none, 0},
		"/v1/propagation?token=" + token.String():                    {8, none, 0},
		"/v1/propagation?arn=" + userARN("alice"):                    {4, none, 0},
		"/v1/propagation?arn=arn:aws:iam::123456789012:policy/read":  {8, none, 0},
		"/v1/propagation?arn=arn:aws:iam::123456789012:group/x/devs": {8, none, 0},
		"/v1/propagation?head&wait=everywhere":                       {8, none, 30 * time.Second},
		"/v1/propagation?head&wait=everywhere&timeout=1m30s":         {8, none, 90 * time.Second},
		"/v1/propagation?head&replicas=a,b&region=eu&count=2":        {8, propagation.Scope{Replicas: []string{"a", "b"}, Region: "eu", Count: 2}, 0},
	} {
		got = asked{}
		w.accepted(target, w.native(w.root, "GET", target, ""))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s asks %v, not %v", target, got, want)
		}
	}
	for target, code := range map[string]int{
		"/v1/propagation": 400, "/v1/propagation/nonsense": 400, "/v1/propagation?head&wait=nowhere": 400,
		"/v1/propagation?head&wait=everywhere&timeout=soon": 400, "/v1/propagation?head&wait=everywhere&timeout=11m": 400,
		"/v1/propagation?head&wait=everywhere&timeout=-1s": 400, "/v1/propagation?head&count=0": 400, "/v1/propagation?head&count=x": 400,
	} {
		w.problem(target, w.native(w.root, "GET", target, ""), code, "InvalidRequest")
	}
	for _, arn := range []string{userARN("nobody"), "arn:aws:iam::123456789012:group/devs", "arn:aws:iam::123456789012:group/nobody", "x"} {
		w.problem(arn, w.native(w.root, "GET", "/v1/propagation?arn="+arn, ""), 404, "NoSuchEntity")
	}
	for name, change := range map[string]func(*event.Token){
		"another cluster":     func(k *event.Token) { k.Cluster = "x" },
		"another incarnation": func(k *event.Token) { k.Incarnation = "x" },
		"another history":     func(k *event.Token) { k.Prefix[0]++ },
	} {
		k := token
		change(&k)
		w.problem(name, w.native(w.root, "GET", "/v1/propagation/"+k.String(), ""), 409, "WrongToken")
	}

	status = propagation.Status{State: propagation.StatePartial, VisibleOn: []string{"a"}, Pending: []string{"b"}, Bounded: true, WorstCase: 1500*time.Millisecond + 1, Roster: 3, Floor: 5}
	m := w.json(w.native(w.root, "GET", "/v1/propagation?head", ""))
	if fmt.Sprint(m["visible_on"], m["fenced"], m["pending"], m["worst_case_ms"], m["state"], m["token"], m["roster_position"], m["floor"]) !=
		fmt.Sprint([]any{"a"}, []any{}, []any{"b"}, 1501, "partial", token.String(), 3, 5) {
		t.Errorf("the answer is %v", m)
	}
	failure = propagation.ErrScope
	w.problem("a scope", w.native(w.root, "GET", "/v1/propagation?head", ""), 400, "InvalidRequest")
	failure = errors.New("10.0.0.1 is down")
	if detail := w.problem("trouble", w.native(w.root, "GET", "/v1/propagation?head", ""), 503, "Unavailable"); strings.Contains(detail, "10.") {
		t.Errorf("an inner cause in %q", detail)
	}
}

// The id of a write's answer, whoever passed the request on, finds where it took
// effect; ids of other requests do not.
func TestPropagationOfARequest(t *testing.T) {
	asked := event.Position(0)
	w := newWorld(t, func(c *config) {
		c.Node.Everywhere = func(_ context.Context, at event.Position, _ propagation.Scope, _ time.Duration) (propagation.Status, error) {
			asked = at
			return propagation.Status{State: propagation.StateEverywhere}, nil
		}
	})
	var seen admission.Forwarded
	n, _ := w.replica(func(c *config) { c.Node.Forward = to(&w.node, &seen) })
	w.log.show(n.projection)
	target := func(id string) string { return "/v1/propagation?request_id=" + id }
	id := ""
	for name, by := range map[string]*node{"the leader": w.node, "another node": n} {
		for _, invocation := range []string{"", "i-1"} {
			user := fmt.Sprintf("u%d", w.log.position())
			rec := w.accepted(name, by.iam(w.root, "CreateUser", "UserName", user, "@Amz-Sdk-Invocation-Id", invocation))
			id = rec.Header().Get("X-Amzn-Requestid")
			cause := w.log.batches[len(w.log.batches)-1].Cause
			if id != between(rec.Body.String(), "RequestId") || id != cause.Request || id != cause.Key.String() {
				t.Errorf("%s answers %s, %s; the cause is %+v", name, id, rec.Body, cause)
			}
			if w.accepted(name, w.native(w.root, "GET", target(id), "")); asked != w.log.position() {
				t.Errorf("by way of %s: position %d, not %d", name, asked, w.log.position())
			}
		}
	}
	// the lines of both nodes' logs carry it
	if lines := strings.Count(w.logs.String(), `"request":"`+seen.RequestID+`","action":"CreateUser"`); lines != 2 {
		t.Errorf("%d lines about %s in %s", lines, seen.RequestID, w.logs)
	}

	read := w.accepted("a read", w.iam(w.root, "ListUsers"))
	refused := w.iam(w.root, "CreateUser", "UserName", "u1", "Path", "nonsense")
	for _, rec := range []*httptest.ResponseRecorder{read, refused} {
		w.problem("no write", w.native(w.root, "GET", target(rec.Header().Get("X-Amzn-Requestid")), ""), 404, "NoSuchRequest")
	}
	w.problem("no id", w.native(w.root, "GET", target("nonsense"), ""), 400, "InvalidRequest")
}

// Whoever knows the id of a request can do nothing with it: another credential, or
// another request, is another attempt.
func TestRequestIDsGiveNothingAway(t *testing.T) {
	w := newWorld(t)
	mallory := w.user("mallory", allow("*"))
	w.must(&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/"})
	first := w.accepted("a key", w.iam(w.root, "CreateAccessKey", "UserName", "alice", "@Amz-Sdk-Invocation-Id", "i-1"))
	id := first.Header().Get("X-Amzn-Requestid")
	secret := between(first.Body.String(), "SecretAccessKey")
	for _, invocation := range []string{"i-1", id} {
		rec := w.iam(mallory, "CreateAccessKey", "UserName", "alice", "@Amz-Sdk-Invocation-Id", invocation, "@X-Writ-Forwarded-Id", id, "@X-Amzn-Requestid", id)
		if secret == "" || strings.Contains(rec.Body.String(), secret) || rec.Header().Get("X-Amzn-Requestid") == id {
			t.Errorf("with %s somebody else is answered %s", invocation, rec.Body)
		}
	}
}

func TestCluster(t *testing.T) {
	w := newWorld(t)
	if m := w.json(w.native(w.root, "GET", "/v1/cluster", "")); m["leader"] != "node-1" || m["cluster"] != clusterID {
		t.Errorf("the cluster is %v", m)
	}
	// without a leader, a node tells what it knows, if it may
	for _, target := range []string{"/v1/cluster", "/v1/cluster?local"} {
		n, l := w.replica(func(c *config) {
			c.Node.Status = func(context.Context) shape.Cluster { return shape.Cluster{Node: "replica-1"} }
			c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error {
				if target == "/v1/cluster?local" {
					t.Error("a local question was handed on")
				}
				return errors.New("nobody leads")
			}
		})
		w.log.show(n.projection)
		w.problem(target, n.native(w.root, "GET", target, "", "X-Writ-Consistency", "any"), 503, "NotLeased")
		l.grant(w, n.projection, n.projection.Head())
		if m := w.json(n.native(w.root, "GET", target, "")); m["node"] != "replica-1" || m["without_lease"] != "questions" {
			t.Errorf("%s: %v", target, m)
		}
	}
}

func TestHealth(t *testing.T) {
	checks := []api.Check{{Name: "raft", Detail: "term 3"}, {Name: "digest"}}
	w := newWorld(t, func(c *config) { c.Node.Checks = func() []api.Check { return checks } })
	get := func(target string) (int, string) {
		rec := w.serve(httptest.NewRequest("GET", target, nil))
		return rec.Code, rec.Body.String()
	}
	expect := func(target string, status int, text string) {
		t.Helper()
		if code, got := get(target); code != status || got != text {
			t.Errorf("%s: %d %q, not %d %q", target, code, got, status, text)
		}
	}
	expect("/livez", 200, "ok\n")
	expect("/readyz", 200, "ok\n")
	expect("/readyz?verbose", 200, "[+]raft ok: term 3\n[+]digest ok\nreadyz check passed\n")
	checks[1].Err = errors.New("it differs")
	expect("/livez", 200, "ok\n")
	expect("/readyz", 503, "[+]raft ok: term 3\n[-]digest failed: it differs\nreadyz check failed\n")

	alice := w.user("alice", "")
	w.iam(alice, "CreateUser", "UserName", "new")
	w.iam(w.root, "GetUser", "UserName", "alice")
	w.iam(w.root, "DeleteEverything")
	w.ask(w.root, userARN("alice"), "s3:Get")
	_, metrics := get("/metrics")
	for _, line := range []string{
		`writ_request_duration_seconds_count{action="CreateUser",code="403"} 1`,
		`writ_request_duration_seconds_count{action="GetUser",code="200"} 1`,
		`writ_request_duration_seconds_count{action="unknown",code="400"} 1`,
		`writ_request_duration_seconds_count{action="writ:Authorize",code="200"} 1`,
		`writ_decisions_total{decision="implicitDeny",freshness="strict"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, secret := range []string{"arn:", "alice", alice.id, w.root.id, "DeleteEverything"} {
		if strings.Contains(metrics, secret) {
			t.Errorf("the metrics tell %s", secret)
		}
	}
}
