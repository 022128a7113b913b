package native

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/usage"
)

// listSessions answers GET /v1/sessions: the sessions of the caller's account that this node
// saw last.
type listSessions struct{ *API }

func (s listSessions) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	account := c.Caller.Account
	if err := c.May(admission.Access{Action: actionListSessions, Resource: "*", Account: account}); err != nil {
		return err
	}
	state, now := c.Seen.View.State, identity.Time(c.Now.UnixMilli())
	said := shape.SeenSessions{Node: s.cfg.Name, Max: usage.MaxSessions, Sessions: []shape.SeenSession{}}
	for _, one := range s.cfg.Sessions.Of(account) {
		if state.SessionEnded(one.Account, one.Principal, one.AccessKey, one.On, now) {
			continue
		}
		said.Sessions = append(said.Sessions, shape.SeenSession{
			Kind: one.Kind, Principal: one.ARN, SessionName: one.Name, AccessKeyID: one.AccessKey,
			Issued: time.UnixMilli(int64(one.On.Issued)).UTC(), Expires: time.UnixMilli(int64(one.On.Until)).UTC(), LastSeen: one.Last.UTC(),
		})
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the sessions of account %s: %w", account, err)
	}
	return c.answer(body)
}
