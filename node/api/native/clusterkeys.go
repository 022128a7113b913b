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

// keys are a kind of keys of the cluster, which work for all accounts: session keys or issuer
// keys. What they are is never told.
type keys struct {
	*API
	// The permissions, which are of the cluster's own account.
	list, rotate, revoke string

	of      func(*identity.State) any
	last    func(*identity.State) uint32 // the highest number there was
	next    func(*call, *identity.State) (identity.Command, error)
	revoked func(number uint32) identity.Command
	verb    string // that shows the numbers
}

func (s *API) sessionKeys() keys {
	return keys{
		API: s, list: actionListSessionKeys, rotate: actionRotateSessionKey, revoke: actionRevokeSessionKey, verb: "writ session-key list",
		of:      func(state *identity.State) any { return shape.SessionKeysOf(state) },
		last:    func(state *identity.State) uint32 { return state.SessionKeys().Last },
		next:    func(c *call, state *identity.State) (identity.Command, error) { return c.Desk.NewSessionKey(state) },
		revoked: func(number uint32) identity.Command { return &identity.RevokeSessionKey{Number: number} },
	}
}

func (s *API) issuerKeys() keys {
	return keys{
		API: s, list: actionListIssuerKeys, rotate: actionRotateIssuerKey, revoke: actionRevokeIssuerKey, verb: "writ issuer-key list",
		of:      func(state *identity.State) any { return shape.IssuerKeysOf(state) },
		last:    func(state *identity.State) uint32 { return state.IssuerKeys().Last },
		next:    func(_ *call, state *identity.State) (identity.Command, error) { return s.cfg.NewIssuerKey(state) },
		revoked: func(number uint32) identity.Command { return &identity.RevokeIssuerKey{Number: number} },
	}
}

// listKeys answers GET /v1/session-keys and GET /v1/issuer-keys: which keys there are, and what
// they are good for.
type listKeys struct{ keys }

func (s listKeys) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(s.list)); err != nil {
		return err
	}
	body, err := json.Marshal(s.of(c.Seen.View.State))
	if err != nil {
		return fmt.Errorf("encode the keys of the cluster: %w", err)
	}
	return c.answer(body)
}

// rotateKey answers POST /v1/session-keys and POST /v1/issuer-keys: another key seals, or signs,
// from then on.
type rotateKey struct{ keys }

func (s rotateKey) serve(c *call) error {
	batch, _, err := c.Write(service, s.rotate, &keyToAdd{clusterChange{c, s.ofCluster(s.rotate), nil}, s.keys, 0})
	if err != nil || batch == nil {
		return err
	}
	return c.keyChanged(batch)
}

// keyToAdd is a key that is proposed. Its number is that of the view's next.
type keyToAdd struct {
	clusterChange
	keys   keys
	number uint32
}

// Authorize is that of a clusterChange, which it completes. A key that was made stays the one
// that is proposed, while its number is the next.
func (r *keyToAdd) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	if next := r.keys.last(v.State) + 1; r.number != next {
		if r.change, err = r.keys.next(r.call, v.State); err != nil {
			return cmd, err
		}
		r.number = next
	}
	return r.command(v), nil
}

// revokeKey answers POST /v1/session-keys/{number}/revoke and POST
// /v1/issuer-keys/{number}/revoke: nothing that the key sealed, or signed, is good any more.
type revokeKey struct{ keys }

func (s revokeKey) serve(c *call) error {
	text := c.PathValue("number")
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fault.BadRequest("`"+s.verb+"` shows the numbers.", "%.80q is no number of a key.", text)
	}
	batch, _, err := c.Write(service, s.revoke+" "+text, &clusterChange{c, s.ofCluster(s.revoke), s.revoked(uint32(number))})
	if err != nil || batch == nil {
		return err
	}
	return c.keyChanged(batch)
}

// keyChanged answers with what a change of keys came to.
func (c *call) keyChanged(batch *event.Batch) error {
	done := shape.KeyChange{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		switch e := e.(type) {
		case *identity.SessionKeyAdded:
			done.Number, done.State = e.Number, identity.KeyActive.String()
		case *identity.IssuerKeyAdded:
			done.Number, done.State = e.Number, identity.KeyActive.String()
		case *identity.SessionKeyRevoked:
			done.Number, done.State = e.Number, identity.KeyRevoked.String()
		case *identity.IssuerKeyRevoked:
			done.Number, done.State = e.Number, identity.KeyRevoked.String()
		}
	}
	return c.written(batch, done)
}
