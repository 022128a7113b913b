package policies

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/lint"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

func newLint() *cobra.Command {
	var o shell.Output
	var kind string
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Find what is wrong, dangerous or needless in policies; exits 4 if there are errors",
		Long: `Prints what AWS would refuse (code INVALID_POLICY, with AWS's message), and what is wrong,
dangerous, without effect or needless beyond that, each with file, line and column. The
codes are those of IAM Access Analyzer where it has the same check.

Types of policies (--type): identity (a managed policy), user, group, role (inline
policies), boundary, session, trust, resource, scp and rcp. They differ in what they may
contain and how long they may be.

Exits 4 if there are errors, 1 if a file cannot be read, 0 if there are at most warnings.`,
		Example: `  writ policy lint policy.json
  writ policy lint --type trust trust.json
  aws iam get-role --role-name app --query Role.AssumeRolePolicyDocument | writ policy lint --type trust -
  writ policy lint *.json --output json | jq -r '.[] | select(.severity == "error") | .file'`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			l, err := newLinter(cmd, kind)
			if err != nil {
				return err
			}
			for _, file := range files {
				l.lint(file)
			}
			return l.report(cmd.OutOrStdout(), &o, len(files))
		},
	}
	o.Flag(cmd.Flags())
	cmd.Flags().StringVar(&kind, "type", identityType, "what the policies are for: identity, user, group, role, boundary, session, trust, resource, scp or rcp")
	return cmd
}

// identityType is the --type of a managed policy.
const identityType = "identity"

// linter checks files and counts what it finds.
type linter struct {
	in     inputs
	errs   io.Writer
	kind   syntax.Kind
	chosen bool // the kind was, by the user
	known  *catalogue.Catalogue

	findings []finding
	count    [lint.Suggestion + 1]int
	broken   error // of a file that could not be read
}

// finding is a finding as it is printed. Columns count characters.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

func newLinter(cmd *cobra.Command, kind string) (*linter, error) {
	l := &linter{
		in: inputs{stdin: cmd.InOrStdin()}, errs: cmd.ErrOrStderr(),
		known: catalogue.Builtin(), findings: []finding{},
	}
	var ok bool
	if l.kind, ok = syntax.KindByName(kind); !ok && kind != identityType {
		return nil, shell.Usage("--type is %q; use identity, user, group, role, boundary, session, trust, resource, scp or rcp", kind)
	}
	l.chosen = cmd.Flags().Changed("type")
	return l, nil
}

func (l *linter) add(file string, f lint.Finding) {
	l.count[f.Severity]++
	l.findings = append(l.findings, finding{file, f.Line, f.Column, f.Severity.String(), f.Code, f.Message})
}

func (l *linter) lint(file string) {
	text, err := l.in.text(file)
	if err != nil {
		l.broken = err
		fmt.Fprintln(l.errs, "writ:", err)
		return
	}
	var tooLong *syntax.SizeError
	if errors.As(syntax.CheckSize(text, l.kind), &tooLong) {
		l.add(file, lint.Finding{
			Severity: lint.Error, Code: "POLICY_SIZE_EXCEEDS_QUOTA", Position: syntax.Position{Line: 1, Column: 1},
			Message: fmt.Sprintf("%v; without white space it has %d", tooLong, tooLong.Size),
		})
	}
	var refused *syntax.MalformedError
	doc, err := syntax.Parse(text)
	if errors.As(err, &refused) && tooLong == nil {
		// Once more, for the message that this kind of policy gets.
		_, err = valid.Parse(text, l.kind)
	}
	if tooLong != nil && err != nil {
		return // what else is wrong can wait
	}
	if errors.As(err, &tooLong) {
		l.add(file, lint.Finding{
			Severity: lint.Error, Code: "POLICY_SIZE_EXCEEDS_QUOTA", Position: syntax.Position{Line: 1, Column: 1},
			Message: fmt.Sprintf("no policy document has more than %d bytes, and this one has %d", tooLong.Limit, tooLong.Size),
		})
		return
	}
	if errors.As(err, &refused) {
		message := refused.Message
		if refused.Detail != "" {
			message += " (" + refused.Detail + ")"
		}
		l.add(file, lint.Finding{
			Severity: lint.Error, Code: "INVALID_POLICY", Message: message,
			Position: syntax.Position{Line: refused.Line, Column: refused.Column},
		})
		return
	}
	for _, f := range lint.Check(doc, l.kind, l.known) {
		l.add(file, f)
	}
	if !l.chosen && hasPrincipals(doc) {
		fmt.Fprintf(l.errs, "writ: %s names principals, which identity policies cannot; if it is a resource or trust policy, say --type resource or --type trust\n", file)
	}
}

func hasPrincipals(doc *syntax.Document) bool {
	for i := range doc.Statements {
		if s := &doc.Statements[i]; s.Principal != nil || s.NotPrincipal != nil {
			return true
		}
	}
	return false
}

// report prints the findings and returns how the command ends.
func (l *linter) report(out io.Writer, o *shell.Output, files int) error {
	if o.JSON() {
		if err := shell.PrintJSON(out, l.findings); err != nil {
			return err
		}
	} else {
		if err := l.print(out, files); err != nil {
			return err
		}
	}
	switch {
	case l.broken != nil:
		return &shell.Exit{Code: shell.CodeError}
	case l.count[lint.Error] > 0:
		return &shell.Exit{Code: shell.CodeDenied}
	}
	return nil
}

func (l *linter) print(out io.Writer, files int) error {
	var b strings.Builder
	for _, f := range l.findings {
		fmt.Fprintf(&b, "%s:%d:%d: %s %s: %s\n", f.File, f.Line, f.Column, f.Severity, f.Code, f.Message)
	}
	fmt.Fprintf(&b, "%s: %s, %s, %s, %s\n", counted(files, "file"),
		counted(l.count[lint.Error], "error"), counted(l.count[lint.SecurityWarning], "security warning"),
		counted(l.count[lint.Warning], "warning"), counted(l.count[lint.Suggestion], "suggestion"))
	_, err := io.WriteString(out, b.String())
	return err
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
