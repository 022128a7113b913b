// Package backup has the verbs that keep a cluster's state and history elsewhere, and bring
// a cluster back.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// taking is a backup that is asked for.
type taking struct {
	nodes      target.Nodes
	data       string // of a stopped writer; empty to ask a running one
	since      uint64
	stateOnly  bool
	recipients []string
	file       string // of recipients
	clear      bool
	places     archive.Places
}

// New makes the command, with verify below it.
func New() *cobra.Command {
	var t taking
	cmd := &cobra.Command{
		Use:   "backup FILE|s3://BUCKET/KEY|-",
		Short: "Keep the state and the history of the cluster in a file, or in an S3 store",
		Long: `Asks a writer for an archive of one position: the state there and all batches of the history up to
it, signed by that writer. It goes to a file, or as an object into a store that speaks the S3
protocol, which must not be there yet and is there only when the archive has come whole; or to
standard output. With --data, the archive is made of the directory
of a writer that is not running, and is signed by nobody.

Archives are encrypted to age recipients; age-keygen makes one. Secrets of access keys are sealed in
an archive: a restore needs the cluster's seal.key too, which is in no archive. Keep both, apart.

` + StoreHelp + `
An archive made --since the position of an earlier one holds the batches behind it alone: both
are given to ` + "`writ restore`" + `. Needs the permission writ:Backup.`,
		Example: "  writ backup writ.age --recipient age1...\n  writ backup more.age --recipients-file recipients.txt --since 120000\n" +
			"  writ backup s3://bucket/writ.age --recipient age1... --s3-endpoint https://s3.example.com --s3-credentials-file s3.json",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return shell.Usage("say where to: `%s FILE`, or - for standard output", cmd.CommandPath())
			}
			return t.run(cmd, args[0])
		},
	}
	t.flags(cmd.Flags())
	cmd.AddCommand(newVerify())
	return cmd
}

func (t *taking) flags(f *pflag.FlagSet) {
	t.nodes.Flags(f)
	f.StringVar(&t.data, "data", "", "directory of a writer that is not running, to be read instead of asking a running one")
	f.Uint64Var(&t.since, "since", 0, "only the batches behind this position, the one of an earlier archive")
	f.BoolVar(&t.stateOnly, "state-only", false, "leave the history out: it can be restored to this position alone")
	f.StringArrayVar(&t.recipients, "recipient", nil, "who can read the archive, age1...; several may be given")
	f.StringVar(&t.file, "recipients-file", "", "file of such recipients, one a line")
	f.BoolVar(&t.clear, "unencrypted", false, "write the archive in the clear")
	StoreFlags(f, &t.places.S3)
}

// StoreHelp says how the S3 store of archives is reached.
const StoreHelp = `The S3 store has settings of its own: --s3-endpoint or the region of AWS, and credentials in
--s3-credentials-file, JSON as ` + "`aws configure export-credentials`" + ` prints it, or in
$WRIT_S3_ACCESS_KEY_ID, $WRIT_S3_SECRET_ACCESS_KEY and $WRIT_S3_SESSION_TOKEN. The variables of AWS's
tools are those of the cluster, and are not read for it.
`

// StoreFlags declares how the S3 store of archives is reached.
func StoreFlags(f *pflag.FlagSet, c *bucket.Config) {
	f.StringVar(&c.Endpoint, "s3-endpoint", "", "URL of the store of s3:// URLs (default: AWS's, in --s3-region)")
	f.StringVar(&c.Region, "s3-region", "", "region of that store (default: us-east-1 at an --s3-endpoint)")
	f.StringVar(&c.CredentialsFile, "s3-credentials-file", "", "credentials for that store, JSON as \"aws configure export-credentials\" prints it; read anew for each request (default: $"+bucket.EnvAccessKeyID+" and so on)")
	f.StringVar(&c.CAFile, "s3-ca-file", "", "certificates that vouch for that store, PEM (default: the system's)")
}

func (t *taking) run(cmd *cobra.Command, to string) error {
	recipients, err := archive.ParseRecipients(t.recipients, t.file)
	switch {
	case errors.Is(err, archive.ErrRecipients):
		return shell.Usage("%w", err)
	case err != nil:
		return err
	case len(recipients) == 0 && !t.clear:
		return shell.Usage("say who can read the archive: --recipient age1... (`age-keygen` makes one); or that anybody can: --unencrypted")
	case len(recipients) > 0 && t.clear:
		return shell.Usage("--unencrypted and recipients do not go together")
	}
	var h *archive.Header
	write := func(w io.Writer) error {
		covered, err := recipients.Cover(w)
		if err != nil {
			return err
		}
		if h, err = t.take(cmd.Context(), covered); err != nil {
			return err
		}
		return covered.Close()
	}
	out := cmd.ErrOrStderr()
	if to == "-" {
		err = write(shell.Raw(cmd.OutOrStdout()))
	} else {
		out = cmd.OutOrStdout()
		err = t.places.Create(cmd.Context(), to, write)
	}
	if errors.Is(err, archive.ErrExtent) || misused(err) {
		return shell.Usage("%w", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", describe(h))
	return err
}

// misused tells whether a URL, or what is said of its store, is not well said.
func misused(err error) bool {
	return errors.Is(err, bucket.ErrURL) || errors.Is(err, bucket.ErrConfig) || errors.Is(err, bucket.ErrCredentials)
}

// take writes an archive, and finds out whether it is whole.
func (t *taking) take(ctx context.Context, w io.Writer) (*archive.Header, error) {
	if t.data != "" {
		source, unlock, err := archive.OfDirectory(t.data, archive.Time(time.Now().UnixMilli()))
		switch {
		case errors.Is(err, setup.ErrInUse):
			return nil, fmt.Errorf("%w: leave --data out to ask the running writer", err)
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w; --data is the directory that a writer was started with", err)
		case err != nil:
			return nil, err
		}
		h, err := source.Write(w, archive.Extent{Since: archive.Position(t.since), StateOnly: t.stateOnly})
		return h, errors.Join(err, unlock())
	}
	c, err := t.nodes.Client()
	if err != nil {
		return nil, err
	}
	body, err := c.Backup(ctx, archive.Position(t.since), t.stateOnly)
	if err != nil {
		return nil, err
	}
	h, err := archive.Read(io.TeeReader(body, w), archive.Nothing{})
	if errors.Is(err, archive.ErrDamaged) {
		err = fmt.Errorf("the archive did not come whole; ask again: %w", err)
	}
	return h, errors.Join(err, body.Close())
}

// describe says what an archive holds.
func describe(h *archive.Header) string {
	holds := "the state"
	switch {
	case !h.Snapshot:
		holds = fmt.Sprintf("the batches %d to %d", h.From, h.Position)
	case h.From > 0:
		holds = fmt.Sprintf("the state and the batches %d to %d", h.From, h.Position)
	}
	by := ", signed by nobody"
	if h.Signed != nil {
		by = ", signed by " + h.Signed.Node
	}
	return fmt.Sprintf("position %d of cluster %s, incarnation %s: %s, hash %x, state %s, at %s%s", h.Position, h.Cluster, h.Incarnation, holds, h.Hash, h.Digest, clock(h.Time), by)
}

func clock(t archive.Time) string { return time.UnixMilli(int64(t)).UTC().Format(time.RFC3339) }

// opening is how archives are opened and whose signatures are believed.
type opening struct {
	identities, authority string
	places                archive.Places
}

func (o *opening) flags(f *pflag.FlagSet) {
	f.StringVar(&o.identities, "identity-file", "", "age identities that open the archives, as age-keygen writes them")
	f.StringVar(&o.authority, "authority", "", "certificate of the cluster's authority, the ca.crt that writ init made: the archives must be signed by one of its writers")
	StoreFlags(f, &o.places.S3)
}

// kept is an archive at a place.
type kept struct {
	ctx        context.Context
	places     archive.Places
	at         string
	identities archive.Identities
}

// Open opens it.
func (k kept) Open() (io.ReadCloser, error) {
	r, err := k.places.Open(k.ctx, k.at, k.identities)
	switch {
	case errors.Is(err, archive.ErrIdentity):
		err = fmt.Errorf("%w: --identity-file", err)
	case misused(err):
		err = shell.Usage("%w", err)
	}
	return r, err
}

// open is what opens the archive at each of the places.
func (o *opening) open(ctx context.Context, places []string) (each []archive.Opener, err error) {
	identities, err := archive.LoadIdentities(o.identities)
	for _, at := range places {
		each = append(each, kept{ctx, o.places, at, identities})
	}
	return each, err
}

// check finds out whether a writer of the authority, if one is named, signed each.
func (o *opening) check(headers []*archive.Header) error {
	if o.authority == "" {
		return nil
	}
	text, err := os.ReadFile(o.authority)
	if err != nil {
		return fmt.Errorf("read the authority's certificate: %w", err)
	}
	a, err := client.ParseCertificateAuthority(text)
	if err != nil {
		return shell.Usage("--authority %s: %w", o.authority, err)
	}
	for _, h := range headers {
		err := archive.ErrUnsigned
		if h.Signed != nil {
			err = a.Check(h.Signed)
		}
		if err != nil {
			return fmt.Errorf("the archive of position %d: %w", h.Position, err)
		}
	}
	return nil
}

func newVerify() *cobra.Command {
	var o opening
	cmd := &cobra.Command{
		Use:   "verify FILE|s3://BUCKET/KEY ...",
		Short: "Check an archive, and those made since it; exits 5 if one is not good",
		Long: `Reads archives to their ends and checks the hashes of all parts, the chain of batches, the digest of
the state, that the batches make that state, and, with --authority, whose signature is on them.
It needs no cluster.

` + StoreHelp,
		Example: "  writ backup verify writ.age --identity-file key.txt --authority ca.crt",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			each, err := o.open(cmd.Context(), files)
			if err != nil {
				return err
			}
			found, err := archive.Verify(each)
			headers := make([]*archive.Header, 0, len(found))
			for _, r := range found {
				headers = append(headers, r.Header)
			}
			if err == nil {
				err = o.check(headers)
			}
			if errors.Is(err, archive.ErrDamaged) || errors.Is(err, archive.ErrFormat) || errors.Is(err, archive.ErrUnsigned) || errors.Is(err, client.ErrSignature) {
				return &shell.Exit{Code: shell.CodeUnhealthy, Err: err}
			}
			if err != nil {
				return err
			}
			for _, r := range found {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n  good: %d batches, of which %d make the state\n", describe(r.Header), r.Batches, r.Replayed)
			}
			return nil
		},
	}
	o.flags(cmd.Flags())
	return cmd
}
