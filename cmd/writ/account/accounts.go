package account

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// maxPasswordFile is how many bytes of a password are read.
const maxPasswordFile = 1024

// Create is what `writ account create` is told.
type Create struct{ account client.AccountToCreate }

// Command makes the verb, without what it does.
func (c *Create) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --email ADDRESS",
		Short: "Open another account in the cluster",
		Long: `Opens an account, and prints its number with the position and token of the change. Its root has
the e-mail address, which no other account's root has. The cluster's first account alone opens and
closes others, by its root or whoever it allows writ:CreateAccount.

With --root-key the root gets an access key, whose secret is printed now and never again. Such a key
may do everything in the account and cannot be limited: make a user or role with it, and delete it.`,
		Example: "  writ account create --email ops@example.com --name Operations --alias ops",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&c.account.Email, "email", "", "e-mail address of the account's root")
	f.StringVar(&c.account.Name, "name", "", "name of the account, up to 50 characters")
	f.StringVar(&c.account.Alias, "alias", "", "alias of the account, which no other has")
	f.StringVar(&c.account.Account, "number", "", "number of the account, twelve digits; drawn if not given")
	f.BoolVar(&c.account.RootKey, "root-key", false, "make an access key for the account's root")
	return cmd
}

// Run opens the account.
func (c *Create) Run(ctx context.Context, to *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	if c.account.Email == "" {
		return shell.Usage("--email is missing: the account's root has an e-mail address; see `%s --help`", cmd.CommandPath())
	}
	made, err := to.CreateAccount(ctx, c.account)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if o.JSON() {
		err = shell.PrintJSON(out, made)
	} else {
		_, err = fmt.Fprintf(out, "account %s is open at position %d; token %s\n", made.Account, made.Position, made.Token)
		if k := made.RootKey; err == nil && k != nil {
			_, err = fmt.Fprintf(out, "root access key %s, secret %s\n", k.ID, k.Secret)
		}
	}
	if err == nil && made.RootKey != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "writ: warning: the secret is not told again, and the key may do everything in the account: delete it once there is a user or role to work with")
	}
	return err
}

// List makes the verb that lists accounts, without what it does.
func List() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the accounts of the cluster",
		Long: `Shows the accounts of the cluster, closed ones among them. Callers of other accounts than the
first see their own alone.`,
		Args: cobra.NoArgs,
	}
}

// RunList shows the accounts.
func RunList(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, _ string) error {
	found, err := c.Accounts(ctx, client.Freshness{})
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), found)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tSTATE\tALIAS\tNAME\tE-MAIL OF ROOT\tROOT KEYS\tROOT PASSWORD")
	for _, a := range found {
		state, password := a.State, "no"
		if a.Manages {
			state += ", manages"
		}
		if a.RootPassword {
			password = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", a.Account, state, orDash(a.Alias), orDash(a.Name), orDash(a.Email), a.RootKeys, password)
	}
	return w.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Alias is what `writ account alias` is told.
type Alias struct {
	set    string
	remove bool
}

// Command makes the verb, without what it does.
func (a *Alias) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "alias ACCOUNT (--set ALIAS | --remove)",
		Short:   "Give an account its one alias, or take it away",
		Example: "  writ account alias 210987654321 --set ops",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&a.set, "set", "", "the alias, instead of the one that there is")
	cmd.Flags().BoolVar(&a.remove, "remove", false, "take the alias away")
	return cmd
}

// Run changes the alias.
func (a *Alias) Run(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, account string) error {
	if (a.set == "") != a.remove {
		return shell.Usage("give one of --set ALIAS and --remove; see `%s --help`", cmd.CommandPath())
	}
	done, err := c.SetAccountAlias(ctx, account, a.set)
	return changed(cmd, o, done, err, "the alias of account %s is changed")
}

// Close makes the verb that closes an account, without what it does.
func Close() *cobra.Command {
	return &cobra.Command{
		Use:   "close ACCOUNT",
		Short: "Close an account for good",
		Long: `Closes an account. From the position on that is printed no credential of it is accepted, keys and
sessions alike, its roles cannot be assumed, and nobody is anybody in it: give the token to
` + "`writ wait --token`" + `, which says when that is so everywhere. What the account has is kept, and its
number, alias and e-mail address stay taken. It cannot be opened again. The first account of the
cluster cannot be closed.`,
		Args: cobra.ExactArgs(1),
	}
}

// RunClose closes the account.
func RunClose(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, account string) error {
	done, err := c.CloseAccount(ctx, account)
	return changed(cmd, o, done, err, "account %s is closed")
}

// Root is what `writ account root` is told.
type Root struct{ email, passwordFile string }

// Command makes the verb, without what it does.
func (r *Root) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "root ACCOUNT (--email ADDRESS | --password-file FILE)",
		Short: "Change what the root of an account signs in with",
		Long: `Gives the root of an account another e-mail address or password. The password is read from a file,
or from standard input where FILE is -; a line end after it is not part of it. It has 8 to 128
characters, of three kinds at least: upper case, lower case, digits, symbols.

A root changes its own. Those of other accounts the cluster's first account changes, by its root or
whoever it allows writ:SetRootEmail and writ:SetRootPassword.`,
		Example: "  writ account root 210987654321 --email root@example.com\n  pass show writ/root | writ account root 210987654321 --password-file -",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&r.email, "email", "", "the e-mail address, instead of the one that there is")
	cmd.Flags().StringVar(&r.passwordFile, "password-file", "", "file that holds the password; - is standard input")
	return cmd
}

// Run changes the e-mail address or the password.
func (r *Root) Run(ctx context.Context, c *client.Client, cmd *cobra.Command, o *shell.Output, account string) error {
	if (r.email == "") == (r.passwordFile == "") {
		return shell.Usage("give one of --email and --password-file; see `%s --help`", cmd.CommandPath())
	}
	if r.email != "" {
		done, err := c.SetRootEmail(ctx, account, r.email)
		return changed(cmd, o, done, err, "the e-mail address of the root of account %s is changed")
	}
	password, err := readPassword(r.passwordFile, cmd.InOrStdin())
	if err != nil {
		return err
	}
	done, err := c.SetRootPassword(ctx, account, password)
	return changed(cmd, o, done, err, "the password of the root of account %s is changed")
}

// readPassword reads a password, without the line end behind it.
func readPassword(path string, in io.Reader) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("open the file of the password: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if len(text) > maxPasswordFile || password == "" {
		return "", fmt.Errorf("%s holds no password: it is empty, or longer than %d bytes", path, maxPasswordFile)
	}
	return password, nil
}

// changed prints a change of an account.
func changed(cmd *cobra.Command, o *shell.Output, done *client.AccountChange, err error, said string) error {
	if err != nil {
		return err
	}
	if o.JSON() {
		return shell.PrintJSON(cmd.OutOrStdout(), done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), said+" at position %d; token %s\n", done.Account, done.Position, done.Token)
	return err
}
