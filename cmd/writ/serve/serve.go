// Package serve lays clusters out and runs their nodes.
package serve

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/backup"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/nats"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/node/trace"
)

// RootFromEnv returns the root access key that the environment sets, if it does.
func RootFromEnv() setup.RootKey {
	return setup.RootKey{AccessKeyID: os.Getenv("WRIT_ROOT_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("WRIT_ROOT_SECRET_ACCESS_KEY")}
}

// New returns the command that runs one node.
func New() *cobra.Command {
	var s nodeFlags
	cmd := &cobra.Command{
		Use:   "serve --cluster FILE --name NAME --data DIR",
		Short: "Run one node, a writer or a replica as cluster.yaml says",
		Long: `Runs one node until it is told to stop: SIGTERM hands leadership over, drains and exits 0.
SIGHUP reads the node's certificates and seal keys again; what cannot be read stays as it was. The paths of certificates and secrets are those
of ` + "`writ init`" + ` beside cluster.yaml, unless flags say otherwise.

Where cluster.yaml names a NATS server that runs outside, --nats-... say how this node is
known to it. Writers need to publish to writ.> and to create, look at, list, delete and
read streams by $JS.API; replicas to look at streams and to create, delete and pull from
consumers; all of them to subscribe to _INBOX.>. It must be NATS 2.10 or later. What such
a server serves is believed only where a writer signed it; who else may publish there can
slow replicas down, as can a replica that makes consumers without end.

Traces go to a collector of OpenTelemetry where the environment names one, over HTTP:
OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318. Of the OTEL_* variables, those on the
exporter (http/protobuf alone), the sampler, the service's name and resource attributes count,
and OTEL_SDK_DISABLED. Set them alike on all nodes; docs/operating/seeing.md says what is sent.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			return node.Run(cmd.Context(), cfg, newLogger(cmd.ErrOrStderr(), s.level))
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

// WithoutLeaseFlag declares what a node is told about admission without a lease.
func WithoutLeaseFlag(f *pflag.FlagSet, w *freshness.WithoutLease) {
	f.TextVar(w, "without-lease", freshness.AdmitQuestions, "what a node still admits when nothing proves that it is current: nothing, questions (for decisions; answers are flagged) or reads. A key that was deleted since is good there")
}

// natsFlags declares how a node is known to an outside NATS.
func natsFlags(f *pflag.FlagSet, n *nats.Outside) {
	f.StringVar(&n.CA, "nats-ca-file", "", "certificates to trust of an outside NATS; makes all connections to it TLS (default: the system's, for tls:// URLs)")
	f.StringVar(&n.Cert, "nats-cert-file", "", "certificate for an outside NATS; read again at each connection")
	f.StringVar(&n.Key, "nats-key-file", "", "key of the certificate for an outside NATS")
	f.StringVar(&n.Credentials, "nats-credentials-file", "", "credentials for an outside NATS, as its tools write them")
	f.StringVar(&n.User, "nats-user", "", "user of an outside NATS that knows users by passwords")
	f.StringVar(&n.PasswordFile, "nats-password-file", "", "the password of that user")
	f.BoolVar(&n.Insecure, "nats-insecure", false, "let a user's connection to an outside NATS go over a network in plain text")
}

// nodeFlags is what the flags of `writ serve` say.
type nodeFlags struct {
	cluster string
	cfg     node.Config
	proxies []string
	level   slog.Level
}

func (s *nodeFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&s.cluster, "cluster", "", "the cluster's configuration, cluster.yaml")
	f.StringVar(&s.cfg.Name, "name", "", "this node's name in it")
	f.StringVar(&s.cfg.Data, "data", "", "directory of what the node keeps")
	f.StringVar(&s.cfg.API, "api", "127.0.0.1:8420", "address to serve clients on")
	f.StringVar(&s.cfg.Advertise, "advertise", "", "URL at which clients reach the node, for those who ask where the others are (default: that of --api, if it is an IP address of its own)")
	f.StringVar(&s.cfg.PeerListen, "peer-listen", "", "address to serve other nodes on (default: all interfaces, the port others dial)")
	f.StringVar(&s.cfg.BrokerListen, "broker-listen", "", "address of the embedded broker (default: as for peers)")
	f.StringVar(&s.cfg.RoutesListen, "routes-listen", "", "address of the embedded broker's routes (default: as for peers)")
	f.StringVar(&s.cfg.Files.CA, "ca-file", "", "certificate of the cluster's authority")
	f.StringVar(&s.cfg.Files.Cert, "cert-file", "", "the node's certificate")
	f.StringVar(&s.cfg.Files.Key, "key-file", "", "the key of the node's certificate")
	f.StringVar(&s.cfg.Files.CAKey, "ca-key-file", "", "key of the cluster's authority, for writers: while it leads it renews the certificates of nodes, for 30 days each, when a third of their life is left; whoever has the key can make any node (default: none are renewed)")
	f.StringVar(&s.cfg.Files.SealKey, "seal-key-file", "", "keys that seal secrets; credential:NAME for a credential of systemd; none at a replica: the leader verifies signatures for it, and it answers nobody while it is cut off")
	f.StringVar(&s.cfg.Files.SealCommand, "seal-key-command", "", "program, by its absolute path, with its arguments, that prints the keys that seal secrets, in place of the file; run without a shell, within 10s")
	f.StringSliceVar(&s.cfg.LostSealKeys, "lost-seal-key", nil, "ids of keys that seal secrets and that are lost for good: the node starts without them, and what they sealed stays shut")
	f.StringVar(&s.cfg.Files.Root, "root-file", "", "root access key; read by the writer that begins the cluster")
	f.StringVar(&s.cfg.Files.APICert, "api-cert-file", "", "certificate for clients (default: plain HTTP)")
	f.StringVar(&s.cfg.Files.APIKey, "api-key-file", "", "key of the certificate for clients")
	natsFlags(f, &s.cfg.NATS)
	WithoutLeaseFlag(f, &s.cfg.WithoutLease)
	f.DurationVar(&s.cfg.PresignedWrites, "presigned-writes", 15*time.Minute, "how long after it was signed a presigned write is taken, at most 168h; set it alike on all nodes")
	f.DurationVar(&s.cfg.SessionKeyAge, "session-key-age", 30*24*time.Hour, "age at which the leader has another key seal sessions, at least 3h; set it alike on all writers")
	f.DurationVar(&s.cfg.IssuerKeyAge, "issuer-key-age", 30*24*time.Hour, "age at which the leader has another key sign web identity tokens, at least 3h; set it alike on all writers")
	f.TextVar(&s.cfg.Thumbprints, "thumbprints", thumbprint.Reach(0), "where the leader fetches the thumbprint of an OpenID Connect provider that is made without one: public (addresses alone), any (private ones, too) or none (nothing is fetched, for nodes without a way out)")
	f.StringVar(&s.cfg.Issuer, "issuer", "", "URL below which the issuers of the accounts' web identity tokens are; set it alike on all writers (default: the URL at which clients reach the leader then)")
	f.StringVar(&s.cfg.Doors, "doors", "", "file of the doors at which services ask in other protocols, or at a Unix socket")
	f.StringSliceVar(&s.cfg.InternalIssuers, "internal-issuers", nil, "issuers of web identity tokens that are not on the public internet, and servers of their keys: https://HOST[:PORT]/PATH, or that =HOST:PORT for where it is, and networks (10.0.0.0/8) of such; set it alike on all nodes")
	f.StringVar(&s.cfg.InternalIssuersCA, "internal-issuers-ca-file", "", "certificates that vouch for those issuers beside the system's, PEM")
	f.StringVar(&s.cfg.Passkeys.ID, "passkey-rp-id", "", "domain that passkeys are bound to for good, such as example.com (default: no passkeys); set it alike on all writers")
	f.StringSliceVar(&s.cfg.Passkeys.Origins, "passkey-origins", nil, "origins of the pages that ask for passkeys, at that domain or below (default: https:// with the domain); set it alike on all writers")
	f.IntVar(&s.cfg.Connections.Total, "max-connections", 0, "how many clients are connected at once (default: as many as the limit of open files has room for, up to 8192)")
	f.IntVar(&s.cfg.Connections.PerAddress, "max-connections-per-address", 0, "how many of them from one address, or one /64 of IPv6 (default: an eighth)")
	f.StringSliceVar(&s.proxies, "proxies", nil, "addresses and networks of proxies, whose connections are not bounded per address")
	f.StringVar(&s.cfg.Backups.Dir, "backup-dir", "", "directory of this writer's own, or s3://BUCKET/PREFIX/, for backups that it makes by itself (default: none are made)")
	f.DurationVar(&s.cfg.Backups.Every, "backup-every", 24*time.Hour, "time between two of them")
	f.IntVar(&s.cfg.Backups.Keep, "backup-keep", 7, "how many of them are kept")
	f.StringVar(&s.cfg.Backups.RecipientsFile, "backup-recipients-file", "", "age recipients who can read them, one a line")
	f.BoolVar(&s.cfg.Backups.Unencrypted, "backup-unencrypted", false, "write them in the clear")
	backup.StoreFlags(f, &s.cfg.Backups.S3)
	f.Uint32Var(&s.cfg.HoldLevel, "hold-feature-level", 0, "feature level above which this writer keeps the cluster from rising, so that nodes can go back to the build before; one writer is enough, a replica holds nothing (default: the level rises when all nodes support the next)")
	f.DurationVar(&s.cfg.Drain, "drain", 10*time.Second, "how long a stopping node lets requests finish")
	f.TextVar(&s.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

func (s *nodeFlags) config() (node.Config, error) {
	if s.cluster == "" || s.cfg.Name == "" || s.cfg.Data == "" {
		return node.Config{}, shell.Usage("--cluster, --name and --data are needed; `writ init` makes a cluster.yaml, `writ dev` needs none")
	}
	c, err := setup.LoadCluster(s.cluster)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return node.Config{}, fmt.Errorf("%w; --cluster is the cluster.yaml that `writ init` made", err)
	case err != nil:
		return node.Config{}, err
	}
	cfg := s.cfg
	cfg.Cluster = c
	if cfg.Traces, err = trace.FromEnvironment(); err != nil {
		return node.Config{}, err
	}
	if cfg.Files.SealKey != "" && cfg.Files.SealCommand != "" {
		return node.Config{}, shell.Usage("--seal-key-file and --seal-key-command: say one of them")
	}
	if cfg.Connections.Proxies, err = setup.ParseProxies(s.proxies); err != nil {
		return node.Config{}, shell.Usage("--proxies: %v", err)
	}
	def := setup.DefaultFiles(filepath.Dir(s.cluster), cfg.Name)
	for _, f := range []struct{ given, def *string }{
		{&cfg.Files.CA, &def.CA},
		{&cfg.Files.Cert, &def.Cert},
		{&cfg.Files.Key, &def.Key},
		{&cfg.Files.SealKey, &def.SealKey},
		{&cfg.Files.Root, &def.Root},
	} {
		*f.given = cmp.Or(*f.given, *f.def)
	}
	return cfg, nil
}

// NewConfig returns the command that shows how a node is configured.
func NewConfig() *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "config", Short: "Show how a node is configured"})
	var s nodeFlags
	var redacted bool
	show := &cobra.Command{
		Use:   "print --redacted",
		Short: "Print what `writ serve` with these flags and this environment would run with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !redacted {
				return shell.Usage("only the redacted configuration is ever printed: say --redacted")
			}
			cfg, err := s.config()
			if err != nil {
				return err
			}
			return setup.PrintYAML(cmd.OutOrStdout(), cfg)
		},
	}
	s.flags(show.Flags())
	show.Flags().BoolVar(&redacted, "redacted", false, "leave secrets out")
	cmd.AddCommand(show)
	return cmd
}
