package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/signin"
)

// signInChallenge is one request for a challenge that a passkey is to answer when somebody
// signs in. The leader makes all of them: it knows which ones were answered.
type signInChallenge struct {
	dispatch.Exchange
	server *Server
	asked  *shape.SignInChallengeFor
}

// signInChallenge serves POST /signin/challenge.
func (s *Server) signInChallenge(w http.ResponseWriter, r *http.Request) {
	c := &signInChallenge{server: s}
	c.Action = "SignInChallenge"
	s.dispatcher.Serve(w, r, &c.Exchange, c)
}

// Read reads the request, which nobody signs.
func (c *signInChallenge) Read() (service string, err error) {
	c.asked, err = signin.ParseChallenge(c.Header.Get("Content-Type"), c.Payload)
	return "", err
}

// Refuse answers with problem details.
func (c *signInChallenge) Refuse(f *fault.Fault) { fault.WriteProblem(&c.W, c.ID, f) }

// Serve makes the challenge, or says, having written nothing, why it cannot.
func (c *signInChallenge) Serve() error {
	s := c.server
	if !s.dispatcher.Leads() {
		return c.HandOn(0)
	}
	v, err := s.views.Strangers(&c.Request)
	if err != nil {
		return err
	}
	c.Unsigned()
	said, err := s.door.Challenge(v, c.asked, c.Now)
	if err != nil {
		return err
	}
	return tell(&c.Exchange, said)
}

// tell answers whoever stands at the door. Nobody on the way is to keep the answer.
func tell(x *dispatch.Exchange, said any) error {
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode what is told at the door: %w", err)
	}
	x.Job.Rest() // the caller may read slowly
	h := x.W.Header()
	h.Set(shape.HeaderRequestID, x.ID)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.W.WriteHeader(http.StatusOK)
	_, err = x.W.Write(body)
	return err
}
