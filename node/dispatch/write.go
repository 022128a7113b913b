package dispatch

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// Limits of a write.
const (
	// maxAuthorizations is how often a write is authorized, when permissions or what it
	// is about change each time before its decision.
	maxAuthorizations = 5
	// maxAuthorizationAge is how long after it came a write is put into the log at most:
	// it is authorized by its own time (aws:CurrentTime), however often that is tried.
	maxAuthorizationAge = 15 * time.Second
)

// Proposal is what a write proposes.
type Proposal interface {
	// Authorize finds out who calls and what they may, in a view, and returns the command.
	// It is called again where that went stale. A refusal that tells of the view is a
	// *FromView.
	Authorize(*projection.View) (event.Command, error)
}

// FromView is a refusal that tells a caller who was admitted what a view has: an answer
// from that view, as any other.
type FromView struct{ Err error }

// Error is the refusal's.
func (e *FromView) Error() string { return e.Err.Error() }

// Unwrap gives the refusal.
func (e *FromView) Unwrap() error { return e.Err }

// Write has the leader carry out a write: this node proposes its command, or hands the
// request on. service and action are what it is, for its key. Write returns the batch, and
// a view that has it; without a batch and an error, the leader's answer was passed on.
func (x *Exchange) Write(service, action string, p Proposal) (*event.Batch, *projection.View, error) {
	if err := x.identify(service, action); err != nil {
		return nil, nil, err
	}
	batch, err := x.commit(p)
	if err != nil || batch == nil {
		return nil, nil, err
	}
	v, err := x.dispatcher.cfg.Projection.Wait(x.Context(), batch.Position)
	if err != nil {
		return nil, nil, fault.New(fault.OutcomeUnknown, "", "").Because(err)
	}
	return batch, v, nil
}

// commit is Write for a write that has a key. Where permissions, or what the command was
// authorized against, change between the authorization and the decision, it is authorized
// anew.
func (x *Exchange) commit(p Proposal) (*event.Batch, error) {
	if !x.dispatcher.Leads() {
		return nil, x.handOn(nil)
	}
	var stale []identity.Reliance
	for range maxAuthorizations {
		batch, cmd, err := x.attempt(p, stale)
		var refusal *identity.Refusal
		switch {
		case errors.Is(err, errAgain):
		case cmd == nil:
			return nil, err
		case errors.As(err, &refusal) && refusal.Code == identity.StaleAuthorization:
			if err := x.dispatcher.cfg.Views.WaitPast(x.Context(), cmd.Base.Position); err != nil {
				return nil, err
			}
			stale = cmd.Relies
		case errors.Is(err, ErrNotLeader), errors.Is(err, ErrOutcomeUnknown):
			// The leader to come has the answer: the attempt keeps its key.
			return nil, x.handOn(err)
		case err != nil:
			return nil, notProposed(err)
		default:
			x.ID = batch.Cause.Key.String() // that of the first request, if this one repeats it
			return batch, nil
		}
	}
	return nil, fault.Later("The caller's permissions, or what the request is about, keep changing.", nil)
}

// errAgain is returned where a write must be authorized in a newer view.
var errAgain = errors.New("the view was not current")

// attempt authorizes a write once and proposes it, alone with the targets of which
// one changed before. The command is nil where it was not proposed.
func (x *Exchange) attempt(p Proposal, stale []identity.Reliance) (*event.Batch, *event.Command, error) {
	d := x.dispatcher
	leave, err := d.turns.take(x.Context(), stale, true)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	v := d.cfg.Projection.View()
	cmd, err := p.Authorize(v)
	var said *FromView
	if errors.As(err, &said) && (x.head == 0 || v.Head.Position < x.head) {
		// That the caller is told, too, is an answer from the view: of a leader that
		// was deposed, it may be from before the caller's key was deleted. A view of a
		// head that was read since the request came is not, whatever is written meanwhile.
		head, unread := d.cfg.Views.ReachHead(x.Context())
		if unread != nil {
			return nil, nil, unread
		}
		if x.head = head; v.Head.Position < head {
			return nil, nil, errAgain
		}
	}
	if err != nil {
		return nil, nil, x.settled(v, err)
	}
	if len(stale) == 0 {
		leave, err := d.turns.take(x.Context(), cmd.Relies, false)
		if err != nil {
			return nil, nil, err
		}
		defer leave()
	}
	// What the network held back may come when its caller has gone, has sent it again, and
	// was told no: it is not to take effect after all.
	if err := x.Context().Err(); err != nil {
		return nil, nil, fault.Later("The caller has gone.", err)
	}
	if d.cfg.Now().Sub(x.Now) > maxAuthorizationAge {
		return nil, nil, fault.Later("The request has been under way for too long.", nil)
	}
	batch, err := d.cfg.Log.Propose(x.Context(), cmd)
	if err == nil {
		// Whoever has the next turn is to see the change. Without it they go stale once
		// more, and this caller's answer will fail by the same.
		ctx, span := x.span.Child(x.Context(), "view")
		_, unseen := d.cfg.Projection.Wait(ctx, batch.Position)
		span.Done(unseen)
	}
	return batch, &cmd, err
}

// TookEffect refuses a write of whose key an attempt took effect, before the caller
// lost the right to write or to be told more, or while there is no place for its answer:
// the refusal alone would say that nothing happened.
func TookEffect(at event.Position, refusal error) error {
	return fault.New(fault.TookEffect, fmt.Sprintf("An attempt of this request took effect at position %d. Now it is refused: %v", at, refusal), "").Because(refusal)
}

// settled is what becomes of a refusal by credential or permission in a view. A
// leader that was lost, or fell silent, may have carried the same attempt out. It
// did so before this view, or never will: what it has yet to decide is stale, unless
// what was taken away is given back first.
func (x *Exchange) settled(v *projection.View, err error) error {
	if errors.Is(err, sigv4.ErrInvalidClientTokenID) || admission.IsDenial(err) {
		if at, ok := v.State.Repeats(x.meta()); ok {
			return TookEffect(at, err)
		}
	}
	return err
}

// handOn gives a write to the leader, and remembers how far the caller's next
// read here must wait. cause is what came of it here, if anything.
func (x *Exchange) handOn(cause error) error {
	x.W.key, x.W.views = x.Sig.AccessKeyID, x.dispatcher.cfg.Views
	if err := x.HandOn(0); err != nil {
		return x.afterwards(cause, err)
	}
	return nil
}

// afterwards is what a write that was not handed on is refused with, after what came of
// it here: if that is not known, the refusal alone would say that nothing happened.
func (x *Exchange) afterwards(cause, err error) error {
	if errors.Is(cause, ErrOutcomeUnknown) && !x.Forwarded {
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

// Command puts what a request asks for into its envelope, with who authorized it, and
// what it was authorized against in the view.
func (x *Exchange) Command(v *projection.View, action string, content identity.Command, on []identity.Reliance) event.Command {
	cluster := v.Cluster()
	meta := x.meta()
	meta.By = identity.Authority{Account: x.Caller.Account, Principal: x.Caller.ID, Credential: x.Caller.AccessKey, AuthorizedAt: v.Head.Position, Session: x.Caller.Session}
	on = append(on, x.Caller.Reliances(v.State)...)
	return event.Command{
		Cluster:     cluster.ID,
		Incarnation: cluster.Incarnation,
		Cause: event.Cause{
			Meta:    meta,
			Request: x.ID,
			Action:  action,
			Source:  x.Source,
			Via:     x.Via,
		},
		Base:    v.Head,
		Relies:  on,
		Content: content,
	}
}

// Propose has the log take a command that the caller was authorized for in a view, without a
// signature that it could be known by again: each time that it is proposed is another attempt.
// It returns a view that has it, and the errors of Log. This node must lead.
func (x *Exchange) Propose(v *projection.View, action string, content identity.Command, on []identity.Reliance) (*projection.View, error) {
	rand.Read(x.key[:]) // never fails
	batch, err := x.dispatcher.cfg.Log.Propose(x.Context(), x.Command(v, action, content, on))
	if err != nil {
		return nil, notProposed(err)
	}
	made, err := x.dispatcher.cfg.Projection.Wait(x.Context(), batch.Position)
	if err != nil {
		return nil, fault.New(fault.OutcomeUnknown, "", "").Because(err)
	}
	return made, nil
}

// Maintain has the log take a command of the cluster's own, which nobody's permission is
// needed for, and returns a view that has it. This node must lead.
func (d *Dispatcher) Maintain(ctx context.Context, content identity.Command) (*projection.View, error) {
	var key identity.Key
	rand.Read(key[:]) // never fails
	batch, err := d.cfg.Log.Propose(ctx, event.Command{
		Cause: event.Cause{Meta: identity.Meta{Time: identity.Time(d.cfg.Now().UnixMilli()), Key: key}}, Content: content,
	})
	if err != nil {
		return nil, notProposed(err)
	}
	v, err := d.cfg.Projection.Wait(ctx, batch.Position)
	if err != nil {
		return nil, fault.New(fault.OutcomeUnknown, "", "").Because(err)
	}
	return v, nil
}

// meta is what the log is told of a write's attempt, but for who authorized it. Its time
// is that at which it came to the cluster, by the leader's clock: two equal calls that
// come together stay twins, though one of them has to wait for a leader.
func (x *Exchange) meta() identity.Meta {
	return identity.Meta{Time: identity.Time(x.Now.Add(-x.Sought).UnixMilli()), Key: x.key, Signature: x.signature}
}

// Repeated tells whether an attempt of a write took effect before, and where, as far as a view
// knows.
func (x *Exchange) Repeated(v *projection.View) (at event.Position, took bool) {
	return v.State.Repeats(x.meta())
}

// identify derives the key of a write's attempt: the same credential, request and
// invocation give the same key, over retries and nodes. Its text becomes the id of
// the request, so that whoever has the id of a write can ask where it took effect:
// the state remembers keys with their positions.
//
// A key is no secret, and knowing one gives nothing but that position. It is never
// taken from a caller, only computed here. The answer of an earlier attempt is
// given to those alone whose own request has the same key: that takes a verified
// signature by the very access key that was hashed, as anything else would be a
// second preimage of half a SHA-256. Its position alone is also told to who sends the same
// request, to the last byte and with its invocation id, after the access key was deleted:
// nothing can be verified then. Nor does a key tell what a request contained
// to somebody who does not know the invocation id: SDKs, and the node for clients
// that send none, make it of 122 random bits.
//
// It also notes the signature, by which the state knows a replay under another
// invocation id. A presigned write that is older than the node takes is refused, however
// long its signer lets it live: until then, whoever sees it can send it.
func (x *Exchange) identify(service, action string) error {
	sig := x.Sig
	if life := cmp.Or(x.dispatcher.cfg.PresignedWrites, DefaultPresignedWrites); sig.Presigned && sig.Until.Sub(sig.Time) > life {
		if err := sig.CheckLife(x.Now, life); err != nil {
			return err
		}
		sig.Until = sig.Time.Add(life)
	}
	h := sha256.New()
	for _, part := range []string{sig.AccessKeyID, service, action, x.Attempt, x.URL.RawQuery} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(x.PayloadHash[:])
	x.key = identity.Key(h.Sum(nil))
	x.ID = x.key.String()
	id := sig.ID()
	x.signature = identity.Signature{
		ID: identity.SignatureID(id[:len(x.signature.ID)]), Signed: identity.Time(sig.Time.UnixMilli()), Until: identity.Time(sig.Until.UnixMilli()),
	}
	return nil
}

// SetWritten names the position of a write in the headers of its answer.
func SetWritten(h http.Header, b *event.Batch) {
	h.Set(shape.HeaderPosition, strconv.FormatUint(uint64(b.Position), 10))
	h.Set(shape.HeaderToken, TokenOf(b))
}

// TokenOf is the token of a batch's position.
func TokenOf(b *event.Batch) string {
	return event.TokenOf(b.Cluster, b.Incarnation, b.Head()).String()
}
