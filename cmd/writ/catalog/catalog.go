// Package catalog has what the verbs on the managed policies of AWS do with a cluster and
// with files.
package catalog

import (
	"context"
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
	return read(in, name, partition)
}

func read(in io.Reader, name string, partition managed.Partition) ([]managed.Policy, error) {
	switch name {
	case "":
		return managed.PoliciesIn(partition)
	case "-":
		return managed.Read(in, partition)
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
