package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/bridge/doors"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/certs"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/measure"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sealing"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/node/usage"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// maxPeerHeaderBytes bounds those of other nodes, which say more of a request that they hand on.
const maxPeerHeaderBytes = 2 * gate.MaxHeaderBytes

// part is what a role adds to a node.
type part interface {
	// Condition is how the part and the cluster fare.
	api.Condition
	sealing.Heads
	// stop ends everything that the part started. The API has stopped accepting.
	stop() error
	// retire prepares for the end while the API still serves.
	retire(context.Context)
}

// Node is a running node.
type Node struct {
	cfg        Config
	logger     *slog.Logger
	tls        *peer.Identity
	lock       *os.File
	clocks     func() propagation.Clocks
	projection *projection.Projection
	build      shape.Build
	outgrown   atomic.Bool // by the cluster's feature level, and it was logged
	registry   *prometheus.Registry
	finder     *peer.Finder
	seal       *seal.Key
	keys       *sealing.Keys // that seal is of; nil at a replica without
	reach      oidc.Reach
	scrubber   *proof.Scrubber
	uses       usage.Book    // of credentials, that this node saw
	tracer     *trace.Tracer // nil: nothing is traced

	part     part
	edge     *api.Server // what answers clients, built by the part's start
	files    int         // that the process may open
	server   *http.Server
	gate     *gate.Gate // of clients
	listener net.Listener
	doors    *doors.Set       // at which services ask in other protocols
	apiCert  *api.Certificate // nil for plain HTTP
	certs    *certs.Keeper
	expelled digest.Sum             // of the revocations that expel has seen
	endpoint atomic.Pointer[string] // where clients reach it; nil before it serves them
	failed   chan error             // has room for one

	ctx    context.Context // of everything that the node runs
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Start runs a node until Stop. Whether it is ready, /readyz tells. ctx bounds the
// start alone.
func Start(ctx context.Context, cfg Config, logger *slog.Logger) (_ *Node, err error) {
	cfg.Machine = cfg.Machine.complete()
	n := &Node{
		cfg: cfg, logger: logger.With("node", cfg.Name), clocks: cfg.Machine.Clocks,
		projection: projection.Within(cfg.Kept), build: build.Own(), registry: prometheus.NewRegistry(), failed: make(chan error, 1),
	}
	n.scrubber = proof.NewScrubber(n.projection, n.logger)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.cancel()
			n.wg.Wait()
			n.tracer.Stop()
			n.unlock()
		}
	}()
	if err := n.prepare(); err != nil {
		return nil, err
	}
	_, votes := cfg.Cluster.Writer(cfg.Name)
	if votes {
		n.part, err = n.startWriter(ctx)
	} else {
		n.part, err = n.startReplica()
	}
	if err != nil {
		return nil, err
	}
	if err := n.serveAPI(); err != nil {
		n.cancel() // the part waits for what the node runs
		return nil, errors.Join(err, n.part.stop())
	}
	if err := n.doors.Open(n.edge.Bridge(), n.cfg.Machine.Listen, n.logger, &n.wg, n.fail); err != nil {
		if n.server != nil {
			n.server.Close()
		}
		n.cancel() // the part waits for what the node runs
		return nil, errors.Join(err, n.part.stop())
	}
	n.wg.Go(func() { n.certs.Run(n.ctx) })
	n.wg.Go(func() {
		if err := n.keys.Watch(n.ctx, n.projection, n.part, n.logger); err != nil {
			n.fail(err)
		}
	})
	n.logger.Info("the node serves", "api", n.API(), "embedded", cfg.Embedded, "cluster", cfg.Cluster.ID)
	return n, nil
}

// prepare reads what the node needs and takes its directory.
func (n *Node) prepare() (err error) {
	c := &n.cfg
	if err := errors.Join(c.Cluster.Validate(), setup.CheckAdvertised(c.Advertise), setup.CheckIssuer(c.Issuer), c.check()); err != nil {
		return err
	}
	_, writer := c.Cluster.Writer(c.Name)
	_, replica := c.Cluster.Replica(c.Name)
	if !writer && !replica {
		return fmt.Errorf("%w: the cluster has no node %q; `writ node add` adds one to its cluster.yaml", setup.ErrConfig, c.Name)
	}
	if urls, err := setup.NATSURLs(c.Cluster.NATS); err != nil {
		return err
	} else if _, err := c.NATS.Link(urls); err != nil { // before anything is begun
		return err
	}
	if n.doors, err = doors.Read(c.Doors); err != nil {
		return err
	}
	if n.reach, err = oidc.LoadReach(c.InternalIssuers, c.InternalIssuersCA); err != nil {
		return err
	}
	c.Files.Renewed = cmp.Or(c.Files.Renewed, filepath.Join(c.Data, "certificate.pem"))
	if n.tls, err = peer.LoadIdentity(c.Cluster, c.Files); err != nil {
		return err
	}
	if n.files = c.Machine.Files; n.files == 0 {
		if n.files, err = peer.RaiseFiles(); err != nil {
			return err
		}
	}
	if _, err := c.Connections.within(n.files); err != nil {
		return err
	}
	if err := n.takeRole(writer); err != nil {
		return err
	}
	if err := durable.MkdirAll(c.Data, setup.DirMode); err != nil {
		return fmt.Errorf("make the node's directory: %w", err)
	}
	if n.lock, err = setup.Lock(c.Data); err != nil {
		return err
	}
	if err := archive.Unfinished(c.Data); err != nil {
		return err
	}
	if err := n.tls.Writers().Keep(filepath.Join(c.Data, "writers.json")); err != nil {
		return err
	}
	if !c.Embedded { // else it is for the process to say how it fares
		n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	measure.Node(n.registry, &n.build, c.Data, n.projection)
	n.finder = peer.NewFinder(network{c.Machine}, n.tls, n.files)
	if n.tracer, err = trace.Start(c.Traces, c.Name, c.Cluster.ID, n.logger); err != nil {
		return err
	}
	return n.keepCertificates()
}

// takeRole refuses a certificate for another node or role, and a writer in somebody's process; it
// loads the role's keys.
func (n *Node) takeRole(writer bool) error {
	c := &n.cfg
	role := setup.RoleReplica
	if writer {
		role = setup.RoleWriter
	}
	if own := peer.Of(n.tls.Leaf()); own != (peer.ID{Name: c.Name, Role: role}) {
		return fmt.Errorf("%w: the certificate in %s is for the %s %s, not for the %s %s", setup.ErrConfig, c.Files.Cert, own.Role, own.Name, role, c.Name)
	}
	if writer && c.Embedded {
		return fmt.Errorf("%w: %s is a writer: only replicas are embedded", setup.ErrConfig, c.Name)
	}
	return n.loadKeys(writer)
}

// loadKeys reads the keys that seal secrets, and checks what else a role needs or may not have.
func (n *Node) loadKeys(writer bool) (err error) {
	f := &n.cfg.Files
	switch {
	case f.CAKey != "" && !writer:
		return fmt.Errorf("%w: writers alone renew certificates: leave --ca-key-file out at a replica", setup.ErrConfig)
	case !writer && n.cfg.Backups.Dir != "":
		return fmt.Errorf("%w: a replica keeps no history, and makes no backups: give writers a directory for them", setup.ErrConfig)
	case n.cfg.Backups.Dir != "" && !bucket.Is(n.cfg.Backups.Dir) && within(n.cfg.Data, n.cfg.Backups.Dir):
		return fmt.Errorf("%w: backups in %s would be lost with the node's own directory %s: give them another one, best on another disk", setup.ErrConfig, n.cfg.Backups.Dir, n.cfg.Data)
	case f.CAKey != "":
		if _, err := setup.LoadCertificateAuthority(f.CA, f.CAKey); err != nil {
			return err
		}
	}
	switch {
	case f.SealKey != setup.NoSealKey || f.SealCommand != "":
		if n.keys, err = sealing.Open(n.ctx, sealing.Source{File: f.SealKey, Command: f.SealCommand}, n.cfg.LostSealKeys); err != nil {
			return err
		}
		n.seal = n.keys.Key()
	case writer:
		return fmt.Errorf("%w: a writer needs the keys that seal secrets; replicas alone may do without", setup.ErrConfig)
	}
	return nil
}

// within tells whether a path is a directory, or below it.
func within(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	path, bad := filepath.Abs(path)
	rel, none := filepath.Rel(dir, path)
	return err == nil && bad == nil && none == nil && filepath.IsLocal(rel)
}

// learnWriters goes by the list of writers of a state that the node has applied.
func (n *Node) learnWriters(s *identity.State) {
	if err := n.tls.Writers().Take(s); err != nil {
		n.logger.Warn("the list of writers is not kept, and may be missing when this node starts again", "error", err)
	}
}

func (n *Node) unlock() {
	if n.lock != nil {
		n.lock.Close() // the lock goes with the file
	}
}

// buildEdge makes what answers clients, over the parts of a role. A part builds it as
// soon as it has what may be asked, and before it serves other nodes: from then on
// nothing that is asked finds a node that is not ready to answer. Clients come last.
func (n *Node) buildEdge(parts api.Node) *api.Server {
	parts.Name = n.cfg.Name
	parts.Leader = leader{n.finder}
	parts.Condition = certified{parts.Condition, n}
	n.edge = api.New(api.Config{
		Node: parts, Account: n.cfg.Cluster.Account, Projection: n.projection, Seal: n.seal, Now: n.cfg.Machine.Now, Logger: n.logger,
		Metrics: api.NewMetrics(n.registry), WithoutLease: n.cfg.WithoutLease, PresignedWrites: n.cfg.PresignedWrites, Uses: &n.uses, Tracer: n.tracer,
		Thumbprints: thumbprint.New(n.cfg.Thumbprints), Issuer: n.cfg.Issuer, Passkeys: n.cfg.Passkeys, Identities: oidc.New(n.reach, n.cfg.Machine.Now, n.logger),
	})
	return n.edge
}

// serveAPI opens the port for clients, which an embedded replica has not.
func (n *Node) serveAPI() error {
	if n.cfg.Embedded {
		return nil
	}
	l, err := n.cfg.Machine.Listen(n.cfg.API)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	n.listener = l
	endpoint := setup.Advertised(n.cfg.Advertise, l.Addr(), n.cfg.Files.APICert != "")
	n.endpoint.Store(&endpoint)
	bounds, err := n.cfg.Connections.within(n.files)
	if err != nil {
		return err
	}
	n.gate = gate.New(l, bounds)
	n.gate.Observe(n.registry)
	var serve net.Listener = n.gate
	if n.cfg.Files.APICert != "" {
		serve = tls.NewListener(n.gate, n.apiCert.TLS())
	}
	n.server = n.gate.Server(n.edge, n.logger)
	n.server.RegisterOnShutdown(n.edge.EndStreams) // they would not end by themselves
	n.wg.Go(func() {
		if err := n.server.Serve(serve); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("serve clients: %w", err))
		}
	})
	return nil
}

// The finder has a connection for each request that the API hands on at once, or this
// does not compile.
var _ = [1]struct{}{}[admission.MaxHandedOn-peer.MaxForwards]

// advertises is the URL at which clients reach the node; empty if nobody knows.
func (n *Node) advertises() string {
	if e := n.endpoint.Load(); e != nil {
		return *e
	}
	return ""
}

// API is the address on which the node serves clients; empty if it does not.
func (n *Node) API() string {
	if n.listener == nil {
		return ""
	}
	return n.listener.Addr().String()
}

// Doors are where the node's doors are open, in their file's order.
func (n *Node) Doors() []string { return n.doors.Addrs() }

// Projection is what the node answers from, for who runs nodes in its process and looks inside.
func (n *Node) Projection() *projection.Projection { return n.projection }

// Checks are the lines of /readyz.
func (n *Node) Checks() []api.Check { return certified{n.part, n}.Checks() }

// Metrics are what /metrics shows.
func (n *Node) Metrics() *prometheus.Registry { return n.registry }

// Failed tells why the node cannot go on. Its owner stops it and exits.
func (n *Node) Failed() <-chan error { return n.failed }

func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default: // the first reason counts
	}
}

// Reload reads the node's certificates, and its keys that seal secrets, again. Of each, what
// cannot be read stays as it was.
func (n *Node) Reload() error {
	return errors.Join(n.certs.Reload(), n.keys.Reload(n.ctx, n.projection.View().State))
}

// Stop hands leadership over, stops accepting, lets requests finish for at most
// Config.Drain, and ends everything in the reverse order of its start: the API
// before what it asks, the log last.
func (n *Node) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Drain)
	defer cancel()
	n.part.retire(ctx)
	n.doors.Close(ctx)
	if n.server == nil {
		// nobody is served
	} else if err := n.server.Shutdown(ctx); err != nil {
		n.server.Close() // requests that have not finished by then are closed
	}
	n.cancel()
	err := n.part.stop()
	n.wg.Wait()
	n.finder.Close()
	n.tracer.Stop()
	n.unlock()
	return err
}
