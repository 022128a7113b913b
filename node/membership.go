package node

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/replication/tail"
)

// Who is served on the ports between nodes. A certificate of the cluster's authority
// says who somebody is; whether they belong is what the log says of replicas, and the
// configuration of writers. Every writer goes by the state that it has applied itself:
// one that is cut off serves a removed replica until it hears of the removal.

// Why a node is not served.
var (
	// errBarred is returned when a replica was removed by command.
	errBarred = errors.New("removed from the roster by command: `writ replica admit` with its name, at a writer, lets it in again")
	// errUnregistered is returned when a replica is not in the roster.
	errUnregistered = errors.New("not in the roster of replicas; one that has not been removed registers by itself")
	// errNoRole is returned for a certificate whose role has no business there.
	errNoRole = errors.New("not for nodes of this role")
	// errReplaying is returned by a writer that does not know yet who belongs.
	errReplaying = errors.New("this writer has not read its own log to the end")
)

// headerStanding names, in an answer of 403, why a node is not served.
const headerStanding = "X-Writ-Standing"

// standings are what headerStanding says; they travel.
var standings = map[string]error{"barred": errBarred, "unregistered": errUnregistered}

// bearer is whom a verified certificate names.
type bearer struct {
	name string
	role Role
}

func bearerOf(cert *x509.Certificate) bearer { return bearer{cert.Subject.CommonName, roleOf(cert)} }

// bearerIn is who made a request to the peer port.
func bearerIn(r *http.Request) bearer { return bearerOf(r.TLS.PeerCertificates[0]) }

// belongs says why a node is no member of the cluster as this writer knows it; nil
// if it is one.
func (w *writer) belongs(c bearer) error {
	switch c.role {
	case RoleWriter:
		return nil // of the configuration, or it could not have connected
	case RoleReplica:
		state := w.log.Applied().State
		_, registered := state.Replica(c.name)
		switch {
		case state.Barred(c.name):
			return errBarred
		case !w.log.CaughtUp(): // a removal may be in what it has not read
			return errReplaying
		case !registered:
			return errUnregistered
		}
		return nil
	}
	return errNoRole
}

// access says who may call a path of the peer port.
type access struct {
	writers, replicas bool
	// newcomers are served that the roster lacks, unless they are barred.
	newcomers bool
}

// everybody is the access to what is not listed: members of both roles.
var everybody = access{writers: true, replicas: true}

func (a access) to(role Role) bool {
	return role == RoleWriter && a.writers || role == RoleReplica && a.replicas
}

// accesses are those of the paths that not every member may call.
var accesses = map[string]access{
	statusPath:    {writers: true},
	verifyPath:    {writers: true},
	joinPath:      {writers: true},
	registerPath:  {replicas: true, newcomers: true},
	leasePath:     {replicas: true, newcomers: true}, // the answer says that it is not registered
	questionsPath: {replicas: true},
	answersPath:   {replicas: true},
	signaturePath: {replicas: true},
}

// admits says why a request on the peer port is not served; nil if it is.
func (p *peerServer) admits(r *http.Request) error {
	may := everybody
	if a, ok := accesses[r.URL.Path]; ok && !api.IsForwarded(r) {
		may = a
	}
	c := bearerIn(r)
	if !may.to(c.role) {
		return errNoRole
	}
	err := p.w.belongs(c)
	if may.newcomers && errors.Is(err, errUnregistered) {
		return nil
	}
	return err
}

// refuse answers a request that is not served. Whoever looks for the leader learns
// that this writer's word is not the last one, unless it leads.
func (p *peerServer) refuse(rw http.ResponseWriter, r *http.Request, why error) {
	if errors.Is(why, errReplaying) { // not for it to say: it does not lead, and another may
		_, addr := p.w.log.Leader()
		rw.Header().Set(headerLeader, addr)
		status := http.StatusMisdirectedRequest
		if path := r.URL.Path; path == tail.EventsPath || path == tail.SnapshotPath {
			status = http.StatusServiceUnavailable // every writer has these: busy, and nothing against the reader's state
		}
		http.Error(rw, why.Error(), status)
		return
	}
	if c := bearerIn(r); errors.Is(why, errBarred) {
		if _, told := p.knocked.LoadOrStore(c.name, true); !told {
			p.w.node.logger.Warn("a removed replica's certificate was shown, and refused", "replica", c.name, "from", r.RemoteAddr)
		}
	}
	for text, err := range standings {
		if errors.Is(why, err) {
			rw.Header().Set(headerStanding, text)
		}
	}
	if p.w.leading.Load() == nil {
		_, addr := p.w.log.Leader()
		rw.Header().Set(headerLeader, addr)
	}
	http.Error(rw, why.Error(), http.StatusForbidden)
}

// refused is what an answer of 403 says of this node's place in the cluster; nil if
// it says nothing of it. final: the leader itself says so.
func refused(answer *http.Response) (err error, final bool) {
	if answer == nil || answer.StatusCode != http.StatusForbidden {
		return nil, false
	}
	if err = standings[answer.Header.Get(headerStanding)]; err == nil {
		return nil, false
	}
	_, another := answer.Header[headerLeader]
	return err, !another
}

// guard shows the door to whom a change of the roster leaves no place, until the
// node stops.
func (w *writer) guard(ctx context.Context) {
	last := event.Position(0)
	for {
		changed := w.log.Changed()
		if now := w.log.Applied().State.Cluster().RosterChanged; now != last {
			last = now
			w.expel()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// expel closes what removed replicas have open at this writer.
func (w *writer) expel() {
	w.port.guests.expel(func(c bearer) bool { return errors.Is(w.belongs(c), errBarred) })
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
