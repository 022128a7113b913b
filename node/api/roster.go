package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// maxReplicaName is the longest name that a node can have.
const maxReplicaName = 63

// rosterAnswer is the body of an answer to a change of the roster.
type rosterAnswer struct {
	Replica  string         `json:"replica"`
	Position event.Position `json:"position"`
	Token    string         `json:"token"`
}

// replicaName is how names of nodes are spelled.
var replicaName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// removeReplica answers a request to take a replica off the roster and to bar its
// name; with ?unregistered=true also a name that is not in the roster.
func (s *Server) removeReplica(c *nativeCall) error {
	name, unregistered := c.PathValue("name"), false
	switch text := c.URL.Query().Get("unregistered"); text {
	case "":
	case "true":
		if unregistered = true; !replicaName.MatchString(name) {
			return fault.BadRequest("Give the name in the replica's certificate.", "No node can be called %q.", name)
		}
	default:
		return fault.BadRequest("Say true, or leave it out.", "unregistered is %q.", text)
	}
	return s.roster(actionRemoveReplica, func(name string) identity.Command {
		return &identity.BarReplica{Name: name, Unregistered: unregistered}
	})(c)
}

// roster answers a request to change the entry of one replica in the roster: a
// write like those of IAM, by a command that carries who authorized it.
func (s *Server) roster(action string, change func(name string) identity.Command) func(*nativeCall) error {
	return func(c *nativeCall) error {
		name := c.PathValue("name")
		if len(name) > maxReplicaName {
			return fault.BadRequest("`writ replica list` shows the names.", "The name is longer than %d characters.", maxReplicaName)
		}
		if err := s.identify(&c.request, c.sig, nativeService, action+" "+name); err != nil {
			return err
		}
		batch, err := s.commit(&c.w, &c.request, c.sig, func(v *projection.View) (cmd event.Command, err error) {
			caller, principal, err := s.authenticate(&c.request, c.sig, v)
			if err != nil {
				return cmd, err
			}
			s.begin(&c.job, c.Context(), principal.ID)
			if err := s.permit(&c.own, &c.job, &c.request, c.sig, principal, s.ofCluster(action)); err != nil {
				return cmd, err
			}
			// The roster is the resource "*", of which an authorization sees nothing that changes.
			return c.command(v, authority(caller, v.Head.Position), action, change(name), nil), nil
		})
		if err != nil || batch == nil {
			return err
		}
		if _, err := s.cfg.Projection.Wait(c.Context(), batch.Position); err != nil {
			return fault.New(fault.OutcomeUnknown, "", "").Because(err)
		}
		body, err := json.Marshal(rosterAnswer{Replica: name, Position: batch.Position, Token: tokenOf(batch)})
		if err != nil {
			return fmt.Errorf("encode the answer about replica %s: %w", name, err)
		}
		h := c.w.Header()
		setWritten(h, batch)
		h.Set(headerRequestID, c.id)
		h.Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusOK)
		_, err = c.w.Write(body)
		return err
	}
}
