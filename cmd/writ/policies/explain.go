package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/authz/cases"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/catalogue"
)

func newExplain() *cobra.Command {
	var o shell.Output
	var q question
	cmd := &cobra.Command{
		Use:   "explain (--case FILE [--id ID] | --principal WHO --action ACTION [--policy FILE]...)",
		Short: "Show why a request is allowed or denied, as a tree",
		Long: `Decides one request and shows every statement that speaks of its action: by layer, policy
and statement, down to the conditions. A + marks what matched, a - what did not.

The request comes from a case (see writ policy test), which is complete: nothing is added
to its context. Or it comes from flags: then it is made now, and the keys that follow from
the principal's ARN (aws:PrincipalArn, aws:username, ...) are filled in where --context does
not give them. All else is missing, also aws:SecureTransport, as in a question of writ can.

Exits 0 whatever the decision is.`,
		Example: `  writ policy explain --case cases.jsonl --id bucket-17
  writ policy explain --policy alice.json --boundary limit.json \
    --principal arn:aws:iam::123456789012:user/alice \
    --action s3:GetObject --resource arn:aws:s3:::reports/2026 --context aws:SourceIp=192.0.2.7
  writ policy explain --resource-policy trust.json --principal ec2.amazonaws.com \
    --action sts:AssumeRole --resource arn:aws:iam::123456789012:role/app`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return shell.Usage("%q is no flag; give files as --case FILE or --policy FILE", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			x, err := q.explain(cmd)
			if err != nil {
				return err
			}
			if o.JSON() {
				return shell.PrintJSON(cmd.OutOrStdout(), x)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), x.text())
			return err
		},
	}
	o.Flag(cmd.Flags())
	q.flags(cmd)
	return cmd
}

// question is a case in a file, or the parts of a request.
type question struct {
	caseFile, id string

	policies, sessions, scps, rcps []string // files
	boundary, resourcePolicy       string   // files

	principal, action, resource, account string
	context                              []string
}

// requestFlags cannot be combined with --case.
var requestFlags = [...]string{
	"policy", "boundary", "session-policy", "scp", "rcp", "resource-policy",
	"principal", "action", "resource", "resource-account", "context",
}

func (q *question) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.caseFile, "case", "", "file with the case to explain, or - for standard input")
	f.StringVar(&q.id, "id", "", "id of the case, where the file has several")
	f.StringArrayVar(&q.policies, "policy", nil, "file with a policy of the principal; may be repeated")
	f.StringVar(&q.boundary, "boundary", "", "file with the permissions boundary")
	f.StringArrayVar(&q.sessions, "session-policy", nil, "file with a session policy; may be repeated")
	f.StringArrayVar(&q.scps, "scp", nil, "file with the service control policy of a level, outermost first; may be repeated")
	f.StringArrayVar(&q.rcps, "rcp", nil, "file with the resource control policy of a level, outermost first; may be repeated")
	f.StringVar(&q.resourcePolicy, "resource-policy", "", "file with the policy of the resource; of a role, its trust policy")
	f.StringVar(&q.principal, "principal", "", "ARN of a user, role, session or root; a service such as ec2.amazonaws.com; or * for nobody")
	f.StringVar(&q.action, "action", "", "action, such as s3:GetObject")
	f.StringVar(&q.resource, "resource", "*", "ARN of the resource")
	f.StringVar(&q.account, "resource-account", "", "account of the resource (default: that in its ARN, or the principal's)")
	f.StringArrayVar(&q.context, "context", nil, "condition key and value, key=value; several for one key make a list")
}

func (q *question) explain(cmd *cobra.Command) (*explanation, error) {
	in := &inputs{stdin: cmd.InOrStdin()}
	if q.caseFile == "" {
		if q.id != "" {
			return nil, shell.Usage("--id chooses a case of a file; say which with --case FILE")
		}
		prepared, request, err := q.prepare(in)
		if err != nil {
			return nil, err
		}
		x := prepared.Explain(request)
		return explained("", &x), nil
	}
	for _, name := range requestFlags {
		if cmd.Flags().Changed(name) {
			return nil, shell.Usage("--%s cannot be combined with --case: a case has it all", name)
		}
	}
	c, err := q.findCase(in)
	if err != nil {
		return nil, err
	}
	if c.Expected.Decision == "" {
		c.Expected.Decision = authz.Allow.String() // tests need it, explanations do not
	}
	x, err := c.Run()
	if err != nil {
		return nil, fmt.Errorf("%s: case %s: %w", q.caseFile, c.ID, err)
	}
	return explained(c.ID, &x), nil
}

// findCase reads the case to explain. The file may have one case over many
// lines.
func (q *question) findCase(in *inputs) (*cases.Case, error) {
	f, err := in.open(q.caseFile)
	if err != nil {
		return nil, fmt.Errorf("read the case: %w", err)
	}
	defer f.Close()
	var found *cases.Case
	limited := &io.LimitedReader{R: f, N: cases.MaxLine}
	values := json.NewDecoder(limited)
	for n := 1; ; n++ {
		var text json.RawMessage
		err := values.Decode(&text)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && limited.N <= 0 {
			err = cases.ErrLong
		}
		limited.N = cases.MaxLine
		var c cases.Case
		if err == nil {
			c, err = cases.Decode(text)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: case %d: %w", q.caseFile, n, err)
		case q.id != "" && c.ID == q.id:
			return &c, nil
		case q.id == "" && found != nil:
			return nil, shell.Usage("%s has several cases; choose one with --id, such as --id %s", q.caseFile, found.ID)
		case q.id == "":
			found = &c
		}
	}
	switch {
	case q.id != "":
		return nil, fmt.Errorf("%s has no case with the id %q", q.caseFile, q.id)
	case found == nil:
		return nil, fmt.Errorf("%s has no case", q.caseFile)
	}
	return found, nil
}

// prepare makes a request and its layers of the flags.
func (q *question) prepare(in *inputs) (*authz.Prepared, *authz.Request, error) {
	if q.principal == "" || q.action == "" {
		return nil, nil, shell.Usage("say who and what: --principal ARN --action SERVICE:ACTION; or give a case with --case FILE")
	}
	if err := authz.CheckAction(q.action); err != nil {
		return nil, nil, shell.Usage("--action: %w", err)
	}
	if err := authz.CheckResource(q.resource); err != nil {
		return nil, nil, shell.Usage("--resource: %w", err)
	}
	principal, err := principalOf(q.principal)
	if err != nil {
		return nil, nil, err
	}
	context, err := contextOf(q.context)
	if err != nil {
		return nil, nil, err
	}
	b := setBuilder{in: in}
	layers := authz.Layers{SCPs: b.levels(q.scps, authz.NewSet)}
	if len(q.policies) > 0 {
		layers.Identity = []*authz.Set{b.set(q.policies, authz.NewSet)}
	}
	if q.boundary != "" {
		layers.Boundaries = []*authz.Set{b.set([]string{q.boundary}, authz.NewSet)}
	}
	if len(q.sessions) > 0 {
		layers.Session = b.set(q.sessions, authz.NewSet)
	}
	target := &authz.Target{RCPs: b.levels(q.rcps, authz.NewResourceSet)}
	if q.resourcePolicy != "" {
		target.Policy = b.set([]string{q.resourcePolicy}, authz.NewResourceSet)
	}
	if b.err != nil {
		return nil, nil, b.err
	}
	request := &authz.Request{
		Principal: principal, Action: q.action, Resource: q.resource, ResourceAccount: q.account,
		Target: target, Context: context,
	}
	request.FillGlobals(&authz.Globals{Time: time.Now()})
	return authz.Prepare(layers), request, nil
}

// setBuilder reads and compiles policies. It keeps the first error.
type setBuilder struct {
	in  *inputs
	err error
}

func (b *setBuilder) set(files []string, build func(...authz.Policy) *authz.Set) *authz.Set {
	var policies []authz.Policy
	for _, file := range files {
		if b.err != nil {
			break
		}
		doc, err := b.in.document(file)
		if err != nil {
			b.err = err
			break
		}
		policies = append(policies, authz.Policy{Name: file, Source: authz.SourceNone, Document: policy.Compile(doc)})
	}
	return build(policies...)
}

func (b *setBuilder) levels(files []string, build func(...authz.Policy) *authz.Set) (sets []*authz.Set) {
	for i := range files {
		sets = append(sets, b.set(files[i:i+1], build))
	}
	return sets
}

// principalOf reads --principal.
func principalOf(who string) (*authz.Principal, error) {
	if who == "*" {
		return &authz.Principal{Type: authz.Anonymous}, nil
	}
	if strings.HasSuffix(who, ".amazonaws.com") {
		return &authz.Principal{Type: authz.Service, Service: who}, nil
	}
	p, err := authz.ParsePrincipal(who)
	if err != nil {
		return nil, shell.Usage("--principal: %w, nor a service such as ec2.amazonaws.com, nor *", err)
	}
	return &p, nil
}

// contextOf reads --context. A key has one value unless it is given more, or is
// known to hold several. Spellings of a key that differ in letter case are entries of
// their own, as the tags of a request may be.
func contextOf(pairs []string) ([]policy.Entry, error) {
	known := catalogue.Builtin()
	values := map[string][]string{}
	var names []string
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, shell.Usage("--context is %q; use key=value", pair)
		}
		if _, ok := values[name]; !ok {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
	var entries []policy.Entry
	for _, name := range names {
		key := policy.NewKey(name)
		info, _, _ := known.Key(key)
		if list := values[name]; len(list) > 1 || info.Multivalued {
			entries = append(entries, policy.Multi(key, list))
		} else {
			entries = append(entries, policy.Single(key, list[0]))
		}
	}
	return entries, nil
}
