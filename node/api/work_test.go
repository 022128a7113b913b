package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// Bounds of the work of a request; see node/admission/work.go.
const (
	maxWork   = 100_000_000
	freeWork  = 2_000_000
	lookEvery = 1 << 16
)

// work is how much was done for callers so far, in units.
func (n *node) work() int64 {
	n.world.t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.world.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "writ_work_units_total" {
			return int64(f.Metric[0].GetCounter().GetValue())
		}
	}
	n.world.t.Fatal("work is not counted")
	return 0
}

// simulation is a request to simulate that costs as much as its parts make it.
func simulation(document, value string, actions, resources int) []string {
	pairs := []string{"PolicyInputList.member.1", document, "ContextEntries.member.1.ContextKeyName", "app:key",
		"ContextEntries.member.1.ContextKeyType", "string", "ContextEntries.member.1.ContextKeyValues.member.1", value}
	for i := range actions {
		pairs = append(pairs, fmt.Sprintf("ActionNames.member.%d", i+1), fmt.Sprintf("app:Action%d", i))
	}
	for i := range resources {
		pairs = append(pairs, fmt.Sprintf("ResourceArns.member.%d", i+1), fmt.Sprintf("arn:aws:s3:::bucket/%d", i))
	}
	return pairs
}

func like(pattern string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"app:*","Resource":"*","Condition":{"StringLike":{"app:key":"` + pattern + `"}}}}`
}

// Whatever a caller brings to be evaluated, one request takes no more than its bound;
// and the most that AWS takes is answered where the policies are simple.
func TestWorkOfSimulations(t *testing.T) {
	w := newWorld(t)
	caller := w.user("caller", allow("iam:SimulateCustomPolicy"))
	keys := w.user("keys", allow("iam:GetContextKeysForCustomPolicy"))
	cost := func(rec *httptest.ResponseRecorder, before int64) int64 {
		t.Helper()
		spent := w.work() - before
		if spent > maxWork {
			t.Errorf("%d units of work: %.300s", spent, rec.Body)
		}
		return spent
	}
	letters := strings.Repeat("a", 20_000)
	for name, pairs := range map[string][]string{
		"wildcards":  simulation(like(strings.Repeat("?a", 1000)+"*b*c"), letters, 10, 1000),
		"stars":      simulation(like(strings.Repeat("*a", 1000)+"b"), letters, 10, 1000),
		"statements": simulation(`{"Version":"2012-10-17","Statement":[`+strings.Repeat(`{"Effect":"Allow","Action":"app:*","Resource":"*"},`, 2000)+`{"Effect":"Deny","Action":"app:X","Resource":"*"}]}`, "", 10, 1000),
		"values":     simulation(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"app:*","Resource":"*","Condition":{"StringEquals":{"app:key":["`+strings.Repeat(`a","`, 20_000)+`"]}}}}`, letters, 10, 1000),
		"actions":    simulation(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["`+strings.Repeat(`app:*a*b","`, 9_000)+`app:x"],"Resource":"*"}}`, "", 10, 1000),
		"keys": simulation(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"app:*","Resource":"*","Condition":{"StringEquals":{`+
			strings.TrimSuffix(fill(4000, `"app:%d":"",`), ",")+`}}}}`, "", 10, 1000),
	} {
		before := w.work()
		rec := w.iam(caller, "SimulateCustomPolicy", pairs...)
		spent := cost(rec, before)
		switch {
		case rec.Code == 400:
			if e := w.error(rec); e.Code != "InvalidInput" || !strings.Contains(e.Message, "name fewer actions and resources") && !strings.Contains(e.Message, "name fewer resources") {
				t.Errorf("%s: %v", name, e)
			}
		case rec.Code == 200 && strings.Contains(rec.Body.String(), "<IsTruncated>true</IsTruncated>"):
		default:
			t.Errorf("%s: status %d after %d units, %d bytes", name, rec.Code, spent, rec.Body.Len())
		}
		if rec.Body.Len() > 12<<20 {
			t.Errorf("%s: an answer of %d bytes", name, rec.Body.Len())
		}
	}
	before := w.work()
	rec := w.accepted("simple policies", w.iam(caller, "SimulateCustomPolicy", simulation(like("a*"), "abc", 10, 1000)...))
	cost(rec, before)
	if n := strings.Count(rec.Body.String(), "<EvalActionName>"); n != 10 || strings.Contains(rec.Body.String(), "<IsTruncated>true") {
		t.Errorf("%d actions of 10 on 1000 resources are simulated", n)
	}
	var pairs []string
	for i := range 30 {
		pairs = append(pairs, fmt.Sprintf("PolicyInputList.member.%d", i+1), like(strings.Repeat("x", 30_000)))
	}
	before = w.work()
	cost(w.iam(keys, "GetContextKeysForCustomPolicy", pairs...), before)
	if spent := w.work() - before; spent < 30*30_000 {
		t.Errorf("reading policies counts as %d units", spent)
	}
}

func fill(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A page that costs too much ends early, and the next goes on where it ended.
func TestSimulationGoesOn(t *testing.T) {
	w := newWorld(t)
	pairs := simulation(like(strings.Repeat("*aab", 20)), strings.Repeat("a", 1000), 10, 1000)
	seen, marker := 0, []string{}
	for range 20 {
		rec := w.accepted("a page", w.iam(w.root, "SimulateCustomPolicy", append(pairs, marker...)...))
		for strings.Contains(rec.Body.String(), fmt.Sprintf("<EvalActionName>app:Action%d<", seen)) {
			seen++
		}
		_, rest, more := strings.Cut(rec.Body.String(), "<Marker>")
		if !more {
			break
		}
		text, _, _ := strings.Cut(rest, "<")
		marker = []string{"Marker", text}
	}
	if seen != 10 {
		t.Errorf("%d actions of 10 came", seen)
	}
}

// What a caller asks about is bounded, too, though the policies are the cluster's.
func TestWorkOfQuestions(t *testing.T) {
	w := newWorld(t)
	w.must(&identity.CreateUser{Account: account, ID: "AIDAHEAVY00000000000", Name: "heavy", Path: "/"},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "heavy"}, Name: "own", Document: like(strings.Repeat("*a", 900) + "b")})
	question := func(value string) string {
		return `{"principal":"` + userARN("heavy") + `","action":"app:Do","context":{"app:key":"` + value + `"}}`
	}
	letters := strings.Repeat("a", 900)
	before := w.work()
	rec := w.native(w.root, "POST", "/v1/authorize/batch", `{"questions":[`+strings.Repeat(question(letters)+",", 999)+question(letters)+`]}`)
	if spent := w.work() - before; spent > maxWork {
		t.Errorf("a batch takes %d units: %.200s", spent, rec.Body)
	}
	if rec.Code != 200 {
		w.problem("a batch", rec, 400, "TooMuchWork")
	}
	before = w.work()
	w.accepted("a question", w.native(w.root, "POST", "/v1/authorize", question("b")))
	if spent := w.work() - before; spent < 100 || spent > 1_000_000 {
		t.Errorf("a question takes %d units", spent)
	}
	// a decision about oneself is work as well: of the caller's own policies
	r, body := form(iamVersion, "GetUser", "@User-Agent", strings.Repeat("a", 500_000))
	evil := w.user("evil", strings.Replace(like(strings.Repeat("*?a", 600)+"b"), "app:key", "aws:UserAgent", 1))
	if rec := w.serve(w.sign(r, evil, "iam", body)); rec.Code != 403 {
		t.Errorf("status %d", rec.Code)
	}
}

// An answer that would be too long is refused before it is made.
func TestLongAnswers(t *testing.T) {
	w := newWorld(t)
	w.user("alice", like("x"))
	value := strings.Repeat("v", 2000)
	one := `{"principal":"` + userARN("alice") + `","action":"app:Do","explain":true,"context":{"app:key":["` + strings.Repeat(value+`","`, 200) + `"]}}`
	w.accepted("one", w.native(w.root, "POST", "/v1/authorize", one))
	w.user("bob", `{"Version":"2012-10-17","Statement":[`+strings.TrimSuffix(strings.Repeat(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"app:key":"true"}}},`, 22), ",")+`]}`)
	w.problem("too long", w.native(w.root, "POST", "/v1/authorize", strings.Replace(one, "/alice", "/bob", 1)), 400, "AnswerTooLarge")
}

// The length of a simulation's answer is counted as XML holds it.
func TestLongSimulations(t *testing.T) {
	w := newWorld(t)
	pairs := []string{"PolicyInputList.member.1", like("a*")}
	for i := range 100 {
		pairs = append(pairs, fmt.Sprintf("ResourceArns.member.%d", i+1), "arn:aws:s3:::"+strings.Repeat("&", 2000))
	}
	for i := range 20 {
		pairs = append(pairs, fmt.Sprintf("ActionNames.member.%d", i+1), fmt.Sprintf("app:Action%d", i))
	}
	rec := w.accepted("a simulation", w.iam(w.root, "SimulateCustomPolicy", pairs...))
	if n := rec.Body.Len(); n < 4<<20 || n > 9<<20 || !strings.Contains(rec.Body.String(), "<IsTruncated>true") {
		t.Errorf("an answer of %d bytes", n)
	}
}

// Work stops soon after its caller has gone.
func TestWorkStops(t *testing.T) {
	w := newWorld(t)
	r, body := form(iamVersion, "SimulateCustomPolicy", simulation(like(strings.Repeat("*?a", 600)+"b"), strings.Repeat("a", 300), 10, 1000)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := w.work()
	rec := w.serve(w.sign(r, w.root, "iam", body).WithContext(ctx))
	if spent := w.work() - before; spent > 2*lookEvery || rec.Code != 503 {
		t.Errorf("status %d after %d units of work for nobody", rec.Code, spent)
	}
}

// What it takes to find out whether a caller may is work of the caller's making, too:
// its policies, and what its request says of itself. It is counted with the rest, and
// stops with the caller.
func TestWorkOfPermissions(t *testing.T) {
	w := newWorld(t)
	var dear []string
	for i := range 20 {
		dear = append(dear, fmt.Sprintf(`"%sb%d"`, strings.Repeat("*?a", 20), i))
	}
	caller := w.user("caller", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":[`+strings.Join(dear, ",")+`]}}}]}`)
	w.user("alice", allow("app:Do"))
	w.user("bob", allow("app:Do"))
	question := func(name string) string {
		return `{"principal":"` + userARN(name) + `","action":"app:Do","resource":"*"}`
	}
	agent := strings.Repeat("a", 2000)
	spent := func(body string, gone bool) (int64, *httptest.ResponseRecorder) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if gone {
			cancel()
		}
		r := httptest.NewRequest("POST", "http://writ.test/v1/authorize/batch", strings.NewReader(body))
		r.Header.Set("User-Agent", agent)
		before := w.work()
		rec := w.serve(w.sign(r, caller, "writ", []byte(body)).WithContext(ctx))
		return w.work() - before, rec
	}
	pair := question("alice") + "," + question("bob")
	one, rec := spent(`{"questions":[`+question("alice")+`]}`, false)
	w.accepted("one question", rec)
	if one < int64(len(agent)*len(dear)) {
		t.Errorf("a question by an expensive caller counts as %d units", one)
	}
	// Of one principal it is found out once.
	if same, rec := spent(`{"questions":[`+strings.Repeat(question("alice")+",", 999)+question("alice")+`]}`, false); rec.Code != 200 || same > 2*one+1000*lookEvery/64 {
		t.Errorf("a thousand questions about one principal take %d units, one %d; status %d", same, one, rec.Code)
	}
	all, rec := spent(`{"questions":[`+strings.Repeat(pair+",", 499)+pair+`]}`, false)
	if all > maxWork || rec.Code == 200 {
		t.Errorf("status %d after %d units", rec.Code, all)
	}
	if all, rec := spent(`{"questions":[`+strings.Repeat(pair+",", 499)+pair+`]}`, true); all > 2*lookEvery || rec.Code != 503 {
		t.Errorf("status %d after %d units of work for nobody", rec.Code, all)
	}
	// A write is admitted as a part of its own job.
	r, text := form(iamVersion, "TagUser", "UserName", "alice", "Tags.member.1.Key", "k", "Tags.member.1.Value", "v", "@User-Agent", agent)
	before := w.work()
	w.accepted("a write", w.serve(w.sign(r, caller, "iam", text)))
	if n := w.work() - before; n < int64(len(agent)*len(dear)) {
		t.Errorf("a write by an expensive caller counts as %d units", n)
	}
}

// stuck is a caller who does not read its answer until the test lets it.
type stuck struct {
	*httptest.ResponseRecorder
	writing chan struct{} // closed when the answer has begun to come
	read    chan struct{}
}

// Write waits for the caller.
func (s *stuck) Write(b []byte) (int, error) {
	close(s.writing)
	<-s.read
	return s.ResponseRecorder.Write(b)
}

// Whoever takes much work and does not read the answer keeps nobody else from work.
func TestSlowReadersHoldNoShift(t *testing.T) {
	w := newWorld(t)
	w.must(&identity.CreateUser{Account: account, ID: "AIDAHEAVY00000000000", Name: "heavy", Path: "/"},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "heavy"}, Name: "own", Document: like(strings.Repeat("*a", 900) + "b")})
	question := `{"principal":"` + userARN("heavy") + `","action":"app:Do","context":{"app:key":"` + strings.Repeat("a", 900) + `"}}`
	batch := `{"questions":[` + strings.Repeat(question+",", 999) + question + `]}`
	for service, request := range map[string]func() (*http.Request, []byte){
		"writ": func() (*http.Request, []byte) {
			return httptest.NewRequest("POST", "http://writ.test/v1/authorize/batch", strings.NewReader(batch)), []byte(batch)
		},
		"iam": func() (*http.Request, []byte) {
			return form(iamVersion, "SimulateCustomPolicy", simulation(like(strings.Repeat("*aab", 20)), strings.Repeat("a", 1000), 10, 400)...)
		},
	} {
		r, body := request()
		before := w.work()
		w.accepted(service, w.serve(w.sign(r, w.root, service, body)))
		if spent := w.work() - before; spent < 2*freeWork {
			t.Errorf("%s: %d units take no shift", service, spent)
		}
		var callers []*stuck
		var serving sync.WaitGroup
		for range runtime.GOMAXPROCS(0) { // more than there are shifts, but for one
			r, body := request()
			s := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
			serving.Go(func() { w.node.server.ServeHTTP(s, w.sign(r, w.root, service, body)) })
			<-s.writing
			if s.Code != http.StatusOK {
				t.Errorf("%s: number %d of those who do not read gets status %d", service, len(callers)+1, s.Code)
			}
			callers = append(callers, s)
		}
		for _, s := range callers {
			close(s.read)
		}
		serving.Wait()
	}
}
