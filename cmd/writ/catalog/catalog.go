// Package catalog has what the verbs on the managed policies of AWS do with a cluster and
// with files.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/managed"
)

// Show prints which catalogue is in force at a cluster.
func Show(ctx context.Context, c *client.Client, out io.Writer, o *shell.Output) error {
	found, err := c.Catalogue(ctx)
	switch {
	case err != nil:
		return err
	case o.JSON():
		return shell.PrintJSON(out, found)
	case found.Number == 0:
		_, err = fmt.Fprintln(out, "the policies with which the cluster began; `writ catalog import` brings those of this program")
		return err
	}
	_, err = fmt.Fprintf(out, "catalogue %d: %d policies, in force since position %d (%s); digest %s\n",
		found.Number, found.Policies, found.Position, found.Installed, found.Digest)
	if err == nil && found.Kept > 0 {
		_, err = fmt.Fprintf(out, "%d more were in use then, and stay until an import finds them unused\n", found.Kept)
	}
	return err
}

// checkInput refuses an input that nobody asks for. Standard input is read for "-"
// alone: whoever gives it a file or a pipe and says no name would get the policies of this
// program, and think that they are those of the file.
func checkInput(in io.Reader, name string) error {
	f, ok := in.(*os.File)
	if name != "" || !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 { // closed, a terminal or /dev/null
		return nil
	}
	return shell.Usage("standard input is no terminal, and no FILE is named: `writ catalog import -` reads it, `writ catalog import </dev/null` takes the policies of this program")
}

// Replace puts in force what Read reads. Where it was stopped it says what was changed.
func Replace(ctx context.Context, c *client.Client, in io.Reader, out io.Writer, o *shell.Output, name string) error {
	if err := checkInput(in, name); err != nil {
		return err
	}
	policies, err := Read(ctx, c, in, name)
	if err == nil {
		err = Import(ctx, c, out, o, policies)
	}
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(err, client.ErrInstalling):
		return fmt.Errorf("stopped while the policies came into force: `writ catalog show` says whether they have; importing them again is safe: %w", err)
	}
	return fmt.Errorf("stopped before any policy was changed; importing them again is safe: %w", err)
}

// Read reads the policies of a file, of the standard input for "-", or those of this
// program for no name, as they are in the partition of a cluster. A file of another partition
// is refused.
func Read(ctx context.Context, c *client.Client, in io.Reader, name string) ([]managed.Policy, error) {
	found, err := c.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	partition, err := managed.ParsePartition(found.Partition)
	if err != nil {
		return nil, fmt.Errorf("a newer program is needed for this cluster: %w", err)
	}
	return read(ctx, in, name, partition)
}

func read(ctx context.Context, in io.Reader, name string, partition managed.Partition) ([]managed.Policy, error) {
	switch name {
	case "":
		return managed.PoliciesIn(partition)
	case "-":
		return untilDone(ctx, func() ([]managed.Policy, error) { return managed.Read(in, partition) })
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the policies of AWS: %w", err)
	}
	defer f.Close()
	policies, err := managed.Read(f, partition)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return policies, nil
}

// untilDone waits for who reads standard input, which no context ends, until ctx does.
func untilDone(ctx context.Context, read func() ([]managed.Policy, error)) ([]managed.Policy, error) {
	type result struct {
		policies []managed.Policy
		err      error
	}
	done := make(chan result, 1)
	go func() {
		policies, err := read()
		done <- result{policies, err}
	}()
	select {
	case r := <-done:
		return r.policies, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read the policies of AWS from standard input: %w", ctx.Err())
	}
}

// Import puts policies in force at a cluster, and prints what became of the others.
func Import(ctx context.Context, c *client.Client, out io.Writer, o *shell.Output, policies []managed.Policy) error {
	change, err := c.ImportCatalogue(ctx, policies)
	switch {
	case err != nil:
		return err
	case o.JSON():
		return shell.PrintJSON(out, change)
	case change == nil:
		_, err = fmt.Fprintf(out, "%d policies are in force already\n", len(policies))
		return err
	}
	_, err = fmt.Fprintf(out, "%d policies are in force at position %d; token %s\n", len(policies), change.Position, change.Token)
	if err == nil && len(change.Removed) > 0 {
		_, err = fmt.Fprintf(out, "removed: %s\n", strings.Join(change.Removed, ", "))
	}
	if err == nil && len(change.Kept) > 0 {
		_, err = fmt.Fprintf(out, "kept, since they are in use: %s\n", strings.Join(change.Kept, ", "))
	}
	return err
}
