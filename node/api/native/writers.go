package native

import (
	"net"
	"slices"
	"strconv"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// changeWriters answers a request to change the log's list of writers: to add one, to move one
// to other addresses, or to remove one.
type changeWriters struct {
	*API
	action string
}

func (s changeWriters) serve(c *call) error {
	name := c.PathValue("name") // none where one is added: the body has it
	if len(name) > maxReplicaName {
		return fault.BadRequest(hintWriter, "The name is longer than %d characters.", maxReplicaName)
	}
	change := &writerToChange{clusterChange: clusterChange{c, s.ofCluster(s.action), nil}, API: s.API, name: name}
	batch, _, err := c.Write(service, s.action+" "+name, change)
	if err != nil || batch == nil {
		return err
	}
	done := shape.VotersChange{Writer: name, Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if added, ok := e.(*identity.WriterAdded); ok {
			done.Writer = added.Writer.Name
		}
	}
	if change.member != "" { // what fails here the leader's watch over voters does later
		_ = s.cfg.Voters.RemoveWriter(c.Context(), change.member)
	}
	return c.written(batch, done)
}

// writerToChange is a change of the list of writers that is proposed. Its body is read for
// callers who may make it alone.
type writerToChange struct {
	clusterChange
	*API
	name   string
	member string // of Raft's log, that the writer is which is removed; empty: none, or not yet known
}

// Authorize is that of a clusterChange, which it completes.
func (r *writerToChange) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	switch {
	case r.needs.Action == actionRemoveWriter:
		if r.member, err = r.cfg.Voters.Spares(r.call.Context(), r.name); err != nil {
			return cmd, votersFault(err)
		}
		r.change = &identity.RemoveWriter{Name: r.name}
	case r.change == nil:
		var w shape.Writer
		if err := fault.DecodeBody(r.call.Payload, &w, "writer", hintWriter); err != nil {
			return cmd, err
		}
		if r.name != "" {
			if w.Name != "" && w.Name != r.name {
				return cmd, fault.BadRequest(hintWriter, "The path names %.63s, and the body %.63q.", r.name, w.Name)
			}
			w.Name = r.name
		}
		if err := checkWriter(&w, v.State.Writers()); err != nil {
			return cmd, err
		}
		one := identity.Writer{Name: w.Name, Peer: w.Peer, Broker: w.Broker, Routes: w.Routes, Region: w.Region}
		r.change = &identity.AddWriter{Writer: one}
		if r.needs.Action == actionMoveWriter {
			r.change = &identity.ChangeWriter{Writer: one}
		}
	}
	return r.command(v), nil
}

const hintWriter = `Send {"name":"writer-4","peer":"host:8430","broker":"host:8431","routes":"host:8432"}, as /openapi.json describes.`

// maxAddress is how long an address of a writer may be: a name of DNS, and a port.
const maxAddress = 260

// checkWriter checks what a writer shows beside those that are listed.
func checkWriter(w *shape.Writer, listed *identity.Writers) error {
	if len(w.Name) > maxReplicaName || !replicaName.MatchString(w.Name) {
		return fault.BadRequest(hintWriter, "No node can be called %.80q.", w.Name)
	}
	if len(w.Region) > maxReplicaName {
		return fault.BadRequest(hintWriter, "The region is longer than %d characters.", maxReplicaName)
	}
	// A writer could not start without a broker where the others have one.
	if listed != nil && (w.Broker == "" || w.Routes == "") && slices.ContainsFunc(listed.List, func(other identity.Writer) bool { return other.Routes != "" }) {
		return fault.BadRequest(hintWriter, "broker or routes is missing: the other writers have NATS servers.")
	}
	for _, a := range []struct{ what, text string }{{"peer", w.Peer}, {"broker", w.Broker}, {"routes", w.Routes}} {
		if a.text == "" && a.what != "peer" {
			continue // NATS runs outside, or not at all
		}
		host, port, err := net.SplitHostPort(a.text)
		if number, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || number == 0 || host == "" || len(a.text) > maxAddress {
			return fault.BadRequest(hintWriter, "%s is %.80q, and not HOST:PORT.", a.what, a.text)
		}
	}
	return nil
}
