package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/decision"
)

// batch asks a batch as somebody and returns the answers.
func (w *world) batch(c credential, body string) (answers []map[string]any) {
	w.t.Helper()
	rec := w.accepted("batch", w.native(c, "POST", "/v1/authorize/batch", body))
	for _, a := range w.json(rec)["answers"].([]any) {
		answers = append(answers, a.(map[string]any))
	}
	return answers
}

// told are the decisions of answers, with the codes of problems.
func told(answers []map[string]any) (list []string) {
	for _, a := range answers {
		text := a["decision"].(string)
		if p, ok := a["problem"].(map[string]any); ok {
			text += " " + p["code"].(string)
		}
		list = append(list, text)
	}
	return list
}

// A question has what it lacks of the defaults, wherever those stand; its context replaces theirs.
func TestBatchDefaults(t *testing.T) {
	w := newWorld(t)
	w.user("alice", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:Get","Resource":"arn:aws:s3:::b/*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-1","s3:prefix":"x"}}},
		{"Effect":"Allow","Action":"s3:Put","Resource":"arn:aws:s3:::b/*"},
		{"Effect":"Allow","Action":"s3:List","Resource":"*"}]}`)
	w.user("bob", allow("s3:Delete"))
	defaults := `"defaults":{"principal":"` + userARN("alice") + `","action":"s3:Get","resource":"arn:aws:s3:::b/k","context":{"aws:RequestedRegion":"eu-1","s3:prefix":"x"}}`
	questions := `"questions":[{},{"action":"s3:Put"},{"resource":"arn:aws:s3:::c/k"},{"context":{"s3:prefix":"x"}},{"context":{}},
		{"principal":"` + userARN("bob") + `"},{"principal":"` + userARN("bob") + `","action":"s3:Delete"},{"context":{"aws:RequestedRegion":"eu-1","s3:prefix":"x"}},{"explain":true}]`
	want := []string{"allow", "allow", "implicitDeny", "implicitDeny", "implicitDeny", "implicitDeny", "allow", "allow", "allow"}
	for _, body := range []string{"{" + defaults + "," + questions + "}", "{" + questions + "," + defaults + "}"} {
		answers := w.batch(w.root, body)
		if got := told(answers); !slices.Equal(got, want) {
			t.Errorf("%v, not %v", got, want)
		}
		if answers[8]["explanation"] == nil || answers[7]["explanation"] != nil {
			t.Error("the explanation is not with the question that asks for it alone")
		}
	}
	if got := told(w.batch(w.root, `{"questions":[{"principal":"`+userARN("alice")+`"}],"defaults":{"action":"s3:List"}}`)); !slices.Equal(got, []string{"allow"}) {
		t.Errorf("without a resource anywhere: %v", got)
	}
	if got := told(w.batch(w.root, `{"questions":[{},{"explain":false}],"defaults":{"principal":"`+userARN("alice")+`","action":"s3:List","explain":true}}`)); !slices.Equal(got, []string{"allow", "allow"}) {
		t.Errorf("explain by default: %v", got)
	}
}

// The semantics end the answers behind the one that decides.
func TestBatchSemantics(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	ask := func(semantics string, actions ...string) []string {
		var list []string
		for _, a := range actions {
			list = append(list, `{"action":"`+a+`"}`)
		}
		return told(w.batch(w.root, `{"errors":"each","defaults":{"principal":"`+userARN("alice")+`"},"questions":[`+strings.Join(list, ",")+`],"semantics":"`+semantics+`"}`))
	}
	const yes, no, wrong = "allow", "implicitDeny", "indeterminate InvalidRequest"
	for _, c := range []struct {
		semantics string
		actions   []string
		want      []string
	}{
		{"execute_all", []string{"s3:Put", "s3:Get", "s3:Put"}, []string{no, yes, no}},
		{"deny_on_first_deny", []string{"s3:Get", "s3:Put", "s3:Get"}, []string{yes, no}},
		{"deny_on_first_deny", []string{"s3:Get", "s3:Get"}, []string{yes, yes}},
		{"deny_on_first_deny", []string{"s3:Get", "*", "s3:Get"}, []string{yes, wrong}}, // an error is no allow
		{"permit_on_first_permit", []string{"s3:Put", "*", "s3:Get", "s3:Put"}, []string{no, wrong, yes}},
		{"permit_on_first_permit", []string{"s3:Put", "s3:Put"}, []string{no, no}},
	} {
		if got := ask(c.semantics, c.actions...); !slices.Equal(got, c.want) {
			t.Errorf("%s of %v: %v, not %v", c.semantics, c.actions, got, c.want)
		}
	}
	for name, body := range map[string]string{
		"semantics": `"semantics":"execute_some"`, "errors": `"errors":"some"`, "no text": `"errors":true`, "twice": `"errors":"each","errors":"each"`,
		"defaults": `"errors":"each","defaults":{"x":"y"}`, "defaults twice": `"defaults":{},"defaults":{}`,
	} {
		w.problem(name, w.native(w.root, "POST", "/v1/authorize/batch", `{`+body+`,"questions":[{"principal":"`+userARN("alice")+`","action":"s3:Get"}]}`), 400, "InvalidRequest")
	}
}

// With "errors": "each" what is wrong with a question is its own answer, which allows nothing; without, the
// whole batch is refused, as ever.
func TestBatchErrors(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	w.user("carol", allow("s3:Get"))
	app := w.user("app", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":["`+userARN("alice")+`","`+userARN("nobody")+`"]}}`)
	good := `{"principal":"` + userARN("alice") + `","action":"s3:Get"}`
	for _, c := range []struct{ name, question, code, says string }{
		{"no such principal", `{"principal":"` + userARN("nobody") + `","action":"s3:Get"}`, "NoSuchPrincipal", "does not exist at position"},
		{"not to be asked about", `{"principal":"` + userARN("carol") + `","action":"s3:Get"}`, "AccessDenied", "is not authorized to perform: writ:Authorize"},
		{"no action", `{"principal":"` + userARN("alice") + `"}`, "InvalidRequest", "The question cannot be answered"},
		{"a member that is not known", `{"principal":"` + userARN("alice") + `","action":"s3:Get","x":[{"y":"}]"},1.5e3,null]}`, "InvalidRequest", `has no member "x"`},
		{"a member twice", `{"principal":"` + userARN("alice") + `","action":"s3:Get","action":"s3:Get"}`, "InvalidRequest", "given twice"},
		{"a context that is none", `{"principal":"` + userARN("alice") + `","action":"s3:Get","context":{"aws:x":{"y":1}}}`, "InvalidRequest", "not the JSON that is expected"},
		{"no object", `17`, "InvalidRequest", "not the JSON that is expected"},
		{"null", `null`, "InvalidRequest", "not the JSON that is expected"},
	} {
		questions := `"questions":[` + good + `,` + c.question + `,` + good + `]`
		answers := w.batch(app, `{`+questions+`,"errors":"each"}`)
		if got, want := told(answers), []string{"allow", "indeterminate " + c.code, "allow"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", c.name, got, want)
			continue
		}
		problem := answers[1]["problem"].(map[string]any)
		if text := fmt.Sprint(problem["detail"]); !strings.Contains(text, c.says) || answers[1]["reason"] != text || problem["request_id"] != answers[0]["decision_id"] {
			t.Errorf("%s: %v", c.name, answers[1])
		}
		if answers[1]["position"] != answers[0]["position"] {
			t.Errorf("%s: %v is of another position", c.name, answers[1])
		}
		for _, errs := range []string{"", `,"errors":"whole"`} {
			rec := w.native(app, "POST", "/v1/authorize/batch", `{`+questions+errs+`}`)
			if m := w.json(rec); rec.Code < 400 || m["code"] != c.code || m["answers"] != nil {
				t.Errorf("%s, whole: %d %v", c.name, rec.Code, m)
			}
		}
	}
	// What is no JSON at all is wrong for all.
	for name, body := range map[string]string{"brackets": `{"x":[}]}`, "no end": `{"x":"`, "a word": `nul`, "nothing": ``} {
		w.problem(name, w.native(app, "POST", "/v1/authorize/batch", `{"errors":"each","questions":[`+good+`,`+body+`]}`), 400, "InvalidRequest")
	}
}

// Names that nobody has cost little: what was meant is looked for a few times a request.
func TestBatchOfNobodies(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get"))
	var list []string
	for i := range decision.MaxBatch {
		list = append(list, fmt.Sprintf(`{"principal":"%s","action":"s3:Get"}`, userARN(fmt.Sprintf("alicf%d", i))))
	}
	hints := 0
	for _, a := range w.batch(w.root, `{"errors":"each","questions":[`+strings.Join(list, ",")+`]}`) {
		if strings.Contains(fmt.Sprint(a["problem"].(map[string]any)["hint"]), "Did you mean") {
			hints++
		}
	}
	if hints == 0 || hints > 10 {
		t.Errorf("it was looked for what %d principals may have meant", hints)
	}
	// A lapse of the node itself is no question's own.
	n := w.addNode(false) // it has no lease
	w.log.show(n.projection)
	rec := n.native(w.root, "POST", "/v1/authorize/batch", `{"errors":"each","questions":[{"principal":"`+userARN("alice")+`","action":"s3:Get","explain":true}]}`)
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("without a lease: %d %s", rec.Code, rec.Body)
	}
}
