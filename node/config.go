package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/replication/propagation"
)

// NoNATS as a cluster's NATS lets replicas follow the writers' event tails over
// HTTP alone: simpler, for few replicas, and somewhat slower.
const NoNATS = "none"

// Role is what a node does.
type Role string

// The roles of a node.
const (
	// RoleWriter votes in the Raft log, keeps the event store and a broker.
	RoleWriter Role = "writer"
	// RoleReplica follows the log and answers.
	RoleReplica Role = "replica"
)

// Limits of a cluster's configuration.
const (
	maxConfigSize = 1 << 20
	maxWriters    = 7
)

// Cluster is the part of the configuration that all nodes of a cluster share:
// the file cluster.yaml, which `writ init` makes.
type Cluster struct {
	// ID is a uuid, made once. Nodes of another cluster are refused.
	ID string `yaml:"cluster"`
	// Account is the cluster's first account, twelve digits.
	Account identity.AccountID `yaml:"account"`
	// Writers are the voters, one, three or five of them.
	Writers []Writer `yaml:"writers"`
	// Replicas are the readers that `writ init` made certificates for.
	Replicas []Replica `yaml:"replicas,omitempty"`
	// NATS is the URL of a NATS server with JetStream to use instead of the brokers
	// that writers embed, or several with commas between them, or NoNATS.
	NATS string `yaml:"nats,omitempty"`
}

// Writer says where a writer is reached by the other nodes, as host:port. Names
// are resolved anew at each connection.
type Writer struct {
	Name string `yaml:"name"`
	// Peer serves the Raft log and what nodes ask each other, over mutual TLS.
	Peer string `yaml:"peer"`
	// Broker serves the embedded NATS server's clients.
	Broker string `yaml:"broker"`
	// Routes serves the other writers' NATS servers.
	Routes string `yaml:"routes"`
}

// Replica names a reader.
type Replica struct {
	Name   string `yaml:"name"`
	Region string `yaml:"region,omitempty"`
	// Class of lease: empty for the default, "tight" for a short one.
	Class string `yaml:"class,omitempty"`
}

// Config is what one node is made of.
type Config struct {
	Cluster Cluster
	Name    string
	// Data is the directory of everything that the node keeps.
	Data string
	// API is the address on which clients are served, host:port.
	API string
	// Advertise is the URL at which clients reach the node, for those who ask where the
	// others are. Empty for that of API, if its host is an IP address of its own.
	Advertise string
	// PeerListen, BrokerListen and RoutesListen are the addresses to listen on,
	// where they differ from those that others dial; empty for the dialled address
	// if it is an IP address, and its port on all interfaces if it is a name.
	PeerListen, BrokerListen, RoutesListen string
	// Files of the node's certificates and secrets.
	Files Files
	// NATS is how this node is known to the NATS of Cluster.NATS.
	NATS OutsideNATS
	// WithoutLease is what the node admits while nothing proves that it is current.
	WithoutLease WithoutLease
	// PresignedWrites is how long after it was signed a presigned write is taken, up to
	// api.MaxPresignedWrites; 0 for api.DefaultPresignedWrites. Reads live as long as
	// their signers say.
	PresignedWrites time.Duration
	// Connections bound the clients' connections.
	Connections Connections
	// Drain is how long a stopping node lets requests finish.
	Drain time.Duration
	// Snapshots say when a writer's log is shortened.
	Snapshots Snapshots
	// Machine is what the node runs on; the zero value is this one.
	Machine Machine `yaml:"-"`
}

// Connections bound the connections of clients. How they give way to each other when
// there are too many, admission.Gate says.
type Connections struct {
	// Total is how many are open at once; 0 is as many as the process may open files
	// for, up to maxConnections.
	Total int
	// PerAddress is how many of them one address has, or one /64 of IPv6; 0 is an
	// eighth of all.
	PerAddress int
	// Proxies are addresses that others are behind: theirs are not bounded apart.
	Proxies []netip.Prefix
}

// Snapshots say when a log is shortened; zero values are the defaults of package log.
type Snapshots struct {
	Interval time.Duration // between looks at whether there is enough to shorten; up to twice as long
	Every    uint64        // entries since the last snapshot that call for another
	Keep     uint64        // entries kept behind a snapshot, for writers that lag
}

// Files are paths of certificates and secrets.
type Files struct {
	CA, Cert, Key   string // of the cluster's authority, and this node's
	SealKey         string // keys that seal secrets before they enter the log; NoSealKey at a replica for none
	Root            string // root credentials, read once, by the writer that bootstraps
	APICert, APIKey string // for clients; both empty for plain HTTP
}

// DefaultFiles are the paths that `writ init` uses in its directory.
func DefaultFiles(dir, name string) Files {
	return Files{
		CA:      filepath.Join(dir, "ca.crt"),
		Cert:    filepath.Join(dir, "nodes", name+".crt"),
		Key:     filepath.Join(dir, "nodes", name+".key"),
		SealKey: filepath.Join(dir, "seal.key"),
		Root:    filepath.Join(dir, "root.json"),
	}
}

// ErrConfig is returned when a configuration cannot work; the text says why.
var ErrConfig = errors.New("the configuration is not valid")

var (
	nodeName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
)

// LoadCluster reads and checks cluster.yaml.
func LoadCluster(path string) (Cluster, error) {
	text, err := readConfig(path)
	if err != nil {
		return Cluster{}, err
	}
	var c Cluster
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return Cluster{}, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if err := c.Validate(); err != nil {
		return Cluster{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// readConfig reads a file of at most maxConfigSize bytes.
func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxConfigSize {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrConfig, path, maxConfigSize)
	}
	return text, nil
}

// Validate says what is wrong with c, as an ErrConfig.
func (c *Cluster) Validate() error {
	if _, err := uuid.Parse(c.ID); err != nil {
		return fmt.Errorf("%w: cluster %q is not a uuid", ErrConfig, c.ID)
	}
	if !accountID.MatchString(string(c.Account)) {
		return fmt.Errorf("%w: account %q is not twelve digits", ErrConfig, c.Account)
	}
	if n := len(c.Writers); n%2 == 0 || n > maxWriters {
		return fmt.Errorf("%w: %d writers; an odd number up to %d keeps a majority when one fails", ErrConfig, n, maxWriters)
	}
	if _, err := natsURLs(c.NATS); err != nil {
		return err
	}
	seen, addrs := map[string]bool{}, map[string]string{}
	name := func(n string) error {
		if !nodeName.MatchString(n) {
			return fmt.Errorf("%w: the name %q is not lower-case letters, digits and hyphens", ErrConfig, n)
		}
		if seen[n] {
			return fmt.Errorf("%w: the name %s is given twice", ErrConfig, n)
		}
		seen[n] = true
		return nil
	}
	for _, w := range c.Writers {
		if err := name(w.Name); err != nil {
			return err
		}
		for _, addr := range []string{w.Peer, w.Broker, w.Routes} {
			if addr == "" && c.NATS != "" {
				continue
			}
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return fmt.Errorf("%w: address %q of writer %s: %w", ErrConfig, addr, w.Name, err)
			}
			if other, taken := addrs[addr]; taken {
				return fmt.Errorf("%w: address %s of writer %s is given to writer %s already", ErrConfig, addr, w.Name, other)
			}
			addrs[addr] = w.Name
		}
	}
	for _, r := range c.Replicas {
		if err := name(r.Name); err != nil {
			return err
		}
		if r.Class != "" && r.Class != propagation.ClassTight {
			return fmt.Errorf("%w: replica %s has the class %q; use %s, or leave it out", ErrConfig, r.Name, r.Class, propagation.ClassTight)
		}
	}
	return nil
}

// Writer returns the writer of that name.
func (c *Cluster) Writer(name string) (Writer, bool) {
	i := slices.IndexFunc(c.Writers, func(w Writer) bool { return w.Name == name })
	if i < 0 {
		return Writer{}, false
	}
	return c.Writers[i], true
}

// Replica returns the replica of that name.
func (c *Cluster) Replica(name string) (Replica, bool) {
	i := slices.IndexFunc(c.Replicas, func(r Replica) bool { return r.Name == name })
	if i < 0 {
		return Replica{}, false
	}
	return c.Replicas[i], true
}

// ParseWriter reads NAME=HOST:PORT, or NAME=PEER,BROKER,ROUTES with an address for
// each. With one address the broker and its routes take the two ports after it.
func ParseWriter(text string) (Writer, error) {
	name, addrs, ok := strings.Cut(text, "=")
	if !ok {
		return Writer{}, fmt.Errorf("%w: use NAME=HOST:PORT", ErrConfig)
	}
	list := strings.Split(addrs, ",")
	if len(list) == 3 {
		return Writer{Name: name, Peer: list[0], Broker: list[1], Routes: list[2]}, nil
	}
	host, portText, err := net.SplitHostPort(addrs)
	if err != nil {
		return Writer{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Writer{}, fmt.Errorf("%w: port %q", ErrConfig, portText)
	}
	at := func(offset uint64) string { return net.JoinHostPort(host, strconv.FormatUint(port+offset, 10)) }
	return Writer{Name: name, Peer: at(0), Broker: at(1), Routes: at(2)}, nil
}

// listenAddr is where to listen for those who dial addr.
func listenAddr(given, addr string) string {
	if given != "" {
		return given
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) != nil {
		return addr
	}
	return net.JoinHostPort("", port)
}

// maxAdvertise is the longest URL that a node may advertise.
const maxAdvertise = 256

// checkAdvertise says what is wrong with a URL to advertise; empty is none.
func checkAdvertise(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || len(text) > maxAdvertise || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("%w: the URL to advertise, %q, is not http://HOST:PORT or https://HOST:PORT", ErrConfig, text)
	}
	return nil
}

// checkPresignedWrites says what is wrong with how long presigned writes are taken.
func checkPresignedWrites(d time.Duration) error {
	if d < 0 || d > api.MaxPresignedWrites {
		return fmt.Errorf("%w: presigned writes cannot be taken for %v; use up to %v", ErrConfig, d, api.MaxPresignedWrites)
	}
	return nil
}

// advertised is the URL at which clients reach a node that listens on addr.
func advertised(given string, addr net.Addr, secure bool) string {
	tcp, ok := addr.(*net.TCPAddr)
	if given != "" || !ok || tcp.IP == nil || tcp.IP.IsUnspecified() {
		return given
	}
	if secure {
		return "https://" + addr.String()
	}
	return "http://" + addr.String()
}
