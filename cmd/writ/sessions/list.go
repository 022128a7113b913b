package sessions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// New makes the verb that lists sessions, without what it does, and the command that holds it.
func New() (list, group *cobra.Command) {
	list = &cobra.Command{Use: "list", Short: "Show the sessions that nodes saw lately", Args: cobra.NoArgs,
		Long: `Shows the sessions of the caller's account that called the nodes last and have not ended: the
access key id is what ` + "`writ revoke --session`" + ` takes. With --endpoint that node is asked, else all
that are known; it exits 1, after what it shows, if one of them did not tell.

Sessions are on no list: each node remembers the 2,000 that called it last, 500 at most of one
role, user or root. So sessions are not shown that were made and not used, that called before
the node began, or so many others ago. ` + "`writ revoke --role`" + ` ends all of a role, shown or not.`,
		Example: "  writ sessions list\n  writ revoke --session \"$(writ sessions list --output json | jq -r '.[0].access_key_id')\""}
	return list, shell.Group(&cobra.Command{Use: "sessions", Short: "Show sessions: temporary credentials in use"})
}

// seen is a session, and the node that saw it last.
type seen struct {
	client.SeenSession
	Node string `json:"node"`
}

// List shows the sessions that nodes saw.
func List(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	told, failed := c.SeenSessions(ctx)
	if len(told) == 0 && failed != nil {
		return failed
	}
	list, out := merge(told), cmd.OutOrStdout()
	if o.JSON() {
		if err := shell.PrintJSON(out, list); err != nil {
			return err
		}
		return failed
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCESS KEY ID\tKIND\tPRINCIPAL\tSESSION NAME\tISSUED\tEXPIRES\tLAST SEEN\tNODE")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.AccessKeyID, s.Kind, s.Principal, cmp.Or(s.SessionName, "-"),
			s.Issued.Format(time.RFC3339), s.Expires.Format(time.RFC3339), s.LastSeen.Format(time.RFC3339), s.Node)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the sessions: %w", err)
	}
	return failed
}

// merge has each session once, by whoever saw it last, those first that were seen last.
func merge(told []client.SeenSessions) []seen {
	list, at := []seen{}, map[string]int{}
	for _, node := range told {
		for _, s := range node.Sessions {
			i, there := at[s.AccessKeyID]
			switch {
			case !there:
				at[s.AccessKeyID] = len(list)
				list = append(list, seen{s, node.Node})
			case s.LastSeen.After(list[i].LastSeen):
				list[i] = seen{s, node.Node}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b seen) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.AccessKeyID, b.AccessKeyID))
	})
	return list
}
