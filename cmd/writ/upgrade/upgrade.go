// Package upgrade has the verbs on which builds nodes run, and on going to the next.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/client"
)

// lookTimeout is how long a verb takes at most, unless --timeout says otherwise.
const lookTimeout = 15 * time.Second

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "upgrade",
		Short: "Find out whether the cluster's nodes may go to another build",
		Long: `Nodes of two adjacent releases run together: stop one, install the new build, start it, and go on
with the next when ` + "`writ upgrade check`" + ` is content, replicas first. The feature level rises by itself
once every node supports the next; until then nodes can go back. A writer that is started with
--hold-feature-level keeps it from rising.`,
	})
	cmd.AddCommand(newCheck())
	return cmd
}

func newCheck() *cobra.Command {
	var finished bool
	cmd := target.On(&cobra.Command{
		Use: "check", Short: "Check whether the next node may go to this build; run the new one", Args: cobra.NoArgs,
		Long: `Asks the cluster whether one more node may be stopped and started with the build of this binary, and
says of each thing what to do next. Run it with the new binary, before the first node and between any
two. It exits 5 when something stands against it: no leader, a cluster that survives no failure, a
node that does not answer or is not in order or too old, a certificate that ends soon, a schedule
whose backup is late, a binary that is too old for the cluster or two releases ahead of it. Older
nodes, a level that is held, drained replicas and backups that nobody knows of are told, and are not
wrong. With --finished it exits 5 until all nodes support the feature level of this binary, and that
is in force. Whoever asks needs the permission writ:GetCluster.`,
		Example: "  writ upgrade check && systemctl restart writ@replica-1",
	}, lookTimeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		s, err := c.Cluster(ctx)
		if none := (*client.NoLeader)(nil); errors.As(err, &none) {
			return &shell.Exit{Code: shell.CodeUnhealthy, Err: fmt.Errorf("stop no node now: %w", err)}
		}
		if err != nil {
			return err
		}
		f := Facts{Cluster: s, Own: build.Own(), Now: time.Now(), Finished: finished}
		a := answer{Own: f.Own, FeatureLevel: s.FeatureLevel, Findings: append([]Finding{}, Find(&f)...)}
		a.Ready = !Wrong(a.Findings)
		if o.JSON() {
			err = shell.PrintJSON(cmd.OutOrStdout(), a)
		} else {
			err = a.print(cmd.OutOrStdout(), finished)
		}
		if err == nil && !a.Ready {
			err = &shell.Exit{Code: shell.CodeUnhealthy}
		}
		return err
	})
	cmd.Flags().BoolVar(&finished, "finished", false, "check instead whether the upgrade is over: all nodes support this binary's feature level, and it is in force")
	return cmd
}

// answer is what the check prints as JSON.
type answer struct {
	Ready        bool                 `json:"ready"`
	Own          client.Build         `json:"build"` // of this binary
	FeatureLevel *client.FeatureLevel `json:"feature_level"`
	Findings     []Finding            `json:"findings"`
}

func (a *answer) print(out io.Writer, finished bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "this binary is %v, with feature level %d", &a.Own, a.Own.Level)
	if a.FeatureLevel != nil {
		fmt.Fprintf(&b, "; level %d is in force", a.FeatureLevel.InForce)
	}
	b.WriteString("\n")
	for _, f := range a.Findings {
		if f.Node != "" {
			b.WriteString(f.Node + ": ")
		}
		fmt.Fprintf(&b, "%s\n    next: %s\n", strings.TrimSpace(f.Reason), f.Next)
	}
	switch {
	case !a.Ready && finished:
		b.WriteString("the upgrade is not over\n")
	case !a.Ready:
		b.WriteString("stop no node now\n")
	case finished:
		b.WriteString("the upgrade is over\n")
	default:
		b.WriteString("one node may be stopped and started with this binary\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// NewVersion makes the command that says which build the binary is.
func NewVersion() *cobra.Command {
	var o shell.Output
	cmd := &cobra.Command{
		Use: "version", Short: "Show which build this binary is; `writ status` shows those of the nodes", Args: cobra.NoArgs,
		Long: `Shows the version of this binary, the commit of its sources, the version of Go that made it, and the
highest feature level that it supports. It asks no node: ` + "`writ status`" + ` shows what those run.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			b := build.Own()
			if o.JSON() {
				return shell.PrintJSON(cmd.OutOrStdout(), b)
			}
			revision := b.Revision
			if revision == "" {
				revision = "unknown"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "writ %s\ncommit %s\n%s\nfeature level %d\n", b.Version, revision, b.Go, b.Level)
			return err
		},
	}
	o.Flag(cmd.Flags())
	return cmd
}

// Level prints the feature level of a cluster, and who keeps it from rising.
func Level(out io.Writer, s *client.Cluster) error {
	l := s.FeatureLevel
	if l == nil {
		return nil
	}
	text := fmt.Sprintf("feature level %d", l.InForce)
	if l.InForce < l.Supported {
		text += fmt.Sprintf(" of %d that the leader supports", l.Supported)
	}
	if len(l.HeldBackBy) > 0 {
		text += ", until " + strings.Join(l.HeldBackBy, ", ") + " support it"
	}
	for _, m := range s.Members {
		if m.HoldsLevel > 0 {
			text += fmt.Sprintf("; %s holds it at %d", m.Name, m.HoldsLevel)
		}
	}
	_, err := fmt.Fprintf(out, "%s\n\n", text)
	return err
}
