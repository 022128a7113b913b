package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/members"
)

// votersTimeout is how long a change of who votes may take.
const votersTimeout = 20 * time.Second

// changeVoters answers a request to change who votes in the log, or who of them leads. It is
// no command: Raft has its members beside the log's content. A writer that the log lists is
// taken off the list first, by a command.
type changeVoters struct {
	*API
	action string
}

func (s changeVoters) serve(c *call) error {
	if !s.cfg.Dispatcher.Leads() {
		return c.HandOn(votersTimeout)
	}
	called := c.PathValue("name")
	if _, ok := s.cfg.Projection.View().State.Writers().Find(called); ok { // what it is a member of is the cluster
		return changeWriters(s).serve(c)
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.changes(); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(s.action)); err != nil {
		return err
	}
	r := c.Right("", s.ofCluster(s.action))
	head, err := s.cfg.Views.StrictHead(c.Context(), true)
	if err != nil {
		return fault.Later("The head of the log could not be read.", err)
	}
	if err := r.Still(c.Context(), head.Position); err != nil { // before anything is done
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), votersTimeout)
	defer cancel()
	if s.action == actionTransferLeadership {
		called = c.URL.Query().Get("to")
		err = s.cfg.Voters.TransferLeadership(ctx, called)
	} else {
		err = s.cfg.Voters.RemoveWriter(ctx, called)
	}
	if err != nil {
		return votersFault(err)
	}
	body, err := json.Marshal(shape.VotersChange{Writer: called})
	if err != nil {
		return fmt.Errorf("encode the answer about %s: %w", called, err)
	}
	return c.answer(body)
}

// votersFault is why who votes was not changed.
func votersFault(err error) error {
	switch {
	case errors.Is(err, dispatch.ErrNotLeader):
		return fault.Later("This node leads no more.", err)
	case errors.Is(err, members.ErrUnknown):
		return fault.New(fault.NoSuchEntity, "Nothing was changed: "+err.Error()+".", "`writ writer list` shows the members of the log.")
	case errors.Is(err, members.ErrListed):
		return fault.New(fault.DeleteConflict, "The member stays: "+err.Error()+".", "Remove the writer by its name.")
	case errors.Is(err, members.ErrLeads):
		return fault.New(fault.DeleteConflict, "The writer stays: "+err.Error()+".", "`writ writer transfer` hands leadership over; then remove it.")
	case errors.Is(err, members.ErrQuorum):
		return fault.New(fault.DeleteConflict, "Nothing was changed: "+err.Error()+".", "Bring the other writers up first; `writ status` shows who does not answer.")
	case errors.Is(err, members.ErrSilent):
		return fault.New(fault.DeleteConflict, "The writer cannot lead: "+err.Error()+".", "Bring it up first, or name another; `writ status` shows who answers.")
	}
	return fault.Later("Who votes may not have been changed; `writ writer list` shows it.", err)
}
