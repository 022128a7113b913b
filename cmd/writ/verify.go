package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

func newVerify() *cobra.Command {
	var t target.Nodes
	var o shell.Output
	var by trust
	var files []string
	var v verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [--head FILE ... --authority ca.crt]",
		Short: "Compare every node and the chain; exits 5 if one differs, 1 if one could not be asked",
		Long: `Lets every writer walk its chain of batches and every node recount its state, and the
leader compare what they found with its log. Needs the permission writ:Verify. It ends at most
15s after --timeout, whoever does not answer.

With --head, it believes no node instead: it checks the signatures of heads that
` + "`writ head --output json`" + ` printed, whether they contradict each other, and whether the
history of today contains them. The chain of hashes is computed here, from each of them to
a head that is signed now. Two signed heads that cannot both be true are printed: they are
the evidence. Needs the permissions writ:GetHead and writ:GetChain.`,
		Example: "  writ verify\n  writ verify --head yesterday.json --authority ca.crt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			if len(files) > 0 {
				return verifyHeads(cmd.Context(), cmd.OutOrStdout(), &t, &o, &by, files)
			}
			return verifyNodes(cmd.Context(), cmd.OutOrStdout(), &t, &o, &v)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	by.flag(cmd.Flags())
	f := cmd.Flags()
	f.StringArrayVar(&files, "head", nil, "a signed head that was kept, JSON; may be given several times")
	f.Uint64Var(&v.from, "from", 1, "position to walk the chain from; what was before is believed")
	f.DurationVar(&v.timeout, "timeout", time.Minute, "how long the nodes may take at most")
	for _, own := range []string{"from", "timeout"} {
		cmd.MarkFlagsMutuallyExclusive("head", own)
	}
	return cmd
}

// verifyFlags are what the flags say of a comparison of the nodes.
type verifyFlags struct {
	from    uint64
	timeout time.Duration
}

func verifyNodes(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output, how *verifyFlags) error {
	c, err := t.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, how.timeout+askTimeout)
	defer cancel()
	v, err := c.Verify(ctx, client.Position(how.from), how.timeout)
	if err != nil {
		return err
	}
	if o.JSON() {
		err = shell.PrintJSON(out, v)
	} else {
		err = printVerification(out, v)
	}
	if err != nil {
		return err
	}
	var wrong, open []string
	for _, n := range v.Nodes {
		text := fmt.Sprintf("%s %s: %s", n.Name, n.Verdict, n.Detail)
		switch n.Verdict {
		case client.VerdictOK:
		case client.VerdictUnfinished, client.VerdictUnreachable:
			open = append(open, text)
		default:
			wrong = append(wrong, text)
		}
	}
	switch {
	case len(wrong) > 0:
		return &shell.Exit{Code: shell.CodeUnhealthy, Err: fmt.Errorf("not all nodes are equal: %s", strings.Join(append(wrong, open...), "; "))}
	case len(open) > 0:
		return fmt.Errorf("not all nodes are proved equal: %s", strings.Join(open, "; "))
	}
	return nil
}

func printVerification(out io.Writer, v *client.Verification) error {
	from := v.From
	for _, n := range v.Nodes {
		from = max(from, n.First)
	}
	fmt.Fprintf(out, "cluster %s, incarnation %s\ncompared with the log of %s, chain from position %d, in %v\n\n", v.Cluster, v.Incarnation, v.Node, from, time.Duration(v.TookMS)*time.Millisecond)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tVERDICT\tPOSITION\tHASH\tSTATE\tBATCHES\tRECORDS\tTOOK\tDETAIL")
	for _, n := range v.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%x\t%.16s\t%d\t%d\t%v\t%s\n", n.Name, n.Role, n.Verdict, n.Position, n.Hash[:8], n.Digest, n.Batches, n.Records,
			time.Duration(n.TookMS)*time.Millisecond, n.Detail)
	}
	for _, n := range v.Nodes {
		if n.First > v.From {
			fmt.Fprintf(w, "\nthe history begins at position %d at %s: nothing before it was checked; see `writ retention show`\n", n.First, n.Name)
			break
		}
	}
	return w.Flush()
}
