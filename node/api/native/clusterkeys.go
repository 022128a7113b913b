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
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection"
)

// keyKind is a kind of keys of the cluster, which work for all accounts. What they are is never
// told.
type keyKind interface {
	// of is what is told of the keys of a state, and last the highest number there was.
	of(*identity.State) any
	last(*identity.State) uint32
	// next makes the command that adds one, and revoked the one that revokes one.
	next(*call, *identity.State) (identity.Command, error)
	revoked(number uint32) identity.Command
}

// keys are the operations on a kind: with their permissions, which are of the cluster's own
// account, and the verb that shows the numbers.
type keys struct {
	*API
	kind                       keyKind
	list, rotate, revoke, verb string
}

func (s *API) sessionKeys() keys {
	return keys{s, sessionKeys{}, actionListSessionKeys, actionRotateSessionKey, actionRevokeSessionKey, "writ session-key list"}
}

func (s *API) issuerKeys() keys {
	return keys{s, issuerKeys{s.cfg.Issuer}, actionListIssuerKeys, actionRotateIssuerKey, actionRevokeIssuerKey, "writ issuer-key list"}
}

// sessionKeys seal sessions.
type sessionKeys struct{}

func (sessionKeys) of(s *identity.State) any      { return shape.SessionKeysOf(s) }
func (sessionKeys) last(s *identity.State) uint32 { return s.SessionKeys().Last }
func (sessionKeys) next(c *call, s *identity.State) (identity.Command, error) {
	return c.Desk.NewSessionKey(s)
}
func (sessionKeys) revoked(number uint32) identity.Command {
	return &identity.RevokeSessionKey{Number: number}
}

// issuerKeys sign web identity tokens.
type issuerKeys struct{ by Issuer }

func (issuerKeys) of(s *identity.State) any      { return shape.IssuerKeysOf(s) }
func (issuerKeys) last(s *identity.State) uint32 { return s.IssuerKeys().Last }
func (k issuerKeys) next(_ *call, s *identity.State) (identity.Command, error) {
	return k.by.NewKey(s)
}
func (issuerKeys) revoked(number uint32) identity.Command {
	return &identity.RevokeIssuerKey{Number: number}
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
	body, err := json.Marshal(s.kind.of(c.Seen.View.State))
	if err != nil {
		return fmt.Errorf("encode the keys of the cluster: %w", err)
	}
	return c.answer(body)
}

// rotateKey answers POST /v1/session-keys and POST /v1/issuer-keys: another key seals, or signs,
// from then on.
type rotateKey struct{ keys }

func (s rotateKey) serve(c *call) error {
	batch, _, err := c.Write(service, s.rotate, &keyToAdd{clusterChange{c, s.ofCluster(s.rotate), nil}, s.kind, 0, s.cfg.Seal, seal.ID{}})
	if err != nil || batch == nil {
		return err
	}
	return c.keyChanged(batch)
}

// keyToAdd is a key that is proposed. Its number is that of the view's next.
type keyToAdd struct {
	clusterChange
	kind   keyKind
	number uint32
	seal   *seal.Key
	by     seal.ID // that sealed it
}

// Authorize is that of a clusterChange, which it completes. A key that was made stays the one
// that is proposed, while its number is the next and what sealed it seals.
func (r *keyToAdd) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	if next, by := r.kind.last(v.State)+1, r.seal.Sealing(); r.number != next || r.by != by {
		if r.change, err = r.kind.next(r.call, v.State); err != nil {
			return cmd, err
		}
		r.number, r.by = next, by
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
	batch, _, err := c.Write(service, s.revoke+" "+text, &clusterChange{c, s.ofCluster(s.revoke), s.kind.revoked(uint32(number))})
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
