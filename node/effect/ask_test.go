package effect_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/fault"
)

// A request is read whole, and what is wrong with one is told as a fault of the caller's.
func TestParse(t *testing.T) {
	const question = `"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:GetObject","resource":"*"`
	a, err := effect.Parse([]byte(`{` + question + `,"expect":"allow","timeout":"3s","region":"r","replicas":["a","b"]}`))
	if err != nil || !a.Allow || a.Timeout != 3*time.Second || a.Scope.Region != "r" || len(a.Scope.Replicas) != 2 || a.Question.Action != "s3:GetObject" {
		t.Fatalf("%+v, %v", a, err)
	}
	for name, body := range map[string]string{
		"empty":           ``,
		"no object":       `[]`,
		"no expectation":  `{` + question + `}`,
		"expects neither": `{` + question + `,"expect":"maybe"}`,
		"explains":        `{` + question + `,"expect":"deny","explain":true}`,
		"no time":         `{` + question + `,"expect":"deny","timeout":"soon"}`,
		"no number":       `{` + question + `,"expect":"deny","count":"many"}`,
		"no token":        `{` + question + `,"expect":"deny","at_least":"17"}`,
		"twice":           `{` + question + `,"expect":"deny","expect":"allow"}`,
		"unknown":         `{` + question + `,"expect":"deny","else":1}`,
		"no action":       `{"principal":"arn:aws:iam::123456789012:user/alice","expect":"deny"}`,
		"too long":        `{` + question + `,"expect":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		var f *fault.Fault
		if a, err := effect.Parse([]byte(body)); !errors.As(err, &f) || f.Native().Status < 400 || f.Native().Status >= 500 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}
