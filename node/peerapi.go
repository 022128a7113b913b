package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/certs"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/members"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/quorum"
	"github.com/writ-iam/writ/node/sealing"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/replication/tail"
)

// Limits of the peer port.
const (
	maxPeerBody = 64 << 10
	// peerDrain is how long requests of other nodes may take to finish.
	peerDrain = 2 * time.Second
	// peerReadTimeout is how long a request may take to come: other nodes have the whole
	// of it before they send.
	peerReadTimeout = 10 * time.Second
	// tailsOfName and snapshotsOfName are how many transfers one name has at once: each
	// of its processes follows one tail, and may fill a gap meanwhile. Of the few
	// snapshots that are written at once it leaves half to others.
	tailsOfName     = 2 * propagation.MaxLives
	snapshotsOfName = 2
	// allTransfers bounds those of all names; replication has its own bounds, which
	// are no larger.
	allTransfers = 2 * identity.MaxReplicas
)

// peerServer is what a writer serves to the other nodes.
type peerServer struct {
	w      *writer
	server *http.Server
	edge   *api.Server // answers requests that other nodes hand on
	// knocked are the names of removed replicas that have shown a certificate since
	// the start; each was told once.
	knocked sync.Map
	wg      sync.WaitGroup
}

func servePeers(w *writer, edge *api.Server) *peerServer {
	p := &peerServer{w: w, edge: edge}
	mux := http.NewServeMux()
	guests := w.port.Guests()
	guests.Observe(w.node.registry)
	history := tail.NewHandler(tail.HandlerConfig{
		Events: w.log.Events(), Log: followed{w}, Logger: w.node.logger,
	})
	mux.Handle(tail.EventsPath, guests.Transfer("tails", allTransfers, tailsOfName, history))
	mux.Handle(tail.SnapshotPath, guests.Transfer("snapshots", allTransfers, snapshotsOfName, history))
	mux.HandleFunc("GET "+quorum.StatusPath, p.status)
	mux.HandleFunc("POST "+proof.Path, p.verify)
	mux.HandleFunc("GET "+peer.LeaderPath, p.leader(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) }))
	mux.HandleFunc("POST "+quorum.JoinPath, p.leader(p.join))
	mux.HandleFunc("POST "+lease.RegisterPath, p.leader(p.register))
	mux.HandleFunc("POST "+lease.Path, p.leader(p.lease))
	mux.HandleFunc("POST "+lease.HeadPath, p.leader(p.head))
	mux.HandleFunc("POST "+ask.TasksPath, p.leader(p.tasks))
	mux.HandleFunc("POST "+signaturePath, p.leader(p.signature))
	mux.HandleFunc("POST "+ask.AnswersPath, p.leader(p.answers))
	mux.HandleFunc("POST "+usesPath, p.leader(p.uses))
	mux.HandleFunc("POST "+certs.Path, p.leader(w.node.signer().ServeHTTP))
	p.server = &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if why := p.admits(r); why != nil {
				p.refuse(rw, r, why)
				return
			}
			if admission.IsForwarded(r) {
				p.leader(p.forwarded)(rw, r)
				return
			}
			mux.ServeHTTP(rw, r)
		}),
		ReadHeaderTimeout: gate.ReadHeaderTimeout, ReadTimeout: peerReadTimeout, IdleTimeout: peer.IdleTimeout, MaxHeaderBytes: maxPeerHeaderBytes,
		ErrorLog: slog.NewLogLogger(w.node.logger.Handler(), slog.LevelDebug),
	}
	guests.Attend(p.server)
	p.wg.Go(func() {
		if err := p.server.Serve(w.port.HTTP()); !errors.Is(err, http.ErrServerClosed) {
			w.node.fail(fmt.Errorf("serve other nodes: %w", err))
		}
	})
	return p
}

// followed is a writer as other nodes follow it.
type followed struct{ *writer }

// Changed tells when the log has more.
func (w followed) Changed() <-chan struct{} { return w.log.Changed() }

// Leading tells whether this writer leads.
func (w followed) Leading() bool { return w.log.IsLeader() }

// Snapshot is the state that this writer is at.
func (w followed) Snapshot() (*identity.State, wire.SnapshotHeader) {
	a := w.log.Applied()
	h := a.SnapshotHeader()
	h.Lives = event.Lives{} // they are the writers' business
	return a.State, h
}

func (p *peerServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), peerDrain)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		p.server.Close() // long answers, such as event tails, are cut off
	}
	p.wg.Wait()
}

// leader lets only the leader answer; others name it.
func (p *peerServer) leader(serve http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if p.w.leading.Load() == nil {
			_, addr := p.w.log.Leader()
			rw.Header().Set(peer.HeaderLeader, addr)
			http.Error(rw, "this writer does not lead", http.StatusMisdirectedRequest)
			return
		}
		serve(rw, r)
	}
}

// forwarded answers a client's request that another node handed on.
func (p *peerServer) forwarded(rw http.ResponseWriter, r *http.Request) {
	p.edge.ServeForwarded(rw, r, peer.Caller(r).Name)
}

// status tells other nodes how this writer fares.
func (p *peerServer) status(rw http.ResponseWriter, _ *http.Request) {
	peer.Reply(rw, p.w.quorum.Self())
}

// join makes a writer a member of the log.
func (p *peerServer) join(rw http.ResponseWriter, r *http.Request) {
	var q quorum.Request
	if !p.read(rw, r, &q) {
		return
	}
	err := p.w.quorum.Admit(r.Context(), peer.Caller(r).Name, q)
	var not *quorum.NotAdmitted
	switch {
	case err == nil:
		peer.Reply(rw, struct{}{})
	case errors.As(err, &not):
		http.Error(rw, not.Reason, not.Status)
	default: // it asks again
		p.fail(rw, err)
	}
}

// register enters a replica into the roster.
func (p *peerServer) register(rw http.ResponseWriter, r *http.Request) {
	var q lease.Registration
	if !p.read(rw, r, &q) {
		return
	}
	if peer.Caller(r).Name != q.Name {
		http.Error(rw, "a replica registers itself alone", http.StatusForbidden)
		return
	}
	if e, ok := p.w.log.Applied().State.Replica(q.Name); ok && e.Region == q.Region && e.Class == q.Class {
		peer.Reply(rw, struct{}{}) // as it is; if it drains, that is for an operator to end
		return
	}
	attempt := sha256.Sum256([]byte("register " + q.Name + " " + q.Attempt))
	err := p.w.propose(r.Context(), identity.Key(attempt[:]), &identity.RegisterReplica{Name: q.Name, Region: q.Region, Class: q.Class})
	var refusal *identity.Refusal
	switch {
	case err == nil, errors.As(err, &refusal) && refusal.Code == identity.EntityAlreadyExists:
		peer.Reply(rw, struct{}{})
	case refusal != nil && refusal.Code == identity.Barred: // in this moment
		p.refuse(rw, r, peer.ErrBarred)
	default:
		p.fail(rw, err)
	}
}

// lease answers a replica's renewal.
func (p *peerServer) lease(rw http.ResponseWriter, r *http.Request) {
	var q lease.Renewal
	if !p.read(rw, r, &q) {
		return
	}
	if peer.Caller(r).Name != q.Replica {
		http.Error(rw, "a replica renews its own lease alone", http.StatusForbidden)
		return
	}
	t := p.w.leading.Load()
	if t == nil {
		p.fail(rw, dispatch.ErrNotLeader)
		return
	}
	if setup.CheckAdvertised(q.Endpoint) == nil && q.Nonce != "" && len(q.Nonce) <= propagation.MaxNonce {
		t.Reached(q.Replica, q.Nonce, lease.Told{Endpoint: q.Endpoint, Certificates: certs.Taken(q.Certificates), SealKeys: sealing.Said(q.SealKeys), Build: build.Taken(q.Build), Embedded: q.Embedded})
	}
	a, err := t.Renew(r.Context(), q.Renewal)
	if err != nil {
		p.fail(rw, err)
		return
	}
	peer.Reply(rw, a)
}

// head answers with a head that was current after the question came.
func (p *peerServer) head(rw http.ResponseWriter, r *http.Request) {
	var q propagation.Read
	if !p.read(rw, r, &q) {
		return
	}
	head, err := p.w.log.StrictHead(r.Context())
	if err != nil {
		p.fail(rw, err)
		return
	}
	c := p.w.log.Applied().State.Cluster()
	peer.Reply(rw, propagation.Answer{
		Kind: propagation.KindHead, Cluster: c.ID, Incarnation: c.Incarnation, Term: p.w.log.Term(), Nonce: q.Nonce, Seq: q.Seq, Head: head,
	})
}

// read decodes a request's JSON, or answers that it cannot. What was read whole is
// not cut off in favour of other connections of its name.
func (p *peerServer) read(rw http.ResponseWriter, r *http.Request, into any) bool {
	if err := peer.Decode(http.MaxBytesReader(rw, r.Body, maxPeerBody), into); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return false
	}
	gate.Prove(r.Context())
	return true
}

// fail answers with an error; one that means "ask the leader" as such.
func (p *peerServer) fail(rw http.ResponseWriter, err error) {
	var notLeader *log.NotLeaderError
	status := http.StatusServiceUnavailable
	if errors.As(err, &notLeader) || errors.Is(err, dispatch.ErrNotLeader) || errors.Is(err, peer.ErrNotLeader) {
		status = http.StatusMisdirectedRequest
		_, addr := p.w.log.Leader()
		rw.Header().Set(peer.HeaderLeader, addr)
	}
	http.Error(rw, err.Error(), status)
}

// Status tells who leads, who lags, and where.
func (w *writer) Status(context.Context) shape.Cluster {
	t, replicas := w.leading.Load(), w.Replicas()
	s := w.quorum.Tell(w.node.ctx, replicas)
	if t != nil {
		for _, m := range replicas {
			one := members.Replica(m, s.Position)
			one.Detail = members.Outgrown(m, w.Level(), one.Detail)
			told := t.Told(m.Name, m.Life)
			one.Endpoint, one.Certificates, one.Build, one.Embedded = told.Endpoint, told.Certificates, told.Build, told.Embedded
			s.Members = append(s.Members, one)
		}
	}
	return s
}

// Embedded tells whether a replica said that it is a part of somebody's process.
func (w *writer) Embedded(m *propagation.ReplicaStatus) bool {
	t := w.leading.Load()
	return t != nil && t.Told(m.Name, m.Life).Embedded
}

// Certificates are those that the writer uses.
func (w *writer) Certificates() []shape.Certificate { return w.node.certs.Shown() }

// Backups are those that the writer makes by itself.
func (w *writer) Backups() *shape.Backups { return w.backups.Told() }

// Endpoint is where clients reach the writer.
func (w *writer) Endpoint() string { return w.node.advertises() }

// Checks are the lines of /readyz.
func (w *writer) Checks() []api.Check {
	a := w.log.Applied()
	raft := api.Check{Name: "raft"}
	raft.Detail, raft.Err = w.quorum.Check()
	state := api.Check{Name: "projection", Detail: fmt.Sprintf("position %d", w.node.projection.Head().Position)}
	digest := api.Check{Name: "digest", Detail: w.node.scrubber.Detail(a.State)}
	if err := w.alarm.Load(); err != nil {
		digest.Err = *err
	}
	disk := api.Check{Name: "log", Err: w.log.Err()}
	return []api.Check{raft, disk, state, digest}
}
