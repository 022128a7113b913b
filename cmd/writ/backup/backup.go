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
}

// New makes the command, with verify below it.
func New() *cobra.Command {
	var t taking
	cmd := &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Keep the state and the history of the cluster in a file",
		Long: `Asks a writer for an archive of one position: the state there and all batches of the history up to
it, signed by that writer. It goes to a file, which must not be there yet and is there only when
the archive has come whole, or to standard output. With --data, the archive is made of the directory
of a writer that is not running, and is signed by nobody.

Archives are encrypted to age recipients; age-keygen makes one. Secrets of access keys are sealed in
an archive: a restore needs the cluster's seal.key too, which is in no archive. Keep both, apart.

An archive made --since the position of an earlier one holds the batches behind it alone: both
are given to ` + "`writ restore`" + `. Needs the permission writ:Backup.`,
		Example: "  writ backup writ.age --recipient age1...\n  writ backup more.age --recipients-file recipients.txt --since 120000",
		Args:    cobra.MaximumNArgs(1),
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
		err = archive.ToFile(to, write)
	}
	if errors.Is(err, archive.ErrExtent) {
		return shell.Usage("%w", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", describe(h))
	return err
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
}

func (o *opening) flags(f *pflag.FlagSet) {
	f.StringVar(&o.identities, "identity-file", "", "age identities that open the archives, as age-keygen writes them")
	f.StringVar(&o.authority, "authority", "", "certificate of the cluster's authority, the ca.crt that writ init made: the archives must be signed by one of its writers")
}

// file is an archive in a file.
type file struct {
	path       string
	identities archive.Identities
}

// Open opens it.
func (f file) Open() (io.ReadCloser, error) {
	r, err := f.identities.OpenFile(f.path)
	if errors.Is(err, archive.ErrIdentity) {
		err = fmt.Errorf("%w: --identity-file", err)
	}
	return r, err
}

// open is what opens each of the files.
func (o *opening) open(files []string) (each []archive.Opener, err error) {
	identities, err := archive.LoadIdentities(o.identities)
	for _, path := range files {
		each = append(each, file{path, identities})
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
		Use:   "verify FILE ...",
		Short: "Check an archive, and those made since it; exits 5 if one is not good",
		Long: `Reads archives to their ends and checks the hashes of all parts, the chain of batches, the digest of
the state, that the batches make that state, and, with --authority, whose signature is on them.
It needs no cluster.`,
		Example: "  writ backup verify writ.age --identity-file key.txt --authority ca.crt",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			each, err := o.open(files)
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
