// Command release builds a release: a binary for each platform, what each is made of, checksums
// of all, and a signature if a key is given. Whoever runs it again with the same sources, version
// and Go gets the same bytes. `make release VERSION=v1.2.3` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	var r release
	f.StringVar(&r.source, "source", ".", "root of the sources")
	f.StringVar(&r.out, "out", "dist", "directory to fill; what is there already stays")
	f.StringVar(&r.version, "version", "", "the version that the binaries say, such as v1.2.3")
	f.StringVar(&r.revision, "revision", "", "the commit that they are of, its whole hash")
	key := f.String("sign", "", "key of SSH, by which the checksums are signed (default: they are not)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	var err error
	if r.out, err = filepath.Abs(r.out); err != nil {
		return fmt.Errorf("find the directory: %w", err)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	var names []string
	for _, t := range targets {
		name, err := r.build(ctx, t)
		if err != nil {
			return err
		}
		listed, err := r.list(name)
		if err != nil {
			return err
		}
		fmt.Println(filepath.Join(r.out, name))
		names = append(names, name, listed)
	}
	if err := r.sum(names); err != nil || *key == "" {
		return err
	}
	return r.sign(ctx, *key)
}
