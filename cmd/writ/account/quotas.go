// Package account has what the verbs on accounts do with a cluster.
package account

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

type quota struct{ name, about string }

// quotas are the names of the quotas, which are flags, and what each bounds. A test holds
// that they are those of package identity.
var quotas = [...]quota{
	{"users", "users; also virtual MFA devices"},
	{"groups", "groups"},
	{"roles", "roles, service-linked ones among them"},
	{"policies", "managed policies of the account"},
	{"instance-profiles", "instance profiles"},
	{"server-certificates", "server certificates"},
	{"oidc-providers", "OpenID Connect providers, at most 700"},
	{"saml-providers", "SAML providers, at most 700"},
	{"policies-per-user", "managed policies attached to one user, at most 20"},
	{"policies-per-group", "managed policies attached to one group, at most 10"},
	{"policies-per-role", "managed policies attached to one role, at most 25"},
}

// New makes the command that holds the verbs.
func New() *cobra.Command {
	return shell.Group(&cobra.Command{Use: "account", Short: "Open, show, change and close the accounts of the cluster"})
}

// FirstFlags declares what is said of the first account when a cluster is laid out: whose
// default quotas it begins with, and the e-mail address of its root.
func FirstFlags(f *pflag.FlagSet, quotas, email *string) {
	f.StringVar(quotas, "quotas", "", "aws lets the first account begin with AWS's default quotas, instead of Writ's, which are higher; 'writ account quotas' changes them later")
	f.StringVar(email, "email", "", "e-mail address that the root of the first account begins with; 'writ account root' changes it later")
}

// Quotas is what `writ account quotas` is told to change.
type Quotas struct {
	aws, writ bool
	values    [len(quotas)]value
}

// value is a quota as a flag: a number or the word default.
type value struct {
	given bool
	n     uint32
}

func (v *value) String() string { return "" }
func (v *value) Type() string   { return "N|default" }

// Set takes a number; 0 and the word default mean the default.
func (v *value) Set(text string) error {
	v.given, v.n = true, 0
	if text == "default" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is neither a number nor the word default", text)
	}
	v.n = uint32(n)
	return nil
}

// Command makes the verb, without what it does.
func (q *Quotas) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quotas [ACCOUNT]",
		Short: "Show or set the quotas of an account",
		Long: `Shows the quotas of an account, the cluster's own unless its number is given: what is in force,
the default, and how much is in use. With flags for quotas it sets those, and prints the position
and token of the change; 0 or the word default makes one the default again. A quota below what is
in use takes nothing away, and lets nothing more be made; it is a warning.

The defaults start higher than AWS's. --aws lets the account go by AWS's defaults, those of "IAM and
AWS STS quotas", and --writ by Writ's again; both forget what was set before.`,
		Example: "  writ account quotas\n  writ account quotas --users 200 --policies-per-role 20\n  writ account quotas --aws",
		Args:    oneAccount,
	}
	q.flags(cmd.Flags())
	return cmd
}

// oneAccount takes one argument at most, and tells who takes a quota for one that quotas are
// flags.
func oneAccount(cmd *cobra.Command, args []string) error {
	for i, arg := range args {
		if slices.ContainsFunc(quotas[:], func(q quota) bool { return q.name == arg }) {
			number := "N"
			if i+1 < len(args) {
				number = args[i+1]
			}
			return shell.Usage("%q is no account: quotas are flags, as in `%s --%s %s`", arg, cmd.CommandPath(), arg, number)
		}
	}
	if len(args) > 1 {
		return shell.Usage("%d accounts are given; give one, or none for the cluster's own; see `%s --help`", len(args), cmd.CommandPath())
	}
	return nil
}

func (q *Quotas) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.aws, "aws", false, "go by AWS's defaults, and forget what was set")
	f.BoolVar(&q.writ, "writ", false, "go by Writ's defaults, and forget what was set")
	for i := range quotas {
		f.Var(&q.values[i], quotas[i].name, "most "+quotas[i].about)
	}
}

// asked is the change that the flags ask for; nil: they ask for none.
func (q *Quotas) asked() (*client.QuotasToSet, error) {
	set := &client.QuotasToSet{}
	switch {
	case q.aws && q.writ:
		return nil, shell.Usage("--aws and --writ are both given; an account goes by one of them")
	case q.aws:
		set.Defaults = client.DefaultsAWS
	case q.writ:
		set.Defaults = client.DefaultsWrit
	}
	for i, v := range q.values {
		if v.given {
			set.Quotas = append(set.Quotas, client.QuotaToSet{Quota: quotas[i].name, Value: v.n})
		}
	}
	if set.Defaults == "" && set.Quotas == nil {
		return nil, nil
	}
	return set, nil
}

// Run shows the quotas of an account, or sets what the flags say.
func (q *Quotas) Run(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, account string) error {
	set, err := q.asked()
	if err != nil {
		return err
	}
	if set != nil {
		return change(ctx, c, cmd, o, account, set)
	}
	found, err := c.Quotas(ctx, account, client.Freshness{})
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), found)
	}
	return show(cmd.OutOrStdout(), found)
}

func show(out io.Writer, found *client.Quotas) error {
	whose := "Writ's"
	if found.Defaults == client.DefaultsAWS {
		whose = "AWS's"
	}
	fmt.Fprintf(out, "account %s, which goes by %s defaults\n", found.Account, whose)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "QUOTA\tVALUE\tDEFAULT\tIN USE")
	for _, q := range found.Quotas {
		used := "-"
		if q.InUse != nil {
			used = strconv.FormatUint(uint64(*q.InUse), 10)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", q.Quota, q.Value, q.Default, used)
	}
	return w.Flush()
}

// change sets quotas, and warns of those that are below what there is.
func change(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, account string, set *client.QuotasToSet) error {
	done, err := c.SetQuotas(ctx, account, *set)
	if err != nil {
		return err
	}
	out, errs := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if o.JSON() {
		err = shell.PrintJSON(out, done)
	} else {
		_, err = fmt.Fprintf(out, "quotas of account %s are set at position %d; token %s\n", done.Account, done.Position, done.Token)
	}
	if err != nil {
		return err
	}
	found, err := c.Quotas(ctx, account, client.Freshness{AtLeast: done.Token})
	if err != nil { // what was asked for is done
		fmt.Fprintln(errs, "writ: warning: it is not known whether they are below what is in use:", err)
		return nil
	}
	for _, q := range found.Quotas {
		if q.InUse != nil && *q.InUse > q.Value {
			fmt.Fprintf(errs, "writ: warning: %s: %d are in use, and the quota is %d: none can be added\n", q.Quota, *q.InUse, q.Value)
		}
	}
	return nil
}
