// Package doors opens the doors of a node, each with the protocols that it serves.
package doors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/authzen"
	"github.com/writ-iam/writ/node/bridge/extauthz"
	"github.com/writ-iam/writ/node/bridge/kubernetes"
	"github.com/writ-iam/writ/node/bridge/local"
	"github.com/writ-iam/writ/node/bridge/objectstore"
	"github.com/writ-iam/writ/node/bridge/proxy"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/gate"
)

// protocols are those that doors serve, by the names that files give them.
var protocols = map[string]func(mapping string) (bridge.Protocol, error){
	"authzen":    authzen.New,
	"writ":       local.New,
	"proxy":      proxy.New,
	"ext_authz":  extauthz.New,
	"ceph":       objectstore.NewCeph,
	"kubernetes": kubernetes.New,
	"minio":      objectstore.NewMinIO,
}

// maxConnections is how many connections one door has at once; one address, or the host itself
// at a socket, may have them all.
const maxConnections = 1024

// listening is a protocol that serves a door's listener by itself, and the only one of its door.
type listening interface {
	bridge.Protocol
	// Serve serves until Stop, which lets requests finish until its context ends.
	Serve(net.Listener, *bridge.Desk) error
	Stop(context.Context)
}

// Set are the doors of a node.
type Set struct {
	doors []*door
}

// door is one of them.
type door struct {
	*bridge.Door
	listener net.Listener
	server   *http.Server
	alone    listening // nil: server serves
}

// Read reads a file of doors, and the mappings of what they serve, without opening any; no file
// has none. Errors wrap bridge.ErrConfig, or say why a file cannot be read.
func Read(path string) (*Set, error) {
	if path == "" {
		return new(Set), nil
	}
	list, err := bridge.Load(path)
	if err != nil {
		return nil, err
	}
	s := new(Set)
	for i := range list {
		d := &door{Door: &list[i]}
		if _, err := d.protocols(); err != nil {
			return nil, err
		}
		s.doors = append(s.doors, d)
	}
	return s, nil
}

// protocols makes what a door serves.
func (d *door) protocols() (list []bridge.Protocol, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.Serve)) {
		make, ok := protocols[name]
		if !ok {
			return nil, fmt.Errorf("%w: the door %s serves %q, which is no protocol; there are: %s", bridge.ErrConfig, d.Listen, name, strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
		}
		p, err := make(d.Serve[name])
		if err != nil {
			return nil, fmt.Errorf("the door %s: %s: %w", d.Listen, name, err)
		}
		if alone, ok := p.(listening); ok {
			if d.alone = alone; len(d.Serve) > 1 {
				return nil, fmt.Errorf("%w: the door %s serves %s, which needs a door of its own", bridge.ErrConfig, d.Listen, name)
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// Open opens the doors. listen opens a port, as net.Listen does for tcp. fail is told of a door
// that can serve no longer.
func (s *Set) Open(node *bridge.Node, listen func(addr string) (net.Listener, error), logger *slog.Logger, wg *sync.WaitGroup, fail func(error)) (err error) {
	defer func() {
		if err != nil {
			s.Close(context.Background())
		}
	}()
	for _, d := range s.doors {
		if err := d.open(node, listen, logger); err != nil {
			return fmt.Errorf("open the door %s: %w", d.Listen, err)
		}
		logger.Info("a door is open", "listen", d.Addr(), "serves", strings.Join(slices.Sorted(maps.Keys(d.Serve)), ", "))
	}
	for _, d := range s.doors {
		wg.Go(func() {
			if err := d.serve(node); err != nil && !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve the door %s: %w", d.Listen, err))
			}
		})
	}
	return nil
}

func (d *door) open(node *bridge.Node, listen func(string) (net.Listener, error), logger *slog.Logger) error {
	list, err := d.protocols()
	if err != nil {
		return err
	}
	file, unix := d.Unix()
	if unix {
		d.listener, err = socket(file, d.Mode)
	} else {
		d.listener, err = listen(d.Listen)
	}
	if err != nil {
		return err
	}
	g := gate.New(d.listener, gate.Bounds{Total: maxConnections, PerAddress: maxConnections})
	d.listener = g
	if d.TLS != nil {
		settings, err := serverTLS(d.TLS)
		if err != nil {
			return err
		}
		if d.alone == nil {
			settings.NextProtos = []string{"http/1.1"}
		}
		d.listener = tls.NewListener(g, settings)
	}
	if d.alone != nil {
		return nil
	}
	mux := http.NewServeMux()
	for _, p := range list {
		p.Routes(mux, &bridge.Desk{Node: node, Door: d.Door})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fault.WriteProblem(w, admission.NewRequest(r, time.Now()).ID, fault.New(fault.NotFound, "This door serves no "+r.Method+" "+r.URL.Path+".", ""))
	})
	d.server = g.Server(exactly(mux), logger)
	within := d.server.ConnContext
	d.server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		ctx = within(ctx, conn)
		if uid, ok := bridge.PeerOf(conn); ok {
			ctx = bridge.WithPeer(ctx, uid)
		}
		return ctx
	}
	return nil
}

// exactly refuses paths that the mux would send to another one: a proxy hands paths of strangers
// on, and its clients must not be told to go elsewhere.
func exactly(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
			clean += "/"
		}
		if r.URL.Path != clean {
			fault.WriteProblem(w, admission.NewRequest(r, time.Now()).ID, fault.BadRequest("Leave out what goes up, empty parts and percent-encoded dots.", "The path is not in its simplest form."))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (d *door) serve(node *bridge.Node) error {
	if d.alone != nil {
		return d.alone.Serve(d.listener, &bridge.Desk{Node: node, Door: d.Door})
	}
	return d.server.Serve(d.listener)
}

// Addr is where the door is open.
func (d *door) Addr() string {
	if _, unix := d.Unix(); unix {
		return d.Listen
	}
	return d.listener.Addr().String()
}

// Addrs are the addresses of the doors, in the file's order; of sockets as the file has them.
func (s *Set) Addrs() (list []string) {
	for _, d := range s.doors {
		list = append(list, d.Addr())
	}
	return list
}

// Close closes the doors, and lets requests finish until ctx ends.
func (s *Set) Close(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range s.doors {
		wg.Go(func() {
			switch {
			case d.alone != nil && d.listener != nil:
				d.alone.Stop(ctx)
				d.listener.Close()
			case d.server != nil:
				if d.server.Shutdown(ctx) != nil {
					d.server.Close() // what has not finished by then is closed
				}
			}
			if d.listener != nil {
				d.listener.Close() // of a server that has never served
			}
		})
	}
	wg.Wait()
}

// socket listens on a Unix socket, whose file has the mode from its first moment on. A file that
// another process left is replaced; one on which somebody listens is not.
func socket(path string, mode fs.FileMode) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("somebody listens on %s already", path)
	}
	if is, err := os.Lstat(path); err == nil {
		if is.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there, and is no socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace a socket: %w", err)
		}
	}
	// A socket is made with the process's mask, which all its goroutines share: it is made in a
	// directory that nobody else enters, and moved to its name when it has its mode.
	dir, err := os.MkdirTemp(parent(path), ".door-")
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is empty by then
	made := dir + "/s"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on a socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(made, mode.Perm()), durable.Rename(made, path)); err != nil {
		l.Close()
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	return &named{Listener: l, path: path}, nil
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	} else if i == 0 {
		return "/"
	}
	return "."
}

// named is the listener of a socket that was moved: it removes its file, once. What has the name
// later is another's.
type named struct {
	net.Listener
	path   string
	remove sync.Once
}

// Close closes the listener and removes its file.
func (n *named) Close() (err error) {
	n.remove.Do(func() { err = os.Remove(n.path) })
	return errors.Join(err, n.Listener.Close())
}

// serverTLS is what a door shows and takes.
func serverTLS(t *bridge.TLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: tls: %w", bridge.ErrConfig, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientCA != "" {
		text, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: tls: %s holds no certificate", bridge.ErrConfig, t.ClientCA)
		}
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}
