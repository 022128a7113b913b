package decision_test

import (
	"encoding/json"
	"testing"

	"github.com/writ-iam/writ/node/decision"
)

// A body that is taken is JSON; each of its questions is one, or is said to be none.
func FuzzParseBatch(f *testing.F) {
	for _, body := range []string{
		`{"questions":[{"principal":"arn:aws:iam::123456789012:user/a","action":"s3:Get"}]}`,
		`{"defaults":{"action":"s3:Get","context":{"a:b":["c"]}},"semantics":"deny_on_first_deny","errors":"each","questions":[{},{"x":[{"y":"}]"},-1.5e3,null]},17,"\"",[[]]]}`,
		`{"errors":"each","questions":[{"x":}]}`, `{"errors":"each","questions":[]]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		b, err := decision.ParseBatch([]byte(body))
		if err != nil {
			return
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%q is taken and is no JSON", body)
		}
		if n := len(b.Questions); n == 0 || n > decision.MaxBatch {
			t.Errorf("%d questions", n)
		}
		var whole struct{ Questions []json.RawMessage }
		if err := json.Unmarshal([]byte(body), &whole); err == nil && len(whole.Questions) != 0 && len(whole.Questions) != len(b.Questions) {
			t.Errorf("%q has %d questions, and %d were read", body, len(whole.Questions), len(b.Questions))
		}
	})
}
