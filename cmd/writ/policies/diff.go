package policies

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/diff"
)

func newDiff() *cobra.Command {
	var o shell.Output
	var both bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what policy B allows that policy A does not; exits 4 if there is something",
		Long: `Compares two policies over the actions and resources that they name, and over "*" for
whatever neither names. Lines with + are what B allows and A does not; with --both, lines
with - are what A allows and B does not. Conditions are compared as they are written, not
by what they mean: a condition that is written otherwise counts as another one.

Exits 4 if B allows more, 0 if it does not.`,
		Example: `  writ policy diff old.json new.json
  git show main:policy.json | writ policy diff - policy.json --both`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return shell.Usage("say which two policies to compare; see `%s --help`", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			d, err := comparePolicies(&inputs{stdin: cmd.InOrStdin()}, args[0], args[1])
			if err != nil {
				return err
			}
			if !both {
				d.Removed = nil
			}
			if o.JSON() {
				err = shell.PrintJSON(cmd.OutOrStdout(), d)
			} else {
				err = d.print(cmd.OutOrStdout(), args[0], args[1])
			}
			if err == nil && len(d.Added) > 0 {
				return &shell.Exit{Code: shell.CodeDenied}
			}
			return err
		},
	}
	o.Flag(cmd.Flags())
	cmd.Flags().BoolVar(&both, "both", false, "show also what A allows that B does not")
	return cmd
}

// policyDiff is what two policies allow differently.
type policyDiff struct {
	Added   []difference `json:"added"`
	Removed []difference `json:"removed,omitempty"`
}

// difference is an action with a resource, patterns both, that one policy
// allows and the other does not.
type difference struct {
	Action    string          `json:"action"`
	Resource  string          `json:"resource"`
	AllowedBy []diffStatement `json:"allowed_by"`
	// DeniedBy and NarrowerBy are of the other policy: what denies it, and what
	// allows it to others or under other conditions.
	DeniedBy   []diffStatement `json:"denied_by,omitempty"`
	NarrowerBy []diffStatement `json:"narrower_by,omitempty"`
}

// diffStatement is where a statement is.
type diffStatement struct {
	File        string `json:"file"`
	Line        int    `json:"line"`
	Column      int    `json:"column"`
	Index       int    `json:"index"` // from 0
	Sid         string `json:"sid,omitempty"`
	Conditional bool   `json:"conditional"`
}

func comparePolicies(in *inputs, a, b string) (*policyDiff, error) {
	before, err := in.document(a)
	if err != nil {
		return nil, err
	}
	after, err := in.document(b)
	if err != nil {
		return nil, err
	}
	added, err := diff.Policies(before, after)
	removed := []diff.Difference(nil)
	if err == nil {
		removed, err = diff.Policies(after, before)
	}
	if errors.Is(err, diff.ErrTooLarge) {
		return nil, fmt.Errorf("compare %s with %s: %w: at most %d of each; split the policies by service", a, b, err, diff.MaxPatterns)
	}
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", a, b, err)
	}
	return &policyDiff{Added: differences(added, a, b), Removed: differences(removed, b, a)}, nil
}

// differences names the statements of what policy b allows and policy a does
// not.
func differences(list []diff.Difference, a, b string) []difference {
	out := make([]difference, len(list))
	for i, d := range list {
		out[i] = difference{
			Action: d.Action, Resource: d.Resource, AllowedBy: placed(d.Allowed, b),
			DeniedBy: placed(d.Denied, a), NarrowerBy: placed(d.Narrower, a),
		}
	}
	return out
}

func placed(list []*policy.Statement, file string) []diffStatement {
	out := make([]diffStatement, len(list))
	for i, s := range list {
		out[i] = diffStatement{file, s.Start.Line, s.Start.Column, s.Index, s.Sid, len(s.Conditions) > 0}
	}
	return out
}

func (d *policyDiff) print(out io.Writer, a, b string) error {
	var text strings.Builder
	for _, part := range []struct {
		mark string
		list []difference
	}{{"-", d.Removed}, {"+", d.Added}} {
		for i := range part.list {
			part.list[i].print(&text, part.mark)
		}
	}
	if len(d.Added) == 0 {
		fmt.Fprintf(&text, "%s allows nothing that %s does not\n", b, a)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (d *difference) print(text *strings.Builder, mark string) {
	fmt.Fprintf(text, "%s %s on %s\n", mark, d.Action, d.Resource)
	for _, part := range []struct {
		verb string
		list []diffStatement
	}{{"allowed by", d.AllowedBy}, {"denied by", d.DeniedBy}, {"allowed in part by", d.NarrowerBy}} {
		for i := range part.list {
			fmt.Fprintf(text, "    %s %s\n", part.verb, part.list[i].text())
		}
	}
}

func (s *diffStatement) text() string {
	text := fmt.Sprintf("%s:%d:%d, statement %d", s.File, s.Line, s.Column, s.Index+1)
	if s.Sid != "" {
		text += fmt.Sprintf(" (%s)", s.Sid)
	}
	if s.Conditional {
		text += ", under conditions"
	}
	return text
}
