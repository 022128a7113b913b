package proxy

import (
	"errors"
	"net/http"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/webidentity"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/policy"
)

// Headers of answers.
const (
	// HeaderPrincipal has the ARN of the end user, of an allow.
	HeaderPrincipal = "X-Writ-Principal"
	// HeaderReason says why a request is not allowed, if the mapping has it told.
	HeaderReason = "X-Writ-Reason"
)

// Outcome is what a proxy is told.
type Outcome struct {
	// Status is 200 for an allow, 401, 403, or 503 where the node cannot know now.
	Status    int
	Principal string // of an allow
	// Reason is for the proxy's log; empty where the mapping does not have it told.
	Reason string
	// Challenge is the value of WWW-Authenticate; empty for none.
	Challenge string
}

// Allowed tells whether the request may go on.
func (o *Outcome) Allowed() bool { return o.Status == http.StatusOK }

// Decide answers a call about a request. What is wrong with the proxy, or with the node, is an
// error; see Mapping.Refused.
func (m *Mapping) Decide(c *bridge.Call, a *Asked) (Outcome, error) {
	if err := c.Begin(freshness.ForQuestion); err != nil {
		return Outcome{}, err
	}
	f, err := m.match(a)
	if err != nil {
		return m.refused(http.StatusForbidden, err.Error()), nil
	}
	q, err := f.question()
	if err != nil {
		return m.refused(http.StatusForbidden, err.Error()), nil
	}
	source := m.source(a)
	if source != "" {
		q.Context = append(q.Context, policy.Single(keySource, source))
	}
	who, err := m.principal(c, a, source)
	if err != nil {
		return m.unknown(err)
	}
	q.Principal, q.Context = who.arn, append(q.Context, who.context...)
	return m.ask(c, &q)
}

// unknown is the outcome for a request without a principal.
func (m *Mapping) unknown(err error) (Outcome, error) {
	switch {
	case errors.Is(err, errNobody), errors.Is(err, webidentity.ErrToken), errors.Is(err, errAudience):
		o := m.refused(m.NoPrincipal, err.Error())
		for i := range m.Principals {
			if m.Principals[i].Bearer != nil && o.Status == http.StatusUnauthorized {
				o.Challenge = "Bearer"
			}
		}
		return o, nil
	case errors.Is(err, errSeveral), errors.Is(err, errUntrusted), errors.Is(err, errName), errors.Is(err, errTags), errors.Is(err, errTwice):
		return m.refused(http.StatusForbidden, err.Error()), nil
	}
	return Outcome{}, err
}

// ask asks the question of a request.
func (m *Mapping) ask(c *bridge.Call, q *decision.Question) (Outcome, error) {
	allowed, answer, err := c.Allowed(q)
	switch {
	case err != nil:
		return Outcome{}, err
	case allowed:
		return Outcome{Status: http.StatusOK, Principal: q.Principal}, nil
	case answer.Told(c.Seen.Flagged) == decision.Indeterminate:
		return m.refused(http.StatusServiceUnavailable, "the node does not know that its answer is fresh"), nil
	}
	return m.refused(http.StatusForbidden, answer.Message), nil
}

// Refused is the outcome of a fault: one that may be over a little later, or is the node's, is no
// decision.
func (m *Mapping) Refused(f *fault.Fault) Outcome {
	if f.Retry() || f.Native().Status >= http.StatusInternalServerError {
		return m.refused(http.StatusServiceUnavailable, f.Detail())
	}
	return m.refused(http.StatusForbidden, f.Detail())
}

// maxReason is how long a reason is, in bytes.
const maxReason = 512

func (m *Mapping) refused(status int, reason string) Outcome {
	o := Outcome{Status: status}
	if m.TellReason {
		o.Reason = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, reason)
		o.Reason = o.Reason[:min(len(o.Reason), maxReason)]
	}
	return o
}
