// Package retention has the verbs on how much of the history the cluster keeps.
package retention

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

// timeout is how long the verbs take at most, unless --timeout says otherwise.
const timeout = 15 * time.Second

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "retention",
		Short: "Show and set how much of the history the writers keep",
		Long: `Every change is an event in the history, and all writers keep all of it, unless a rule says how many
days or positions. What the rule does not keep is dropped for good, on all writers: it can no longer
be watched, verified or backed up, and a restore goes back no further. The state is not touched.`,
	})
	cmd.AddCommand(newShow(), newSet())
	return cmd
}

// shown is what show tells.
type shown struct {
	*client.Retention
	Writers []writer `json:"writers"`
}

type writer struct {
	Name string `json:"name"`
	*client.StoredHistory
}

func newShow() *cobra.Command {
	return target.On(&cobra.Command{
		Use: "show", Short: "Show the rule, where the history begins, and what it takes on each writer", Args: cobra.NoArgs,
		Long: `Shows how much of the history the cluster keeps, where it begins, and of each writer from which
position and time on it has the history, how large its event store is, and how much of that is in use.
Needs the permissions writ:GetRetention and writ:GetCluster.`,
	}, timeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		r, err := c.Retention(ctx, client.Freshness{})
		if err != nil {
			return err
		}
		cluster, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		s := shown{r, []writer{}}
		for _, m := range cluster.Members {
			if m.History != nil {
				s.Writers = append(s.Writers, writer{m.Name, m.History})
			}
		}
		if o.JSON() {
			return shell.PrintJSON(cmd.OutOrStdout(), s)
		}
		return show(cmd.OutOrStdout(), s)
	})
}

func show(out io.Writer, s shown) error {
	fmt.Fprintln(out, ruleOf(s.KeepDays, s.KeepPositions, s.Floor))
	if s.Dropped != nil {
		fmt.Fprintf(out, "the history begins at position %d: what was before, up to %s, was dropped on %s\n", s.First, s.Newest.Format(time.RFC3339), s.Dropped.Format(time.RFC3339))
	} else {
		fmt.Fprintln(out, "nothing was dropped: the history begins at position 1")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWRITER\tFROM POSITION\tOF\tFILE\tIN USE")
	for _, m := range s.Writers {
		oldest := "-"
		if m.Oldest != nil {
			oldest = m.Oldest.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", m.Name, m.First, oldest, bytesOf(m.File), bytesOf(m.Used))
	}
	return w.Flush()
}

// Line is what `writ status` says of the history; empty if no writer said anything.
func Line(c *client.Cluster) string {
	var first client.Position
	var file int64
	for _, m := range c.Members {
		if m.History != nil {
			first, file = max(first, m.History.First), max(file, m.History.File)
		}
	}
	if first == 0 {
		return ""
	}
	return fmt.Sprintf("all writers that answer have the history from position %d on; the largest event store has %s", first, bytesOf(file))
}

func bytesOf(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func ruleOf(days uint32, positions uint64, floor client.Position) string {
	text := "all of the history is kept"
	switch {
	case days > 0:
		text = fmt.Sprintf("the history of the last %d days is kept", days)
		if days == 1 {
			text = "the history of the last day is kept"
		}
	case positions > 0:
		text = fmt.Sprintf("the last %d positions are kept", positions)
	}
	if floor > 0 {
		text += fmt.Sprintf(", and all from position %d on", floor)
	}
	return text
}

func newSet() *cobra.Command {
	var days uint32
	var positions, floor uint64
	var all bool
	cmd := &cobra.Command{
		Use: "set", Short: "Change how much of the history the writers keep", Args: cobra.NoArgs,
		Long: `Sets the rule, the floor, or both, and prints the position and token of the change. What no flag names
stays as it is. A rule keeps what is younger than some days, by the clocks of the leaders, or some
positions, at least 1,000. The last 1,000 positions and the last hour stay under any rule. A floor
holds the history back: it and all behind it stay. Whoever takes the history elsewhere moves it.

What a rule drops is gone for good. Make a whole backup first: it has the history up to then.`,
		Example: "  writ retention set --keep-days 90\n  writ retention set --keep-positions 1000000 --floor 120000\n  writ retention set --keep-all",
	}
	on := target.On(cmd, timeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		set, err := asked(cmd, days, positions, floor, all)
		if err != nil {
			return err
		}
		done, err := c.SetRetention(ctx, set)
		if err != nil {
			return err
		}
		if o.JSON() {
			return shell.PrintJSON(cmd.OutOrStdout(), done)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, since position %d; token %s\n", ruleOf(done.KeepDays, done.KeepPositions, done.Floor), done.Position, done.Token)
		return err
	})
	f := on.Flags()
	f.Uint32Var(&days, "keep-days", 0, "keep what is younger than so many days")
	f.Uint64Var(&positions, "keep-positions", 0, "keep the last so many positions")
	f.BoolVar(&all, "keep-all", false, "keep everything from now on")
	f.Uint64Var(&floor, "floor", 0, "position from which on all stays, whatever the rule; 0 for none")
	on.MarkFlagsMutuallyExclusive("keep-days", "keep-positions", "keep-all")
	return on
}

// asked is the change that the flags ask for.
func asked(cmd *cobra.Command, days uint32, positions, floor uint64, all bool) (set client.RetentionToSet, err error) {
	f := cmd.Flags()
	switch {
	case all:
		set.KeepDays = new(uint32)
	case f.Changed("keep-days") && days == 0, f.Changed("keep-positions") && positions == 0:
		return set, shell.Usage("0 keeps nothing; --keep-all keeps everything")
	case f.Changed("keep-days"):
		set.KeepDays = &days
	case f.Changed("keep-positions"):
		set.KeepPositions = &positions
	}
	if f.Changed("floor") {
		at := client.Position(floor)
		set.Floor = &at
	}
	if set == (client.RetentionToSet{}) {
		return set, shell.Usage("say what to change: --keep-days, --keep-positions, --keep-all or --floor")
	}
	return set, nil
}
