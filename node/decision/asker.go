package decision

import (
	"errors"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/replication/propagation"
)

// Asker is a caller who asks for decisions, in the view in which it was admitted.
type Asker struct {
	Engine *Engine
	Pass   *admission.Pass
	Seen   *freshness.Seen
	Header http.Header // of the answer
	// Past is the view of an earlier position that the questions are about; nil for Seen's. It is
	// decided in it by the time of its position's change. Whether the caller may ask is found in
	// Seen all the same.
	Past *projection.View

	asked admission.Inquiry // what is asked
	about string            // the principal that the caller may ask about
	meant int               // how often it was looked for what the caller meant
}

// Answer appends the answer to one question, as JSON.
func (k *Asker) Answer(b []byte, q *Question) ([]byte, error) {
	return k.AnswerOf(b, q, nil, "")
}

// AnswerOf is Answer for a question about a principal that was authenticated in the same view,
// with all that its credentials say of it, such as session policies and tags, and with the region
// of its request; a nil one is found by the ARN of the question.
func (k *Asker) AnswerOf(b []byte, q *Question, p *projection.Principal, region string) ([]byte, error) {
	a, err := k.decide(q, p, region)
	if err != nil {
		return nil, err
	}
	b = k.appendAnswer(b, a)
	return b, admission.CheckAnswer(len(b))
}

// Decide answers one question, if the caller may ask it.
func (k *Asker) Decide(q *Question) (Answer, error) { return k.decide(q, nil, "") }

func (k *Asker) decide(q *Question, p *projection.Principal, region string) (a Answer, err error) {
	check := q.Check
	if p != nil {
		check = q.CheckAsked
	}
	if err := check(); err != nil {
		return Answer{}, err
	}
	if q.Explain && !k.Seen.Reads {
		return Answer{}, k.Engine.cfg.Views.NotCurrent(propagation.ErrNotLeased)
	}
	if q.Principal != k.about { // the questions of a batch are often about one
		if err := k.mayAsk(q.Principal); err != nil {
			return Answer{}, err
		}
		k.about = q.Principal
	}
	if authz.Assumes(q.Action, q.Resource) { // never of another account's role: no policy of its own lets anybody
		q.trustShown = k.Pass.May(admission.Access{Action: "iam:GetRole", Resource: q.Resource}) == nil
	}
	view, now := k.Seen.View, k.Pass.Request.Now
	if k.Past != nil {
		view, now = k.Past, TimeOf(k.Past)
	}
	if p == nil {
		a, err = Evaluate(&k.asked, view, q, now, &k.Pass.Job)
	} else { // it was authenticated in the view of now, which is the only one asked about
		pose(&k.asked, view, p, q, authz.Globals{Time: now, Region: region}, &k.Pass.Job.Work)
		a, err = evaluate(&k.asked, p, q, &k.Pass.Job)
	}
	if errors.Is(err, projection.ErrNoPrincipal) {
		return Answer{}, k.NoSuchPrincipal(view, q.Principal)
	}
	if err != nil {
		return Answer{}, err
	}
	a.Doubt(k.Engine.known, q, k.Seen.Reads)
	k.Engine.cfg.Meter.Evaluated(a.Told(k.flagged()), k.mode())
	return a, nil
}

// FreshnessPast is how fresh an answer is about an earlier position: exact there, and it says
// nothing of now.
const FreshnessPast = "past"

// TimeOf is the time of a view of the past: that of the latest change in it.
func TimeOf(v *projection.View) time.Time { return time.UnixMilli(int64(v.State.Time())).UTC() }

// mayAsk finds out whether the caller may ask about a principal: of the past that takes a
// permission more, on the ARN as it is given, since the principal may be no more. A session of a
// role takes it on the role, as it was then or is now, too.
func (k *Asker) mayAsk(principal string) error {
	if err := k.Pass.MayAsk(k.Seen.View, principal); err != nil || k.Past == nil {
		return err
	}
	return MayAskOfPast(k.Pass, k.Past, principal, policy.ActionAuthorizeAt)
}

// MayAskOfPast finds out whether a caller has permissions for what a principal once might.
func MayAskOfPast(pass *admission.Pass, past *projection.View, principal string, actions ...string) error {
	role := past.Issuer(principal)
	for _, action := range actions {
		if err := pass.May(admission.Access{Action: action, Resource: principal}); err != nil {
			return err
		}
		if role != "" {
			if err := pass.May(admission.Access{Action: action, Resource: role, Named: principal}); err != nil {
				return err
			}
		}
	}
	return nil
}

// mode is how fresh the answers are, in a word.
func (k *Asker) mode() string {
	if k.Past != nil {
		return FreshnessPast
	}
	return k.Seen.Mode
}

// flagged tells that an allow is not known to be fresh. About the past it is exact.
func (k *Asker) flagged() bool { return k.Past == nil && k.Seen.Flagged }
