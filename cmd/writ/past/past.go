// Package past has the verb that tells which changes turned a decision.
package past

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/projection/authz"
)

const (
	// timeout is how long the verb takes at most, unless --timeout says otherwise.
	timeout = time.Minute
	// maxPages is how many pages of the answer are asked for.
	maxPages = 100
)

// New makes the verb.
func New() *cobra.Command {
	var s client.ChangeSearch
	var from, to string
	var pairs []string
	cmd := target.On(&cobra.Command{
		Use:   "why-changed PRINCIPAL ACTION [RESOURCE] --from POSITION|TIME --to POSITION|TIME",
		Short: "Tell which changes between two moments turned a decision",
		Long: `Looks through the changes behind --from up to --to and tells each that turned the decision: its
position and time, who made it, by which request, and the decision before and after it with why.
A time is the last position that is not later. All is decided by the clock of the last change in the
range: what time alone turned is no change.
Needs the permissions writ:Authorize, writ:AuthorizeAt and writ:GetDecisionChanges on the principal's ARN.`,
		Example: "  writ why-changed arn:aws:iam::123456789012:user/alice s3:GetObject arn:aws:s3:::bucket/key --from 2026-07-01T00:00:00Z --to 2026-07-02T00:00:00Z",
		Args:    cobra.RangeArgs(2, 3),
	}, timeout, func(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
		args := cmd.Flags().Args()
		s.Principal, s.Action, s.Resource = args[0], args[1], strings.Join(args[2:], "")
		if s.Resource == "" {
			s.Resource = "*"
		}
		s.From, s.To = client.Moment(from), client.Moment(to)
		if err := check(&s, pairs); err != nil {
			return err
		}
		a, err := search(ctx, c, s)
		if err != nil {
			return err
		}
		if o.JSON() {
			return shell.PrintJSON(cmd.OutOrStdout(), a)
		}
		return show(cmd.OutOrStdout(), a)
	})
	cmd.Flags().StringVar(&from, "from", "", "position or time (RFC 3339) behind which changes are looked through")
	cmd.Flags().StringVar(&to, "to", "", "position or time up to which they are")
	cmd.Flags().StringArrayVar(&pairs, "context", nil, "condition key and value, key=value; several for one key make a list")
	return cmd
}

// CheckMoment says what is wrong with a position or a time.
func CheckMoment(text string) error {
	if at, err := strconv.ParseUint(text, 10, 64); err == nil && at > 0 {
		return nil
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("%q is neither a position, such as 120000, nor a time, such as 2026-07-01T12:00:00Z", text)
	}
	return nil
}

func check(s *client.ChangeSearch, pairs []string) error {
	for _, moment := range []struct {
		name string
		is   client.Moment
	}{{"from", s.From}, {"to", s.To}} {
		if err := CheckMoment(string(moment.is)); err != nil {
			return shell.Usage("--%s: %w", moment.name, err)
		}
	}
	for _, err := range []error{authz.CheckPrincipal(s.Principal), authz.CheckAction(s.Action), authz.CheckResource(s.Resource)} {
		if err != nil {
			return shell.Usage("%w", err)
		}
	}
	s.Context = map[string][]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return shell.Usage("--context is %q; use key=value", pair)
		}
		s.Context[key] = append(s.Context[key], value)
	}
	return nil
}

// search asks for all pages, and makes one answer of them.
func search(ctx context.Context, c *client.Client, s client.ChangeSearch) (*client.DecisionChanges, error) {
	all, err := c.WhyChanged(ctx, s)
	if err != nil {
		return nil, err
	}
	s.To = client.Moment(strconv.FormatUint(uint64(all.To), 10)) // for all pages, whatever is written meanwhile
	for pages := 1; all.Next != 0 && pages < maxPages; pages++ {
		s.From = client.Moment(strconv.FormatUint(uint64(all.Next), 10))
		page, err := c.WhyChanged(ctx, s)
		if err != nil {
			return nil, err
		}
		all.Changes, all.After, all.Next = append(all.Changes, page.Changes...), page.After, page.Next
	}
	return all, nil
}

func show(out io.Writer, a *client.DecisionChanges) error {
	fmt.Fprintf(out, "%s at position %d\n", a.Before.Decision, a.From)
	for _, c := range a.Changes {
		by, what := c.By, c.Action
		if by == "" {
			by = "the cluster itself"
		}
		if what == "" {
			what = strings.Join(c.Events, ", ")
		}
		fmt.Fprintf(out, "%s at position %d, %s: %s by %s, request %s\n", c.After.Decision, c.Position, c.Time.Format(time.RFC3339), what, by, c.RequestID)
		if c.After.Reason != "" {
			fmt.Fprintf(out, "  %s\n", c.After.Reason)
		}
	}
	end := a.To
	if a.Next != 0 {
		end = a.Next
	}
	_, err := fmt.Fprintf(out, "%s at position %d; %d changes turned it\n", a.After.Decision, end, len(a.Changes))
	if a.Next != 0 && err == nil {
		_, err = fmt.Fprintf(out, "there is more: go on with --from %d\n", a.Next)
	}
	return err
}
