package node

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/nats"
	"github.com/writ-iam/writ/node/past"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/projection"
)

// Config is what one node is made of.
type Config struct {
	Cluster setup.Cluster
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
	Files setup.Files
	// LostSealKeys are ids of keys that seal secrets and that nobody has any more: the node goes on
	// without them, and what they sealed stays shut.
	LostSealKeys []string
	// Traces are what the environment asks for; the zero value: none.
	Traces trace.Settings
	// NATS is how this node is known to the NATS of Cluster.NATS.
	NATS nats.Outside
	// WithoutLease is what the node admits while nothing proves that it is current.
	WithoutLease freshness.WithoutLease
	// PresignedWrites is how long after it was signed a presigned write is taken, up to
	// dispatch.MaxPresignedWrites; 0 for dispatch.DefaultPresignedWrites. Reads live as long as
	// their signers say.
	PresignedWrites time.Duration
	// SessionKeyAge and IssuerKeyAge are when another key is made: api.MinKeyAge at least; 0 for api.DefaultKeyAge.
	SessionKeyAge, IssuerKeyAge time.Duration
	// RetentionEvery is how often the history is held to its rule; 0 for retention.Every.
	RetentionEvery time.Duration
	// Past says which states of past positions a writer keeps; the zero value: past's constants.
	Past past.Rule
	// Thumbprints say where thumbprints of OpenID Connect providers are fetched from.
	Thumbprints thumbprint.Reach
	// Issuer is the URL below which the issuers of web identity tokens are. Empty for that
	// at which clients reach the node.
	Issuer string
	// InternalIssuers are the issuers of web identity tokens that are not on the public
	// internet, and networks of such, and InternalIssuersCA the file of certificates that
	// vouch for them; see oidc.LoadReach.
	InternalIssuers   []string
	InternalIssuersCA string
	// Doors is the file of the doors at which services ask in other protocols; empty: none.
	Doors string
	// Passkeys say what passkeys are bound to; the zero value has none.
	Passkeys passkey.Settings
	// Connections bound the clients' connections.
	Connections Connections
	// Drain is how long a stopping node lets requests finish.
	Drain time.Duration
	// HoldLevel is the feature level above which a writer keeps its cluster from rising; 0: none.
	HoldLevel uint32
	// Snapshots say when a writer's log is shortened.
	Snapshots Snapshots
	// Backups say when a writer makes archives by itself.
	Backups archive.Schedule
	// Embedded makes a replica a part of somebody's process: it serves no clients, and leaves the
	// process as it is. The leader is told.
	Embedded bool `yaml:"-"`
	// Kept bounds what the node keeps compiled of its state.
	Kept projection.Limits `yaml:"-"`
	// Machine is what the node runs on; the zero value is this one.
	Machine Machine `yaml:"-"`
}

// Connections bound the connections of clients. How they give way to each other when
// there are too many, gate.Gate says.
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

// within is what bounds clients when a process may open so many files.
func (c Connections) within(files int) (gate.Bounds, error) {
	return peer.ClientBounds(gate.Bounds{Total: c.Total, PerAddress: c.PerAddress, Proxies: c.Proxies}, files)
}

// Snapshots say when a log is shortened; zero values are the defaults of package log.
type Snapshots struct {
	Interval time.Duration // between looks at whether there is enough to shorten; up to twice as long
	Every    uint64        // entries since the last snapshot that call for another
	Keep     uint64        // entries kept behind a snapshot, for writers that lag
}

// check says what is wrong with the settings that are numbers and names alone.
func (c *Config) check() error {
	switch age := min(cmp.Or(c.SessionKeyAge, api.DefaultKeyAge), cmp.Or(c.IssuerKeyAge, api.DefaultKeyAge)); {
	case c.PresignedWrites < 0 || c.PresignedWrites > dispatch.MaxPresignedWrites:
		return fmt.Errorf("%w: presigned writes cannot be taken for %v; use up to %v", setup.ErrConfig, c.PresignedWrites, dispatch.MaxPresignedWrites)
	case age < api.MinKeyAge:
		return fmt.Errorf("%w: keys cannot be rotated at an age of %v; use %v or more", setup.ErrConfig, age, api.MinKeyAge)
	}
	if err := c.Passkeys.Check(); err != nil {
		return fmt.Errorf("%w: %w", setup.ErrConfig, err)
	}
	return nil
}
