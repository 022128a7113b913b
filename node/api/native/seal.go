package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sealing"
	"github.com/writ-iam/writ/projection"
)

// Sealing knows the keys that seal secrets, at the leader.
type Sealing interface {
	// SealStatus is how they fare. Errors are dispatch.ErrNotLeader or the context's.
	SealStatus(context.Context) (*shape.Seal, error)
	// NextSealKey is the key that is to seal after those of a state: the one that was asked for by
	// its id, or else the only new one. Every node has it. Errors are dispatch.ErrNotLeader, those
	// of sealing.Next, or the context's.
	NextSealKey(ctx context.Context, s *identity.State, asked string) (identity.SealKeyID, error)
}

// getSeal answers GET /v1/seal: which keys seal secrets, which node has which, and how far a
// rotation has come.
type getSeal struct{ *API }

func (s getSeal) serve(c *call) error {
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(0)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionGetSeal)); err != nil {
		return err
	}
	r := c.Right("", s.ofCluster(actionGetSeal))
	head, err := s.cfg.Views.StrictHead(c.Context(), true)
	if err != nil {
		return fault.Later("The head of the log could not be read.", err)
	}
	if err := r.Still(c.Context(), head.Position); err != nil { // before others are asked
		return err
	}
	said, err := s.cfg.Sealing.SealStatus(c.Context())
	switch {
	case errors.Is(err, dispatch.ErrNotLeader):
		return c.HandOn(0)
	case err != nil:
		return fault.Later("The other nodes could not be asked.", err)
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the seal keys: %w", err)
	}
	return c.answer(body)
}

// rotateSeal answers POST /v1/seal/rotate: another key seals from then on, and all secrets are
// sealed anew.
type rotateSeal struct{ *API }

func (s rotateSeal) serve(c *call) error {
	batch, _, err := c.Write(service, actionRotateSealKey, &sealKeyToChoose{clusterChange{c, s.ofCluster(actionRotateSealKey), nil}, s.cfg.Sealing})
	if err != nil || batch == nil {
		return err
	}
	done := shape.SealRotated{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if e, ok := e.(*identity.SealKeyChosen); ok {
			done.Key = e.Key.String()
		}
	}
	return c.written(batch, done)
}

// sealKeyToChoose is a key that is proposed. Nodes are asked for callers who may choose it alone.
type sealKeyToChoose struct {
	clusterChange
	sealing Sealing
}

// Authorize is that of a clusterChange, which it completes.
func (r *sealKeyToChoose) Authorize(v *projection.View) (event.Command, error) {
	if err := r.may(v); err != nil {
		return event.Command{}, err
	}
	if _, took := r.call.Repeated(v); r.change == nil && took { // the answer is the first attempt's
		return r.call.Command(v, r.needs.Action, &identity.ChooseSealKey{}, nil), nil
	}
	if r.change == nil {
		var asked shape.SealRotation
		if len(r.call.Payload) > 0 {
			if err := fault.DecodeBody(r.call.Payload, &asked, "rotation", `Send {"key":"ID"}, or nothing.`); err != nil {
				return event.Command{}, err
			}
		}
		key, err := r.sealing.NextSealKey(r.call.Context(), v.State, asked.Key)
		if err != nil {
			return event.Command{}, &dispatch.FromView{Err: sealFault(err)}
		}
		r.change = &identity.ChooseSealKey{Key: key}
	}
	return r.command(v), nil
}

// sealFault is why no rotation begins.
func sealFault(err error) error {
	switch {
	case errors.Is(err, sealing.ErrNoSuchKey), errors.Is(err, sealing.ErrWhichKey):
		return fault.New(fault.InvalidInput, "No rotation begins: "+err.Error()+".",
			"`writ seal add --file seal.key` makes a new key; take that file to every node and send each SIGHUP. `writ seal status` shows the ids, `writ seal rotate --key ID` names one.")
	case errors.Is(err, sealing.ErrNotEverywhere):
		return fault.New(fault.DeleteConflict, "No rotation begins: "+err.Error()+".", "Put the key into the key file of these nodes beside the others and send each SIGHUP; `writ seal status` shows who has which.")
	case errors.Is(err, dispatch.ErrNotLeader):
		return fault.Later("This node leads no more.", err)
	}
	return fault.Later("The other nodes could not be asked.", err)
}
