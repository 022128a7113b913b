package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/replication/propagation"
)

// NoNATS as a cluster's NATS lets replicas follow the writers' event tails over
// HTTP alone: simpler, for few replicas, and somewhat slower.
const NoNATS = "none"

// AWSQuotas as a cluster's Quotas are AWS's defaults.
const AWSQuotas = "aws"

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
	maxConfigSize = 1 << 20 // bytes of a file
	// MaxWriters is how many writers a cluster has at most.
	MaxWriters = identity.MaxWriters
)

// Cluster is the part of the configuration that all nodes of a cluster share:
// the file cluster.yaml, which `writ init` makes.
type Cluster struct {
	// ID is a uuid, made once. Nodes of another cluster are refused.
	ID string `yaml:"cluster"`
	// Account is the cluster's first account, twelve digits.
	Account identity.AccountID `yaml:"account"`
	// Partition is what the cluster's ARNs name, such as "aws-cn"; it is chosen once, and aws
	// where it is left out.
	Partition identity.Partition `yaml:"partition,omitempty"`
	// Writers are the voters that the cluster begins with, and where one that is added is. The
	// log lists them from then on, and a node finds it by those that are here.
	Writers []Writer `yaml:"writers"`
	// Replicas are those that `writ init` made certificates for.
	Replicas []Replica `yaml:"replicas,omitempty"`
	// NATS is the URL of a NATS server with JetStream to use instead of the brokers
	// that writers embed, or several with commas between them, or NoNATS.
	NATS string `yaml:"nats,omitempty"`
	// Quotas as AWSQuotas lets the first account go by AWS's defaults of quotas, unless
	// others were chosen by command; empty: by Writ's, which start higher.
	Quotas string `yaml:"quotas,omitempty"`
	// Email is the e-mail address that the first account's root begins with; others are set
	// by command.
	Email string `yaml:"email,omitempty"`
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

// Replica is one in the cluster's file.
type Replica struct {
	Name   string `yaml:"name"`
	Region string `yaml:"region,omitempty"`
	// Class of lease: empty for the default, "tight" for a short one.
	Class string `yaml:"class,omitempty"`
}

// ErrConfig is returned when a configuration cannot work; the text says why.
var ErrConfig = errors.New("the configuration is not valid")

var (
	nodeName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
)

// LoadCluster reads and checks cluster.yaml.
func LoadCluster(path string) (Cluster, error) {
	text, err := ReadFile(path)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return Cluster{}, fmt.Errorf("%w: %s is no directory, choose another (--dir)", err, filepath.Dir(path))
	case err != nil:
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

// ReadFile reads a file of a configuration; one larger than a mebibyte is an ErrConfig.
func ReadFile(path string) ([]byte, error) {
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
	if !c.Partition.Known() {
		return fmt.Errorf("%w: %s is not known; use %s", ErrConfig, c.Partition, strings.Join(identity.PartitionNames(), ", "))
	}
	if n := len(c.Writers); n == 0 || n > MaxWriters {
		return fmt.Errorf("%w: %d writers; a cluster has 1 to %d", ErrConfig, n, MaxWriters)
	}
	if _, err := NATSURLs(c.NATS); err != nil {
		return err
	}
	if c.Quotas != "" && c.Quotas != AWSQuotas {
		return fmt.Errorf("%w: quotas is %q; use %s for AWS's defaults, or leave it out", ErrConfig, c.Quotas, AWSQuotas)
	}
	if c.Email != "" && !identity.IsEmail(c.Email) {
		return fmt.Errorf("%w: email %q is no address such as ops@example.com, of up to 64 characters of ASCII", ErrConfig, c.Email)
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

// Holds refuses, as an ErrConfig, a state of another partition than that of c, or without
// its account. Both were chosen when the cluster began; one that has not begun has neither.
func (c *Cluster) Holds(s *identity.State) error {
	if s.Cluster().ID == "" {
		return nil
	}
	if s.Partition() != c.Partition {
		return fmt.Errorf("%w: cluster.yaml names the partition %s, and the cluster is of %s since it began, which cannot change: name that one",
			ErrConfig, c.Partition, s.Partition())
	}
	if _, ok := s.Account(c.Account); !ok {
		return fmt.Errorf("%w: cluster.yaml names the account %s, which the cluster does not have; it began with %s, which cannot change: name that one",
			ErrConfig, c.Account, s.ManagementAccount())
	}
	return nil
}

// Listed are the writers, as the log lists them.
func (c *Cluster) Listed() []identity.Writer {
	all := make([]identity.Writer, len(c.Writers))
	for i, w := range c.Writers {
		all[i] = identity.Writer{Name: w.Name, Peer: w.Peer, Broker: w.Broker, Routes: w.Routes}
	}
	return all
}

// First are the commands that give a state what c says, where nobody has chosen: the list of
// writers, and of the first account its quotas and its root's e-mail address.
func (c *Cluster) First(s *identity.State) (commands []identity.Command) {
	a, ok := s.Account(c.Account)
	if ok && s.Writers() == nil && len(c.Writers) > 0 {
		commands = append(commands, &identity.ListWriters{Writers: c.Listed()})
	}
	if ok && c.Quotas == AWSQuotas && a.Quotas.Defaults == identity.DefaultsUnchosen {
		commands = append(commands, &identity.SetQuotas{Account: a.ID, Defaults: identity.DefaultsOfAWS, First: true})
	}
	if ok && c.Email != "" && a.Email == "" {
		commands = append(commands, &identity.SetRootEmail{Account: a.ID, Email: c.Email, First: true})
	}
	return commands
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
// each. With one address the others are empty; see Complete.
func ParseWriter(text string) (Writer, error) {
	name, addrs, ok := strings.Cut(text, "=")
	if !ok {
		return Writer{}, fmt.Errorf("%w: use NAME=HOST:PORT", ErrConfig)
	}
	list := strings.Split(addrs, ",")
	if len(list) == 3 {
		return Writer{Name: name, Peer: list[0], Broker: list[1], Routes: list[2]}, nil
	}
	w := Writer{Name: name, Peer: addrs}
	_, err := w.Complete()
	return w, err
}

// Complete is w with all of its addresses: the broker and its routes take the two ports
// after that for peers.
func (w Writer) Complete() (Writer, error) {
	if w.Broker != "" || w.Routes != "" {
		return w, nil
	}
	host, portText, err := net.SplitHostPort(w.Peer)
	if err != nil {
		return Writer{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port > math.MaxUint16-2 {
		return Writer{}, fmt.Errorf("%w: port %q; the two after it are needed, too", ErrConfig, portText)
	}
	at := func(offset uint64) string { return net.JoinHostPort(host, strconv.FormatUint(port+offset, 10)) }
	return Writer{Name: w.Name, Peer: w.Peer, Broker: at(1), Routes: at(2)}, nil
}

// The schemes of NATS URLs.
const (
	schemePlain = "nats"
	// SchemeTLS is that of servers which are reached over TLS.
	SchemeTLS = "tls"
)

// maxNATS bounds the URLs of NATS servers.
const maxNATS = 16

// NATSURLs parses the comma-separated URLs of NATS servers of a Cluster: none where it
// has no outside NATS.
func NATSURLs(text string) (urls []*url.URL, err error) {
	if text == "" || text == NoNATS {
		return nil, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil, u.Host == "", u.Scheme != schemePlain && u.Scheme != SchemeTLS, u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
			return nil, fmt.Errorf("%w: a URL of NATS is not nats://HOST:PORT or tls://HOST:PORT, nor %q", ErrConfig, NoNATS)
		case u.User != nil:
			return nil, fmt.Errorf("%w: a URL of NATS carries a user; every reader of the file would know: use --nats-user and --nats-password-file, or --nats-credentials-file", ErrConfig)
		}
		urls = append(urls, u)
	}
	if len(urls) > maxNATS {
		return nil, fmt.Errorf("%w: %d URLs of NATS, at most %d", ErrConfig, len(urls), maxNATS)
	}
	return urls, nil
}
