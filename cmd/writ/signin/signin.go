// Package signin signs in with a password, and prints the credentials of the session.
package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// timeout is how long a sign-in takes at most, with an election.
const timeout = 30 * time.Second

// flags are what the command is told.
type flags struct {
	with             client.SignIn
	endpoint, caFile string
	passwordFile     string
	code, change     bool
	life, limit      time.Duration
	out              shell.Output
}

// New makes the command. endpoints are the URLs to ask where no flag names one.
func New(endpoints []string) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "signin (--account ACCOUNT --user NAME | --email ADDRESS)",
		Short: "Sign in with a password, for temporary credentials",
		Long: `Signs in as a user, by the number or alias of the account, or as the root of an account, by its
e-mail address. It prints commands that put the credentials of a session into the environment of a
shell, or with --output json what the AWS CLI and SDKs expect of a credential_process.

The password is asked for at the terminal. With --password-file it is the first line of that file,
or of standard input where FILE is -. With --mfa a code of an MFA device comes after it, and with
--new-password the password that is to be the user's from now on: each asked for, or one more line.
None of them is ever an argument.`,
		Example: "  eval \"$(writ signin --account ops --user alice --mfa)\"\n  pass show writ/alice | writ signin --account ops --user alice --password-file - --output json",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, endpoints) }
	s := cmd.Flags()
	s.StringVar(&f.with.Account, "account", "", "account of the user, its number or alias")
	s.StringVar(&f.with.User, "user", "", "name of the user")
	s.StringVar(&f.with.Email, "email", "", "e-mail address of the root, in place of account and user")
	s.StringVar(&f.passwordFile, "password-file", "", "file that holds the password; - is standard input")
	s.BoolVar(&f.code, "mfa", false, "show a code of an MFA device")
	s.StringVar(&f.with.MFASerial, "mfa-serial", "", "serial number of the device, for whoever has several")
	s.BoolVar(&f.change, "new-password", false, "change the password of the user")
	s.DurationVar(&f.life, "duration", time.Hour, "how long the session lasts: 15m to 12h, of a root 1h at most")
	s.StringVar(&f.endpoint, "endpoint", "", "URL of the one node to ask (default: those of $WRIT_ENDPOINT)")
	s.StringVar(&f.caFile, "ca-file", "", "certificates to trust at https endpoints, PEM")
	s.DurationVar(&f.limit, "timeout", timeout, "how long it may take at most, whoever does not answer")
	f.out.Flag(s)
	return cmd
}

func (f *flags) run(cmd *cobra.Command, endpoints []string) error {
	if err := f.out.Check(); err != nil {
		return err
	}
	if user := f.with.Account != "" && f.with.User != ""; user == (f.with.Email != "") || (f.with.Account != "") != (f.with.User != "") {
		return shell.Usage("give --account and --user, or --email; see `%s --help`", cmd.CommandPath())
	}
	if f.endpoint != "" {
		endpoints = []string{f.endpoint}
	}
	hc, err := setup.HTTPClient(f.caFile)
	if err != nil {
		return err
	}
	if err := f.ask(cmd.InOrStdin()); err != nil {
		return err
	}
	warn(cmd.ErrOrStderr(), endpoints)
	f.with.Duration = int(f.life / time.Second)
	ctx, cancel := context.WithTimeout(cmd.Context(), f.limit)
	defer cancel()
	said, err := client.SignInAt(ctx, hc, endpoints, f.with)
	var p *client.Problem
	switch {
	case errors.Is(err, client.ErrConfig):
		return shell.Usage("%w; %s", err, shell.DevHint)
	case errors.As(err, &p) && p.Code == "PasswordChangeRequired":
		return fmt.Errorf("%w (--new-password does)", err)
	case err != nil:
		return err
	}
	return f.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), said)
}

// warn tells of endpoints at which the password goes over the network as it is.
func warn(out io.Writer, endpoints []string) {
	for _, text := range endpoints {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			fmt.Fprintf(out, "writ: warning: at %s the password and the session can be read by whoever sees the connection: use https\n", text)
		}
	}
}

// process is what a credential_process prints ("Sourcing credentials with an external
// process" in the AWS SDKs and Tools Reference Guide).
type process struct {
	Version         int       `json:"Version"`
	AccessKeyID     string    `json:"AccessKeyId"`
	SecretAccessKey string    `json:"SecretAccessKey"`
	SessionToken    string    `json:"SessionToken"`
	Expiration      time.Time `json:"Expiration"`
}

// print prints the credentials, and for people whose they are.
func (f *flags) print(out, people io.Writer, said *client.SignedIn) error {
	fmt.Fprintf(people, "writ: signed in as %s until %s\n", said.ARN, said.Expiration.Format(time.RFC3339))
	if said.PasswordExpires != nil {
		fmt.Fprintf(people, "writ: the password expires at %s\n", said.PasswordExpires.Format(time.RFC3339))
	}
	if f.out.JSON() {
		return shell.PrintJSON(out, process{1, said.AccessKeyID, said.SecretAccessKey, said.SessionToken, said.Expiration})
	}
	_, err := fmt.Fprintf(out, "export AWS_ACCESS_KEY_ID='%s'\nexport AWS_SECRET_ACCESS_KEY='%s'\nexport AWS_SESSION_TOKEN='%s'\n",
		said.AccessKeyID, said.SecretAccessKey, said.SessionToken)
	return err
}
