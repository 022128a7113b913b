package node

import (
	"context"
	"errors"
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/tail"
)

// Who is served on the ports between nodes. A certificate of the cluster's authority
// says who somebody is; whether they belong is what the log says, and of writers the
// configuration where the log does not list them. Every writer goes by the state that it has applied itself:
// one that is cut off serves a removed replica until it hears of the removal.

// Why a node is not served.
var (
	// errNoRole is returned for a certificate whose role has no business there.
	errNoRole = errors.New("not for nodes of this role")
	// errReplaying is returned by a writer that does not know yet who belongs.
	errReplaying = errors.New("this writer has not read its own log to the end")
)

// belongs says why a node is no member of the cluster as this writer knows it; nil
// if it is one.
func (w *writer) belongs(c peer.ID) error {
	switch c.Role {
	case setup.RoleWriter:
		if !w.node.tls.Writers().Has(c.Name) {
			return peer.ErrUnlisted
		}
		return nil
	case setup.RoleReplica:
		state := w.log.Applied().State
		_, registered := state.Replica(c.Name)
		switch {
		case state.Barred(c.Name):
			return peer.ErrBarred
		case !w.log.CaughtUp(): // a removal may be in what it has not read
			return errReplaying
		case !registered:
			return peer.ErrUnregistered
		}
		return nil
	}
	return errNoRole
}

// access says who may call a path of the peer port.
type access struct {
	writers, replicas bool
	// newcomers are served that the roster lacks, unless they are barred, or the list of
	// writers, who are told what to do.
	newcomers bool
}

// everybody is the access to what is not listed: members of both roles.
var everybody = access{writers: true, replicas: true}

func (a access) to(role setup.Role) bool {
	return role == setup.RoleWriter && a.writers || role == setup.RoleReplica && a.replicas
}

// accesses are those of the paths that not every member may call.
var accesses = map[string]access{
	quorum.StatusPath:  {writers: true},
	proof.Path:         {writers: true},
	quorum.JoinPath:    {writers: true, newcomers: true},
	lease.RegisterPath: {replicas: true, newcomers: true},
	lease.Path:         {replicas: true, newcomers: true}, // the answer says that it is not registered
	ask.TasksPath:      {replicas: true},
	ask.AnswersPath:    {replicas: true},
	signaturePath:      {replicas: true},
}

// admits says why a request on the peer port is not served; nil if it is.
func (p *peerServer) admits(r *http.Request) error {
	may := everybody
	if a, ok := accesses[r.URL.Path]; ok && !admission.IsForwarded(r) {
		may = a
	}
	c := peer.Caller(r)
	if !may.to(c.Role) {
		return errNoRole
	}
	err := p.w.belongs(c)
	if may.newcomers && (errors.Is(err, peer.ErrUnregistered) || errors.Is(err, peer.ErrUnlisted)) {
		return nil
	}
	return err
}

// refuse answers a request that is not served. Whoever looks for the leader learns
// that this writer's word is not the last one, unless it leads.
func (p *peerServer) refuse(rw http.ResponseWriter, r *http.Request, why error) {
	if errors.Is(why, errReplaying) { // not for it to say: it does not lead, and another may
		_, addr := p.w.log.Leader()
		rw.Header().Set(peer.HeaderLeader, addr)
		status := http.StatusMisdirectedRequest
		if path := r.URL.Path; path == tail.EventsPath || path == tail.SnapshotPath {
			status = http.StatusServiceUnavailable // every writer has these: busy, and nothing against the replica's state
		}
		http.Error(rw, why.Error(), status)
		return
	}
	if c := peer.Caller(r); errors.Is(why, peer.ErrBarred) {
		if _, told := p.knocked.LoadOrStore(c.Name, true); !told {
			p.w.node.logger.Warn("a removed replica's certificate was shown, and refused", "replica", c.Name, "from", r.RemoteAddr)
		}
	}
	peer.Explain(rw.Header(), why)
	if p.w.leading.Load() == nil {
		_, addr := p.w.log.Leader()
		rw.Header().Set(peer.HeaderLeader, addr)
	}
	http.Error(rw, why.Error(), http.StatusForbidden)
}

// guard shows the door to whom a change of the roster, or of the list of writers, leaves no
// place, until the node stops.
func (w *writer) guard(ctx context.Context) {
	last, listed := event.Position(0), (*identity.Writers)(nil)
	for {
		changed := w.log.Changed()
		state := w.log.Applied().State
		w.node.expel(state)
		if now, writers := state.Cluster().RosterChanged, state.Writers(); now != last || writers != listed {
			last, listed = now, writers
			w.node.learnWriters(state)
			w.expel()
			if w.alone && len(w.node.tls.Writers().Writers()) > 1 {
				w.node.logger.Warn("this writer began as the only one, with short timeouts and a broker of its own: once the others vote, start it again")
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// expel closes what removed nodes have open at this writer.
func (w *writer) expel() {
	w.port.Expel(func(c peer.ID) bool {
		why := w.belongs(c)
		return errors.Is(why, peer.ErrBarred) || errors.Is(why, peer.ErrUnlisted)
	})
	if w.broker != nil {
		w.broker.Expel()
		select {
		case w.expelled <- struct{}{}:
		default: // sweep is behind, and will see this, too
		}
	}
}

// sweep removes the consumers that removed replicas left at the brokers, until the node
// stops. It begins after their connections to this writer's broker are closed, so that
// the last writer to do so finds all of them. What cannot be removed runs out.
func (w *writer) sweep(ctx context.Context) {
	for {
		select {
		case <-w.expelled:
		case <-ctx.Done():
			return
		}
		state := w.log.Applied().State
		if err := w.link.DropConsumers(ctx, state.Cluster(), state.Barred); err != nil && ctx.Err() == nil {
			w.node.logger.Debug("consumers of removed replicas are left to run out", "error", err)
		}
	}
}
