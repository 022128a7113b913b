package decision

import (
	"errors"
	"net/http"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/replication/propagation"
)

// Asker is a caller who asks for decisions, in the view in which it was admitted.
type Asker struct {
	Engine *Engine
	Pass   *admission.Pass
	Seen   *freshness.Seen
	Header http.Header // of the answer

	asked admission.Inquiry // what is asked
	about string            // the principal that the caller may ask about
	meant int               // how often it was looked for what the caller meant
}

// Answer appends the answer to one question, as JSON.
func (k *Asker) Answer(b []byte, q *Question) ([]byte, error) {
	a, err := k.Decide(q)
	if err != nil {
		return nil, err
	}
	b = k.appendAnswer(b, a)
	return b, admission.CheckAnswer(len(b))
}

// Decide answers one question, if the caller may ask it.
func (k *Asker) Decide(q *Question) (a Answer, err error) {
	if err := q.Check(); err != nil {
		return Answer{}, err
	}
	if q.Explain && !k.Seen.Reads {
		return Answer{}, k.Engine.cfg.Views.NotCurrent(propagation.ErrNotLeased)
	}
	if q.Principal != k.about { // the questions of a batch are often about one
		if err := k.Pass.MayAsk(k.Seen.View, q.Principal); err != nil {
			return Answer{}, err
		}
		k.about = q.Principal
	}
	if authz.Assumes(q.Action, q.Resource) { // never of another account's role: no policy of its own lets anybody
		q.trustShown = k.Pass.May(admission.Access{Action: "iam:GetRole", Resource: q.Resource}) == nil
	}
	a, err = Evaluate(&k.asked, k.Seen.View, q, k.Pass.Request.Now, &k.Pass.Job)
	if errors.Is(err, projection.ErrNoPrincipal) {
		return Answer{}, k.NoSuchPrincipal(k.Seen.View, q.Principal)
	}
	if err != nil {
		return Answer{}, err
	}
	a.Doubt(k.Engine.known, q, k.Seen.Reads)
	k.Engine.cfg.Meter.Evaluated(a.Told(k.Seen.Flagged), k.Seen.Mode)
	return a, nil
}
