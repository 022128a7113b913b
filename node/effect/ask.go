package effect

import (
	"fmt"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/replication/propagation"
)

// maxBody bounds the body of a request, in bytes: it goes on to replicas.
const maxBody = 24 << 10

const hint = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "context": {...}, "expect": "allow" or "deny", "timeout": "30s"}, ` +
	`and "replicas": [NAME, ...], "region": NAME or "count": N to narrow it down.`

// Ask is what a request waits for.
type Ask struct {
	decision.Question
	Allow   bool // what is expected
	Scope   propagation.Scope
	Timeout time.Duration
	AtLeast *event.Token // a position that the node must show first; may be nil
}

// Words for what is expected of a decision.
const (
	expectAllow = "allow"
	expectDeny  = "deny"
)

// Expect is what is expected, in a word.
func (a *Ask) Expect() string {
	if a.Allow {
		return expectAllow
	}
	return expectDeny
}

// Parse reads what a request waits for.
func Parse(body []byte) (a Ask, err error) {
	if len(body) > maxBody {
		return a, fault.New(fault.QuestionTooLarge, fmt.Sprintf("The question is longer than %d bytes.", maxBody), "")
	}
	var more extras
	if err := decision.Decode(body, hint, func(r *decision.Reader) error {
		return r.QuestionAnd(&a.Question, func(name string) (int, error) { return more.read(r, name) })
	}); err != nil {
		return a, err
	}
	if a.Allow = more.expect == expectAllow; !a.Allow && more.expect != expectDeny {
		return a, fault.BadRequest(hint, "expect is %s.", fault.Quote(more.expect))
	}
	if a.Explain {
		return a, fault.BadRequest("Ask POST /v1/authorize to explain a decision.", "An effect is not explained.")
	}
	if a.Timeout, err = freshness.ParseTimeout(more.timeout); err != nil {
		return a, err
	}
	a.Scope = propagation.Scope{Replicas: more.replicas, Region: more.region}
	if more.count != "" {
		if a.Scope.Count, err = ParseCount(more.count); err != nil {
			return a, err
		}
	}
	if more.atLeast != "" {
		t, err := event.ParseToken(more.atLeast)
		if err != nil {
			return a, freshness.TokenFault(err)
		}
		a.AtLeast = &t
	}
	return a, a.Check()
}

// extras are what a request has besides the question.
type extras struct {
	expect, region, count, timeout, atLeast string
	replicas                                []string
}

// read reads one of them, for decision.Reader.QuestionAnd.
func (m *extras) read(r *decision.Reader, name string) (bit int, err error) {
	switch name {
	case "expect":
		m.expect, err = r.String()
		return decision.HasExtra, err
	case "region":
		m.region, err = r.String()
		return decision.HasExtra << 1, err
	case "count":
		m.count = r.Digits()
		return decision.HasExtra << 2, nil
	case "timeout":
		m.timeout, err = r.String()
		return decision.HasExtra << 3, err
	case "at_least":
		m.atLeast, err = r.String()
		return decision.HasExtra << 4, err
	case "replicas":
		return decision.HasExtra << 5, r.Array(func() error {
			name, err := r.String()
			m.replicas = append(m.replicas, name)
			return err
		})
	}
	return 0, nil
}

// ParseCount reads a number of replicas.
func ParseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fault.BadRequest("Give a number of replicas, at least 1.", "count is %s.", fault.Quote(text))
	}
	return n, nil
}
