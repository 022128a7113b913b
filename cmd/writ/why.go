package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/cmd/writ/why"
	"github.com/writ-iam/writ/node/client"
)

// whyTimeout is how long writ why takes at most unless it is told otherwise; whyWait of it,
// how long the newest position may take to be everywhere, and answerWithin how much longer
// somebody may take to say so.
const (
	whyTimeout   = 10 * time.Second
	whyWait      = 2 * time.Second
	answerWithin = 2 * time.Second
)

func newWhy() *cobra.Command {
	t := target.Nodes{Limit: whyTimeout}
	var o shell.Output
	wait := whyWait
	cmd := &cobra.Command{
		Use:   "why",
		Short: "Say why everywhere is slow or not reached: who holds it up, the reason, the next step",
		Long: `Asks the cluster how its members fare, waits for the newest position to be everywhere for at most
--wait, and says what it found, the worst first: the replica or writer, the reason, and the command
to run next. It exits 0 where nothing is wrong. A replica that drains, or a feature level that
waits for an upgrade, is told of and is not wrong. It ends within --timeout, whoever does not
answer. Like ` + "`writ wait --head`" + ` it makes the position, once
it is everywhere, one that no replica gets a lease below. Whoever asks needs the permissions
writ:GetCluster and writ:GetPropagation.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return whySlow(cmd.Context(), cmd.OutOrStdout(), &t, &o, wait)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	cmd.Flags().DurationVar(&wait, "wait", wait, "how long the newest position may take to be everywhere")
	return cmd
}

// whyAnswer is what writ why prints as JSON.
type whyAnswer struct {
	Wrong       bool                `json:"wrong"`
	Findings    []why.Finding       `json:"findings"`
	Propagation *client.Propagation `json:"propagation"` // null: nobody could say
}

func whySlow(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output, wait time.Duration) error {
	if err := o.Check(); err != nil {
		return err
	}
	if wait < 0 || wait >= t.Limit {
		return shell.Usage("--wait is %v; use less than --timeout, which is %v", wait, t.Limit)
	}
	a, err := askWhy(ctx, t, wait)
	if err != nil {
		return err
	}
	if o.JSON() {
		err = shell.PrintJSON(out, a)
	} else {
		err = printWhy(out, a)
	}
	if err == nil && a.Wrong {
		err = &shell.Exit{Code: shell.CodeUnhealthy}
	}
	return err
}

// askWhy asks the cluster. That nobody leads, or nobody who knows is there, is a finding.
func askWhy(ctx context.Context, t *target.Nodes, wait time.Duration) (*whyAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	f := why.Facts{Known: knownReplicas()}
	err := learn(ctx, t, &f, wait)
	if isNobody(err) {
		nobody := why.Finding{Kind: why.NoLeader, Wrong: true, Reason: fmt.Sprintf("no leader is known, and no node that was asked holds a lease: %v", err),
			Next: "`writ health` asks the nodes without a key; start those that are down: a majority of the writers must be up and reach each other"}
		return &whyAnswer{Wrong: true, Findings: []why.Finding{nobody}}, nil
	}
	if err != nil {
		return nil, err
	}
	found := why.Find(&f)
	return &whyAnswer{Wrong: why.Wrong(found), Findings: append([]why.Finding{}, found...), Propagation: f.Propagation}, nil
}

// learn asks where the head is, how far it comes within a time, and then how the members fare.
// A leader that is lost meanwhile is what the latter shows.
func learn(ctx context.Context, t *target.Nodes, f *why.Facts, wait time.Duration) error {
	s, err := cluster(ctx, t)
	if err != nil {
		return err
	}
	f.Cluster, f.Position, f.Now = s, uint64(s.Position), time.Now()
	if s.Leader == "" {
		return nil
	}
	c, err := t.Client()
	if err != nil {
		return err
	}
	began := time.Now()
	following, cancel := context.WithTimeout(ctx, wait+answerWithin)
	defer cancel()
	p, err := c.Propagation(following, client.Target{}, client.Scope{}, wait)
	var problem *client.Problem
	switch {
	case err == nil:
		f.Propagation = p
	case errors.As(err, &problem) && !problem.Temporary():
		return err
	}
	if s, err = cluster(ctx, t); err != nil {
		return err
	}
	f.Cluster, f.Waited, f.Now = s, time.Since(began), time.Now()
	return nil
}

// isNobody tells whether no node could say how the cluster is.
func isNobody(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Temporary() || errors.Is(err, context.DeadlineExceeded) || nobodyThere(err)
}

// knownReplicas are those of the environment.
func knownReplicas() map[string]string {
	known := make(map[string]string)
	for pair := range strings.SplitSeq(os.Getenv("WRIT_REPLICAS"), ",") {
		if name, url, ok := strings.Cut(pair, "="); ok {
			known[name] = url
		}
	}
	return known
}

func printWhy(out io.Writer, a *whyAnswer) error {
	var b strings.Builder
	for _, f := range a.Findings {
		if f.Node != "" {
			b.WriteString(f.Node + ": ")
		}
		fmt.Fprintf(&b, "%s\n    next: %s\n", f.Reason, f.Next)
	}
	if a.Propagation != nil {
		fmt.Fprintln(&b, describe(a.Propagation))
	}
	if !a.Wrong {
		fmt.Fprintln(&b, "nothing is wrong")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
