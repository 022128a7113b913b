package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/node/client"
)

// maxHeadFile bounds what is read of a file with a signed head, in bytes.
const maxHeadFile = 64 << 10

// trust is whose signatures are believed.
type trust struct{ file string }

func (t *trust) flag(flags *pflag.FlagSet) {
	flags.StringVar(&t.file, "authority", "", "certificate of the cluster's authority, the ca.crt that writ init made (default: --ca-file)")
}

// authority is nil where none is named.
func (t *trust) authority(caFile string) (*client.CertificateAuthority, error) {
	path := cmp.Or(t.file, caFile)
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	a, err := client.ParseCertificateAuthority(text)
	if err != nil {
		return nil, shell.Usage("--authority %s: %w", path, err)
	}
	return a, nil
}

func newHead() *cobra.Command {
	t := target.Nodes{Limit: askTimeout}
	var o shell.Output
	var by trust
	cmd := &cobra.Command{
		Use:   "head",
		Short: "Print where the history is, signed, to keep and check later",
		Long: `Asks for the head of the log: position, hash and digest of the state, under the signature
of the leader. Kept (with --output json), it lets you find out later whether the history
still contains it: see ` + "`writ verify --head`" + `. Needs the permission writ:GetHead.`,
		Example: "  writ head --authority ca.crt --output json > head.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return head(cmd.Context(), cmd.OutOrStdout(), &t, &o, &by)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	by.flag(cmd.Flags())
	return cmd
}

func head(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output, by *trust) error {
	if err := o.Check(); err != nil {
		return err
	}
	a, err := by.authority(t.CAFile)
	if err != nil {
		return err
	}
	c, err := t.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	h, err := c.Head(ctx)
	if err != nil {
		return err
	}
	checked := "; the signature was not checked: name the --authority"
	if a != nil {
		if err := a.Check(h); err != nil {
			return &shell.Exit{Code: shell.CodeUnhealthy, Err: err}
		}
		checked = ", signature checked"
	}
	if o.JSON() {
		return shell.PrintJSON(out, h)
	}
	_, err = fmt.Fprintf(out, "position %d, hash %x\nstate %s\nsigned by %s at %s%s\n", h.Position, h.Hash, h.Digest, h.Node, signedAt(h), checked)
	return err
}

func signedAt(h *client.SignedHead) string {
	return time.UnixMilli(int64(h.Time)).UTC().Format(time.RFC3339)
}

// keptHead is what became of a head that was kept.
type keptHead struct {
	File    string             `json:"file"`
	Kept    *client.SignedHead `json:"kept"`
	Walked  int                `json:"batches_walked"`
	Verdict string             `json:"verdict"` // "contained", "conflict", "other history" or "broken"
	Detail  string             `json:"detail,omitempty"`
}

// headsReport is what `writ verify --head` prints.
type headsReport struct {
	Now   *client.SignedHead `json:"now"`
	Heads []keptHead         `json:"heads"`
	// Evidence are pairs of signed heads that cannot both be true.
	Evidence []*client.Conflict `json:"evidence,omitempty"`
}

// note takes what came of looking for head i in the history into the report.
// Another error than a finding comes back.
func (r *headsReport) note(i int, err error) error {
	h := &r.Heads[i]
	var conflict *client.Conflict
	switch {
	case err == nil:
		return nil
	case errors.As(err, &conflict):
		h.Verdict = "conflict"
		r.Evidence = append(r.Evidence, conflict)
	case errors.Is(err, client.ErrOtherHistory):
		h.Verdict = "other history"
	case errors.Is(err, client.ErrBroken):
		h.Verdict = "broken"
	default:
		return fmt.Errorf("%s: %w", h.File, err)
	}
	h.Detail = err.Error()
	return nil
}

// verdict is nil when the history contains every head.
func (r *headsReport) verdict() error {
	for _, h := range r.Heads {
		if h.Verdict != "contained" {
			return &shell.Exit{Code: shell.CodeUnhealthy, Err: fmt.Errorf("%s: %s: %s", h.File, h.Verdict, h.Detail)}
		}
	}
	return nil
}

func verifyHeads(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output, by *trust, files []string) error {
	a, err := by.authority(t.CAFile)
	if err != nil {
		return err
	}
	if a == nil {
		return shell.Usage("say whose signatures to believe: --authority, the ca.crt of `writ init`")
	}
	var r headsReport
	for _, file := range files {
		h, err := readHead(file)
		if err != nil {
			return err
		}
		if err := a.Check(h); err != nil {
			return &shell.Exit{Code: shell.CodeUnhealthy, Err: fmt.Errorf("%s: %w", file, err)}
		}
		r.Heads = append(r.Heads, keptHead{File: file, Kept: h, Verdict: "contained"})
	}
	if err := r.compare(ctx, t, a); err != nil {
		return err
	}
	if o.JSON() {
		err = shell.PrintJSON(out, r)
	} else {
		err = r.print(out)
	}
	if err != nil {
		return err
	}
	return r.verdict()
}

// compare compares the heads that were kept with each other, and then looks for each in
// the history that ends in one signed now.
func (r *headsReport) compare(ctx context.Context, t *target.Nodes, a *client.CertificateAuthority) error {
	for i := range r.Heads {
		for j := range i {
			var conflict *client.Conflict
			if errors.As(client.Compare(r.Heads[j].Kept, r.Heads[i].Kept), &conflict) {
				r.Evidence = append(r.Evidence, conflict)
			}
		}
	}
	c, err := t.Client()
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if r.Now, err = c.Head(asking); err != nil {
		return err
	}
	if err := a.Check(r.Now); err != nil {
		return &shell.Exit{Code: shell.CodeUnhealthy, Err: err}
	}
	for i := range r.Heads {
		h := &r.Heads[i]
		h.Walked, err = c.Contains(ctx, h.Kept, r.Now)
		if err := r.note(i, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *headsReport) print(out io.Writer) error {
	fmt.Fprintf(out, "now: position %d, hash %x, signed by %s at %s\n", r.Now.Position, r.Now.Hash, r.Now.Node, signedAt(r.Now))
	for _, h := range r.Heads {
		fmt.Fprintf(out, "%s: position %d, signed by %s at %s: %s (%d batches walked)\n", h.File, h.Kept.Position, h.Kept.Node, signedAt(h.Kept), h.Verdict, h.Walked)
		if h.Detail != "" {
			fmt.Fprintf(out, "  %s\n", h.Detail)
		}
	}
	for _, conflict := range r.Evidence {
		fmt.Fprintf(out, "evidence: two signed heads that cannot both be true: %s\n", conflict.What)
		for _, h := range []*client.SignedHead{conflict.Kept, conflict.Now} {
			if err := shell.PrintJSON(out, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func readHead(path string) (*client.SignedHead, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a signed head: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHeadFile+1))
	if err != nil {
		return nil, fmt.Errorf("read a signed head: %w", err)
	}
	if len(text) > maxHeadFile {
		return nil, fmt.Errorf("%s is longer than %d bytes, and no signed head", path, maxHeadFile)
	}
	var h client.SignedHead
	if err := json.Unmarshal(text, &h); err != nil { // what follows the head, another one say, as well
		return nil, fmt.Errorf("%s is not the JSON of one signed head: %w", path, err)
	}
	return &h, nil
}
