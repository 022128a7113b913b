package native

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// maxReplicaName is the longest name that a node can have.
const maxReplicaName = 63

// replicaName is how names of nodes are spelled.
var replicaName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// changeRoster answers a request to change the entry of one replica in the roster: a
// write like those of IAM, by a command that carries who authorized it.
type changeRoster struct {
	*API
	action string
}

func (s changeRoster) serve(c *call) error {
	name := c.PathValue("name")
	change, err := s.change(c, name)
	if err != nil {
		return err
	}
	if len(name) > maxReplicaName {
		return fault.BadRequest("`writ replica list` shows the names.", "The name is longer than %d characters.", maxReplicaName)
	}
	batch, _, err := c.Write(service, s.action+" "+name, &clusterChange{c, s.ofCluster(s.action), change})
	if err != nil || batch == nil {
		return err
	}
	return c.written(batch, shape.RosterChange{Replica: name, Position: batch.Position, Token: dispatch.TokenOf(batch)})
}

// written answers with what a change of the whole cluster came to.
func (c *call) written(batch *event.Batch, said any) error {
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the answer about position %d: %w", batch.Position, err)
	}
	h := c.W.Header()
	dispatch.SetWritten(h, batch)
	h.Set(shape.HeaderRequestID, c.ID)
	h.Set("Content-Type", "application/json")
	c.W.WriteHeader(http.StatusOK)
	_, err = c.W.Write(body)
	return err
}

// change is the command that a request asks for. A replica is taken off the roster, and
// its name barred; with ?unregistered=true also a name that is not in the roster.
func (s changeRoster) change(c *call, name string) (identity.Command, error) {
	switch s.action {
	case actionDrainReplica:
		return &identity.DrainReplica{Name: name}, nil
	case actionResumeReplica:
		return &identity.ResumeReplica{Name: name}, nil
	case actionAdmitReplica:
		return &identity.AdmitReplica{Name: name}, nil
	}
	bar := &identity.BarReplica{Name: name}
	switch text := c.URL.Query().Get("unregistered"); text {
	case "":
	case "true":
		if bar.Unregistered = true; !replicaName.MatchString(name) {
			return nil, fault.BadRequest("Give the name in the replica's certificate.", "No node can be called %q.", name)
		}
	default:
		return nil, fault.BadRequest("Say true, or leave it out.", "unregistered is %q.", text)
	}
	return bar, nil
}

// clusterChange is what is proposed to change the whole cluster: its roster, or the
// policies that every account sees.
type clusterChange struct {
	call   *call
	needs  admission.Access
	change identity.Command
}

// Authorize finds out whether the caller may make the change. What it is about is the
// resource "*", of which an authorization sees nothing that changes.
func (r *clusterChange) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	return r.command(v), nil
}

func (r *clusterChange) may(v *projection.View) error {
	if err := r.call.admitChange(v); err != nil {
		return err
	}
	return r.call.May(r.needs)
}

func (r *clusterChange) command(v *projection.View) event.Command {
	return r.call.Command(v, r.needs.Action, r.change, nil)
}
