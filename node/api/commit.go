package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// What the writes of both dialects have in common.

// commit has the leader carry out a write that has a key: this node proposes the
// command that admit authorizes in a view, or hands the request on. Where
// permissions, or what the command was authorized against, change between the
// authorization and the decision, it is authorized anew. Without a batch and an
// error, the leader's answer was passed on.
func (s *Server) commit(w *recorder, q *request, sig *sigv4.Signature, admit func(*projection.View) (event.Command, error)) (*event.Batch, error) {
	if !s.cfg.Node.leads() {
		return nil, s.handOn(w, q, sig, nil)
	}
	var stale []identity.Reliance
	for range maxAuthorizations {
		batch, cmd, err := s.attempt(q, admit, stale)
		var refusal *identity.Refusal
		switch {
		case errors.Is(err, errAgain):
		case cmd == nil:
			return nil, err
		case errors.As(err, &refusal) && refusal.Code == identity.StaleAuthorization:
			if err := s.waitPast(q.Context(), cmd.Base.Position); err != nil {
				return nil, err
			}
			stale = cmd.Relies
		case errors.Is(err, ErrNotLeader), errors.Is(err, ErrOutcomeUnknown):
			// The leader to come has the answer: the attempt keeps its key.
			return nil, s.handOn(w, q, sig, err)
		case err != nil:
			return nil, notProposed(err)
		default:
			q.id = batch.Cause.Key.String() // that of the first request, if this one repeats it
			return batch, nil
		}
	}
	return nil, fault.Later("The caller's permissions, or what the request is about, keep changing.", nil)
}

// errAgain is returned where a write must be authorized in a newer view.
var errAgain = errors.New("the view was not current")

// attempt authorizes a write once and proposes it, alone with the targets of which
// one changed before. The command is nil where it was not proposed.
func (s *Server) attempt(q *request, admit func(*projection.View) (event.Command, error), stale []identity.Reliance) (*event.Batch, *event.Command, error) {
	leave, err := s.turns.take(q.Context(), stale, true)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	v := s.cfg.Projection.View()
	cmd, err := admit(v)
	var said *iam.Error
	if errors.As(err, &said) {
		// That the caller is told, too, is an answer from the view: of a leader that
		// was deposed, it may be from before the caller's key was deleted.
		current, unread := s.stillCurrent(q.Context(), v)
		if unread != nil {
			return nil, nil, unread
		}
		if !current {
			return nil, nil, errAgain
		}
	}
	if err != nil {
		return nil, nil, q.settled(v, err)
	}
	if len(stale) == 0 {
		leave, err := s.turns.take(q.Context(), cmd.Relies, false)
		if err != nil {
			return nil, nil, err
		}
		defer leave()
	}
	// What the network held back may come when its caller has gone, has sent it again, and
	// was told no: it is not to take effect after all.
	if err := q.Context().Err(); err != nil {
		return nil, nil, fault.Later("The caller has gone.", err)
	}
	if s.cfg.Now().Sub(q.now) > maxAuthorizationAge {
		return nil, nil, fault.Later("The request has been under way for too long.", nil)
	}
	batch, err := s.cfg.Node.Log.Propose(q.Context(), cmd)
	if err == nil {
		// Whoever has the next turn is to see the change. Without it they go stale once
		// more, and this caller's answer will fail by the same.
		_, _ = s.cfg.Projection.Wait(q.Context(), batch.Position)
	}
	return batch, &cmd, err
}

// tookEffect refuses a write of whose key an attempt took effect, before the caller
// lost the right to write or to be told more, or while there is no place for its answer:
// the refusal alone would say that nothing happened.
func tookEffect(at event.Position, refusal error) error {
	return fault.New(fault.TookEffect, fmt.Sprintf("An attempt of this request took effect at position %d. Now it is refused: %v", at, refusal), "").Because(refusal)
}

// settled is what becomes of a refusal by credential or permission in a view. A
// leader that was lost, or fell silent, may have carried the same attempt out. It
// did so before this view, or never will: what it has yet to decide is stale, unless
// what was taken away is given back first.
func (q *request) settled(v *projection.View, err error) error {
	if errors.Is(err, sigv4.ErrInvalidClientTokenID) || isDenial(err) {
		if at, ok := v.State.Repeats(q.meta()); ok {
			return tookEffect(at, err)
		}
	}
	return err
}

// handOn gives a write to the leader, and remembers how far the caller's next
// read here must wait. cause is what came of it here, if anything.
func (s *Server) handOn(w *recorder, q *request, sig *sigv4.Signature, cause error) error {
	if q.forwarded {
		return fault.New(fault.NotLeader, "", "")
	}
	free, err := s.handing(q, sig, false)
	if err != nil {
		return afterwards(cause, err)
	}
	defer free()
	// Noted before the caller can see the answer: its next read may be here before
	// Forward returns.
	w.begin = func(status int) {
		if at, err := strconv.ParseUint(w.Header().Get(HeaderPosition), 10, 64); err == nil && status == http.StatusOK {
			s.writes.note(sig.AccessKeyID, event.Position(at))
		}
	}
	if err := s.cfg.Node.Leader.Forward(w, q.Request, q.forward()); err != nil {
		return afterwards(cause, fault.Later("No node that leads was reached.", err))
	}
	return nil
}

// afterwards is what a write that was not handed on is refused with, after what came of
// it here: if that is not known, the refusal alone would say that nothing happened.
func afterwards(cause, err error) error {
	if errors.Is(cause, ErrOutcomeUnknown) {
		return fault.New(fault.OutcomeUnknown, "", "").Because(errors.Join(cause, err))
	}
	return err
}

// notProposed is what a caller is told when the log did not take a command.
func notProposed(err error) error {
	switch {
	case errors.Is(err, ErrTooLarge):
		return fault.New(fault.ChangeTooLarge, err.Error(), "")
	case errors.Is(err, ErrOverloaded):
		return fault.Later("The node takes no writes now.", err)
	}
	return err
}

// waitPast waits for a view later than a position.
func (s *Server) waitPast(ctx context.Context, at event.Position) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	if _, err := s.cfg.Projection.Wait(ctx, at+1); err != nil {
		return fault.Later("The node is behind.", err)
	}
	return nil
}

// stillCurrent reads the head of the log and says whether a view has it. If not, it
// waits until the projection does.
func (s *Server) stillCurrent(ctx context.Context, v *projection.View) (bool, error) {
	head, err := s.strictHead(ctx, true)
	if err != nil {
		return false, fault.Later("The head of the log could not be read.", err)
	}
	if head.Position <= v.Head.Position {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultWait)
	defer cancel()
	if _, err := s.cfg.Projection.Wait(ctx, head.Position); err != nil {
		return false, fault.Later("The node is behind.", err)
	}
	return false, nil
}

// command puts what a request asks for into its envelope, with what it was
// authorized against in the view.
func (q *request) command(v *projection.View, by identity.Authority, action string, content identity.Command, on []identity.Reliance) event.Command {
	cluster := v.Cluster()
	meta := q.meta()
	meta.By = by
	return event.Command{
		Cluster:     cluster.ID,
		Incarnation: cluster.Incarnation,
		Cause: event.Cause{
			Meta:    meta,
			Request: q.id,
			Action:  action,
			Source:  q.source,
			Via:     q.via,
		},
		Base:    v.Head,
		Relies:  on,
		Content: content,
	}
}

// meta is what the log is told of a write's attempt, but for who authorized it. Its time
// is that at which it came to the cluster, by the leader's clock: two equal calls that
// come together stay twins, though one of them has to wait for a leader.
func (q *request) meta() identity.Meta {
	return identity.Meta{Time: identity.Time(q.now.Add(-q.sought).UnixMilli()), Key: q.key, Signature: q.signature}
}

// identify derives the key of a write's attempt: the same credential, request and
// invocation give the same key, over retries and nodes. Its text becomes the id of
// the request, so that whoever has the id of a write can ask where it took effect:
// the state remembers keys with their positions.
//
// A key is no secret, and knowing one gives nothing but that position. It is never
// taken from a caller, only computed here. The answer of an earlier attempt is
// given to those alone whose own request has the same key (its position also when
// the access key has been deleted since): that takes a verified
// signature by the very access key that was hashed, as anything else would be a
// second preimage of half a SHA-256. Nor does a key tell what a request contained
// to somebody who does not know the invocation id: SDKs, and the node for clients
// that send none, make it of 122 random bits.
//
// It also notes the signature, by which the state knows a replay under another
// invocation id. A presigned write that is older than the node takes is refused, however
// long its signer lets it live: until then, whoever sees it can send it.
func (s *Server) identify(q *request, sig *sigv4.Signature, service, action string) error {
	if life := cmp.Or(s.cfg.PresignedWrites, DefaultPresignedWrites); sig.Presigned && sig.Until.Sub(sig.Time) > life {
		if err := sig.CheckLife(q.now, life); err != nil {
			return err
		}
		sig.Until = sig.Time.Add(life)
	}
	h := sha256.New()
	for _, part := range []string{sig.AccessKeyID, service, action, q.attempt, q.URL.RawQuery} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(q.bodyHash[:])
	q.key = identity.Key(h.Sum(nil))
	q.id = q.key.String()
	id := sig.ID()
	q.signature = identity.Signature{
		ID: identity.SignatureID(id[:len(q.signature.ID)]), Signed: identity.Time(sig.Time.UnixMilli()), Until: identity.Time(sig.Until.UnixMilli()),
	}
	return nil
}

// setWritten names the position of a write in the headers of its answer.
func setWritten(h http.Header, b *event.Batch) {
	h.Set(HeaderPosition, strconv.FormatUint(uint64(b.Position), 10))
	h.Set(HeaderToken, tokenOf(b))
}

func tokenOf(b *event.Batch) string {
	return event.TokenOf(b.Cluster, b.Incarnation, b.Head()).String()
}
