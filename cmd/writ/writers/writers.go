// Package writers has the verbs on the writers of the cluster, who are the members of the log.
package writers

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// Times that the verbs take at most, unless --timeout says otherwise.
const (
	lookTimeout   = 10 * time.Second
	changeTimeout = 30 * time.Second
)

// New makes the command with its verbs.
func New() *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "writer",
		Short: "Show and change the writers of the cluster, and who votes in the log",
		Long: `The log lists the writers of the cluster. A writer that is added joins when it is started: it follows
the log, and votes when it has caught up. Each change is one step; wait for ` + "`writ status`" + ` to exit 0
between two of them.`,
	})
	list := target.On(&cobra.Command{
		Use: "list", Short: "Show the writers and the members of the log as Raft has them, and how many failures they survive", Args: cobra.NoArgs,
	}, lookTimeout, show)
	replace := target.On(&cobra.Command{
		Use: "replace NAME", Short: "Say whether a writer that lost its disk can be started with an empty directory", Args: cobra.ExactArgs(1),
		Long: `Checks what has to hold before a writer is started again with an empty directory, and says what to do.
It changes nothing: a writer that comes with an empty directory takes the place of its old self.`,
	}, lookTimeout, replace)
	remove := target.On(&cobra.Command{
		Use: "remove NAME|ADDRESS|ID", Short: "Remove a writer, or a member of the log that the cluster does not have", Args: cobra.ExactArgs(1),
		Long: `Removes a writer from the cluster, by its name: all others refuse it from then on, and it votes no
more. Stop it afterwards. A member of Raft's log that the cluster does not have is removed by its
address (HOST:PORT) or its id. The leader stays: see ` + "`writ writer transfer`" + `. Nothing is removed where
the rest could not commit.`,
		Example: "  writ writer remove writer-4",
	}, changeTimeout, remove)
	transfer := target.On(&cobra.Command{
		Use: "transfer [NAME]", Short: "Hand leadership to another writer", Args: cobra.MaximumNArgs(1),
		Long: `Hands leadership to a writer, or to the one that is furthest ahead. Writes wait meanwhile, as in an
election. A writer that is stopped by SIGTERM does this by itself.`,
	}, changeTimeout, transfer)
	cmd.AddCommand(list, newChange(&add), newChange(&move), replace, remove, transfer)
	return cmd
}

// change is a verb that says where a writer is.
type change struct {
	use, short, long, example, done string
	adds                            bool // a writer; otherwise it moves one
}

var add = change{
	use: "add NAME", short: "Add a writer to the cluster, which may join from then on", adds: true,
	long: `Adds a writer to the cluster's list. Start it afterwards, with a certificate of that name and a
cluster.yaml that names it at these addresses: it joins by itself. Without --broker and --routes they
take the two ports after that of --peer, as with ` + "`writ init`" + `; with --no-nats there are none.`,
	example: "  writ writer add writer-4 --peer writer-4.example.com:8430",
	done:    "%s belongs to the cluster at position %d: start it now, and it joins by itself\n",
}

var move = change{
	use: "move NAME", short: "Give a writer other addresses",
	long: `Gives a writer other addresses. Stop it afterwards, put them into its cluster.yaml, and start it
there with its directory. It goes on at the old ones until then.`,
	example: "  writ writer move writer-2 --peer new-host.example.com:8430",
	done:    "%s is to be at its new addresses from position %d: stop it, change its cluster.yaml, and start it there\n",
}

// newChange makes the command of a verb that says where a writer is.
func newChange(v *change) *cobra.Command {
	var w client.Writer
	var none bool
	cmd := target.On(&cobra.Command{Use: v.use, Short: v.short, Long: v.long, Example: v.example, Args: cobra.ExactArgs(1)}, changeTimeout,
		func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, name string) error {
			one, err := place(name, w, none)
			if err != nil {
				return err
			}
			tell := c.MoveWriter
			if v.adds {
				tell = c.AddWriter
			}
			done, err := tell(ctx, one)
			if err != nil {
				return err
			}
			if o.JSON() {
				return shell.PrintJSON(cmd.OutOrStdout(), done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), v.done, name, done.Position)
			return err
		})
	flags := cmd.Flags()
	flags.StringVar(&w.Peer, "peer", "", "HOST:PORT of its peer port, as the other nodes reach it")
	flags.StringVar(&w.Broker, "broker", "", "HOST:PORT of its broker (default: the port after that of --peer)")
	flags.StringVar(&w.Routes, "routes", "", "HOST:PORT for the brokers of other writers (default: the second port after that of --peer)")
	flags.BoolVar(&none, "no-nats", false, "it has no broker: NATS runs outside, or not at all")
	if v.adds {
		flags.StringVar(&w.Region, "region", "", "region that it is in")
	}
	return cmd
}

// place completes where a writer is.
func place(name string, w client.Writer, none bool) (client.Writer, error) {
	w.Name = name
	if w.Peer == "" {
		return w, shell.Usage("--peer is missing: say where the other nodes reach %s, HOST:PORT", name)
	}
	at, err := setup.Writer{Name: name, Peer: w.Peer}.Complete()
	if err != nil {
		return w, shell.Usage("--peer %q is not HOST:PORT; its other addresses are --broker and --routes", w.Peer)
	}
	switch {
	case none && w.Broker+w.Routes != "":
		return w, shell.Usage("--no-nats goes without --broker and --routes")
	case !none:
		w.Broker, w.Routes = cmp.Or(w.Broker, at.Broker), cmp.Or(w.Routes, at.Routes)
	}
	return w, nil
}

// replace tells whether a writer may be started with an empty directory.
func replace(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, name string) error {
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.Members, func(m client.Member) bool { return m.Role == "writer" && m.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("the cluster has no writer %s; `writ writer list` shows them", name)
	case s.Quorum == nil:
		return target.Leaderless(s, "who may join")
	case s.Members[i].State != "unreachable":
		return fmt.Errorf("%s is %s: it answers, and there is nothing to replace; stop it first", name, s.Members[i].State)
	}
	return done(cmd, o, name, "start "+name+" with an empty data directory and its certificates: it takes the place of its old self by itself, and votes when it has caught up")
}

func show(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	s, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	if s.Quorum == nil {
		return target.Leaderless(s, "the members of the log")
	}
	list := []client.Member{}
	for _, m := range s.Members {
		if m.Role == "writer" {
			list = append(list, m)
		}
	}
	out := cmd.OutOrStdout()
	if o.JSON() {
		return shell.PrintJSON(out, struct {
			Quorum  *client.Quorum  `json:"quorum"`
			Writers []client.Member `json:"writers"`
		}{s.Quorum, list})
	}
	if err := Quorum(out, s.Quorum); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tPOSITION\tLAG\tDETAIL")
	for _, m := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", shell.Cell(m.Name), shell.Cell(m.State), m.Position, m.Lag, shell.Cell(m.Detail))
	}
	return w.Flush()
}

// Quorum writes who votes, and how many failures that survives.
func Quorum(out io.Writer, q *client.Quorum) error {
	survives := fmt.Sprintf("survive the failure of %d more", q.Survives)
	if q.Survives < 0 {
		survives = "are too few that answer: nothing can be written"
	}
	learners := ""
	if q.Learners > 0 {
		learners = fmt.Sprintf(" and %d learners", q.Learners)
	}
	_, err := fmt.Fprintf(out, "%d voters%s, which %s; laid out for %d\n\n", q.Voters, learners, survives, q.Planned)
	return err
}

func remove(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, called string) error {
	gone, err := c.RemoveWriter(ctx, called)
	switch {
	case err != nil:
		return err
	case o.JSON():
		return shell.PrintJSON(cmd.OutOrStdout(), gone)
	case gone.Position > 0:
		return done(cmd, o, called, fmt.Sprintf("%s belongs to the cluster no more from position %d on; stop it now", called, gone.Position))
	}
	return done(cmd, o, called, called+" is a member of the log no more")
}

func transfer(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, called string) error {
	if err := c.TransferLeadership(ctx, called); err != nil {
		return err
	}
	if called == "" {
		return done(cmd, o, called, "another writer leads")
	}
	return done(cmd, o, called, called+" leads")
}

func done(cmd *cobra.Command, o *shell.Output, called, text string) error {
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), struct {
			Writer string `json:"writer"`
		}{called})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
