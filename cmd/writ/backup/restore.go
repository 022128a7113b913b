package backup

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/setup"
)

// knock is how long a node may take to show that it runs.
const knock = time.Second

// restoring is a restore that is asked for.
type restoring struct {
	opening
	config, name, data, sealKey string
	position                    uint64
	time                        string
}

// NewRestore makes the verb that brings a cluster back from archives.
func NewRestore() *cobra.Command {
	var r restoring
	cmd := &cobra.Command{
		Use:   "restore FILE|s3://BUCKET/KEY ... --cluster FILE --name WRITER --data DIR",
		Short: "Begin a cluster again, from an archive and those made since it",
		Long: `Makes the directory of one writer, which goes on behind the state in the archives as a new incarnation
of the cluster: of the one that was, or of one that was laid out anew by ` + "`writ init`" + ` with the same
--account and --partition. All other writers are started with empty directories and join it; replicas
throw away what they have. Stop all nodes first.

The cluster's seal.key has to be the one that was: no archive has it. What came after the state is
lost, and what was deleted or revoked since is back: access keys, users, permissions. Tokens of
positions and sessions of before are refused.

` + StoreHelp,
		Example: "  writ restore writ.age --identity-file key.txt --cluster cluster/cluster.yaml --name w1 --data data/w1\n" +
			"  writ restore writ.age more.age --to-time 2026-11-30T08:00:00Z --identity-file key.txt --cluster cluster/cluster.yaml --data data/w1",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return r.run(cmd, files) },
	}
	f := cmd.Flags()
	r.flags(f)
	f.StringVar(&r.config, "cluster", "", "the cluster's configuration, cluster.yaml")
	f.StringVar(&r.name, "name", "", "the writer in it whose directory is made (default: the only one)")
	f.StringVar(&r.data, "data", "", "its directory, which must be empty")
	f.StringVar(&r.sealKey, "seal-key-file", "", "keys that opened the cluster's secrets (default: seal.key beside cluster.yaml)")
	f.Uint64Var(&r.position, "to-position", 0, "last position to restore (default: the last in the archives)")
	f.StringVar(&r.time, "to-time", "", "restore what was there at this time, RFC 3339, by the clocks of the writers")
	return cmd
}

// plan reads the flags.
func (r *restoring) plan() (c setup.Cluster, me setup.Writer, to archive.Target, err error) {
	if r.config == "" || r.data == "" {
		return c, me, to, shell.Usage("--cluster and --data are needed: the cluster.yaml of `writ init`, and the directory of a writer")
	}
	if to.Position = archive.Position(r.position); r.time != "" {
		at, err := time.Parse(time.RFC3339, r.time)
		if err != nil || to.Position > 0 {
			return c, me, to, shell.Usage("--to-time takes a time such as 2026-11-30T08:00:00Z, and no --to-position beside it")
		}
		to.Time = archive.Time(at.UnixMilli())
	}
	if c, err = setup.LoadCluster(r.config); err != nil {
		return c, me, to, err
	}
	if r.name == "" && len(c.Writers) == 1 {
		r.name = c.Writers[0].Name
	}
	me, ok := c.Writer(r.name)
	if !ok {
		return c, me, to, shell.Usage("--name is %q; name a writer of %s", r.name, r.config)
	}
	return c, me, to, nil
}

func (r *restoring) run(cmd *cobra.Command, files []string) error {
	c, me, to, err := r.plan()
	if err != nil {
		return err
	}
	key, err := seal.LoadFile(cmp.Or(r.sealKey, setup.DefaultFiles(filepath.Dir(r.config), r.name).SealKey))
	if err != nil {
		return err
	}
	for _, w := range c.Writers {
		if runs(w.Peer) {
			return fmt.Errorf("something answers at %s, the address of %s: stop all nodes of the cluster before it is restored", w.Peer, w.Name)
		}
	}
	each, err := r.open(cmd.Context(), files)
	if err != nil {
		return err
	}
	restore := archive.Restore{
		Archives: each, Target: to, Cluster: c.ID, Writers: c.Listed(), Advertise: me.Peer, Data: r.data, Time: archive.Time(time.Now().UnixMilli()),
		Judge: judge{r, &c, key},
	}
	done, err := restore.Run()
	if err != nil {
		return err
	}
	note := ""
	if to.Time != 0 && !done.Cut {
		note = "the archives end before that time: all that they have is restored\n"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `%s holds the state of position %d, changed last at %s, as incarnation %s, which begins at position %d
what came after position %d is lost; what was deleted or revoked after it is in force again: look through access keys and users
certificates of nodes that were revoked, and nodes that were removed, after it are believed again: revoke and remove them again
next: start %s; then start the other writers and the replicas, all with empty directories
%s`, r.data, done.From.Position, clock(done.Changed), done.Incarnation, done.Position, done.From.Position, r.name, note)
	return err
}

// judge refuses what does not fit the cluster that is restored.
type judge struct {
	*restoring
	cluster *setup.Cluster
	key     *seal.Key
}

// Accept checks signatures, the account and the partition, and that the secrets open.
func (j judge) Accept(headers []*archive.Header, s *archive.State) error {
	if err := j.check(headers); err != nil {
		return err
	}
	if err := j.cluster.Holds(s); err != nil {
		return err
	}
	if err := archive.Opens(j.key, s); err != nil {
		return fmt.Errorf("the secrets in the archive were sealed with other keys than those given; put the seal.key of the cluster that was beside cluster.yaml at all nodes: %w", err)
	}
	return nil
}

// runs tells whether a node answers at an address.
func runs(address string) bool {
	conn, err := net.DialTimeout("tcp", address, knock)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
