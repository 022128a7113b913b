package native

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
)

// listSessionKeys answers GET /v1/session-keys: which keys seal and open the sessions of all
// accounts, and never what they are.
type listSessionKeys struct{ *API }

func (s listSessionKeys) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionListSessionKeys)); err != nil {
		return err
	}
	body, err := json.Marshal(shape.SessionKeysOf(c.Seen.View.State))
	if err != nil {
		return fmt.Errorf("encode the session keys: %w", err)
	}
	return c.answer(body)
}

// rotateSessionKey answers POST /v1/session-keys: another key seals from then on.
type rotateSessionKey struct{ *API }

func (s rotateSessionKey) serve(c *call) error {
	batch, _, err := c.Write(service, actionRotateSessionKey, &keyToAdd{clusterChange{c, s.ofCluster(actionRotateSessionKey), nil}})
	if err != nil || batch == nil {
		return err
	}
	return c.keyChanged(batch)
}

// keyToAdd is a session key that is proposed. Its number is that of the view's next.
type keyToAdd struct{ clusterChange }

// Authorize is that of a clusterChange, which it completes.
func (r *keyToAdd) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	if r.change, err = r.call.Desk.NewSessionKey(v.State); err != nil {
		return cmd, err
	}
	return r.command(v), nil
}

// revokeSessionKey answers POST /v1/session-keys/{number}/revoke: every session that the key
// sealed ends.
type revokeSessionKey struct{ *API }

func (s revokeSessionKey) serve(c *call) error {
	text := c.PathValue("number")
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fault.BadRequest("`writ session-key list` shows the numbers.", "%.80q is no number of a session key.", text)
	}
	change := &identity.RevokeSessionKey{Number: uint32(number)}
	batch, _, err := c.Write(service, actionRevokeSessionKey+" "+text, &clusterChange{c, s.ofCluster(actionRevokeSessionKey), change})
	if err != nil || batch == nil {
		return err
	}
	return c.keyChanged(batch)
}

// keyChanged answers with what a change of session keys came to.
func (c *call) keyChanged(batch *event.Batch) error {
	done := shape.SessionKeyChange{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		switch e := e.(type) {
		case *identity.SessionKeyAdded:
			done.Number, done.State = e.Number, identity.KeyActive.String()
		case *identity.SessionKeyRevoked:
			done.Number, done.State = e.Number, identity.KeyRevoked.String()
		}
	}
	return c.written(batch, done)
}
