package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/test/cluster"
)

// recipient is somebody who can read the archives; nobody has the identity.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

// keeping is the figure of backups.
type keeping struct {
	options
	binary string
	c      *cluster.Cluster
	leader cluster.Node
	dir    string // for archives and copies
}

// measureBackup is backups of many users beside plain copies of the files that a writer
// has, CreateUser while they are made beside CreateUser alone, and a restore beside a copy
// of the archive.
func measureBackup(ctx context.Context, o options) (err error) {
	dir, binary, err := built(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	k := &keeping{options: o, binary: binary, dir: dir}
	at := filepath.Join(dir, "cluster")
	if err := populatedIn(ctx, binary, at, o.users, "--replicas", "0"); err != nil {
		return err
	}
	if k.c, err = cluster.Start(ctx, binary, at); err != nil {
		return err
	}
	k.leader, err = k.c.Node("writer-1")
	if err == nil {
		err = k.copies(ctx)
	}
	if err == nil {
		err = k.creating(ctx)
	}
	if err := errors.Join(err, k.c.Stop()); err != nil {
		return err
	}
	return k.restores(ctx)
}

// took is one way to keep what there is.
type took struct {
	name string
	do   func(ctx context.Context, to string) error
	size int64
	all  []float64 // seconds
}

func (t *took) median() float64 {
	slices.Sort(t.all)
	return t.all[len(t.all)/2]
}

// copies makes copies and backups in turn.
func (k *keeping) copies(ctx context.Context) error {
	data := filepath.Join(k.c.Dir, "data", "writer-1", "log")
	snapshots, err := filepath.Glob(filepath.Join(data, "snapshots", "*", "state.bin"))
	if err != nil || len(snapshots) == 0 {
		return fmt.Errorf("no snapshot is in %s: %w", data, err)
	}
	ways := []*took{
		{name: "copy of the snapshot", do: func(_ context.Context, to string) error { return copyOf(snapshots[len(snapshots)-1], to) }},
		{name: "backup, the state alone, in the clear", do: k.backup("--state-only", "--unencrypted")},
		{name: "backup, the state alone, encrypted", do: k.backup("--state-only", "--recipient", recipient)},
		{name: "copy of the event store", do: func(_ context.Context, to string) error { return copyOf(filepath.Join(data, log.EventsFile), to) }},
		{name: "backup, whole, in the clear", do: k.backup("--unencrypted")},
		{name: "backup, whole, encrypted", do: k.backup("--recipient", recipient)},
	}
	for range k.rounds {
		for _, w := range ways {
			if err := k.once(ctx, w); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	for i, w := range ways {
		like := ways[i/3*3]
		fmt.Printf("%-40s %6.2f s (%.2f to %.2f), %6.1f MB; %.1f times the time and %.2f times the size of a %s\n", w.name,
			w.median(), w.all[0], w.all[len(w.all)-1], float64(w.size)/1e6, w.median()/like.median(), float64(w.size)/float64(like.size), like.name)
	}
	return nil
}

// once makes one, and removes it.
func (k *keeping) once(ctx context.Context, w *took) error {
	to := filepath.Join(k.dir, "kept")
	begun := time.Now()
	if err := w.do(ctx, to); err != nil {
		return err
	}
	w.all = append(w.all, time.Since(begun).Seconds())
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	w.size = info.Size()
	return os.Remove(to)
}

// backup is `writ backup` to a file.
func (k *keeping) backup(flags ...string) func(context.Context, string) error {
	return func(ctx context.Context, to string) error {
		return k.run(ctx, append([]string{"backup", to}, flags...)...)
	}
}

func (k *keeping) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, k.binary, args...)
	cmd.Env = k.c.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("writ %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// copyOf copies a file as durably as an archive is written.
func copyOf(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// creating is CreateUser while one backup after the other is made.
func (k *keeping) creating(ctx context.Context) error {
	var turn atomic.Int64
	create := func(ctx context.Context, d time.Duration) (round, error) {
		return load(ctx, host(k.leader.URL), besideClients, d, createUser(k.c, k.leader.URL, fmt.Sprintf("t%d", turn.Add(1))))
	}
	for _, figure := range []struct{ name, flag string }{{"backups of the state", "--state-only"}, {"whole backups", "--since=0"}} {
		make := k.backup(figure.flag, "--recipient", recipient)
		ours, alone, err := alternate(ctx, k.options, func(ctx context.Context, d time.Duration) (round, error) {
			return beside(ctx, d, create, func(ctx context.Context) error {
				for n := 0; ; n++ {
					to := filepath.Join(k.dir, fmt.Sprintf("beside-%d", turn.Add(1)))
					err := make(ctx, to)
					if ctx.Err() != nil {
						return errors.Join(ctx.Err(), os.RemoveAll(to))
					}
					if err := errors.Join(err, os.Remove(to)); err != nil {
						return err
					}
				}
			})
		}, create)
		if err != nil {
			return fmt.Errorf("beside %s: %w", figure.name, err)
		}
		tell("CreateUser beside "+figure.name, ours, alone)
		fmt.Printf("%-40s %.2f times that of CreateUser alone\n", "  its p99", median(ours, p99)/median(alone, p99))
	}
	return nil
}

// restores brings the cluster back from an archive of its stopped writer, into other directories.
func (k *keeping) restores(ctx context.Context) error {
	archive := filepath.Join(k.dir, "whole")
	if err := k.run(ctx, "backup", archive, "--unencrypted", "--data", filepath.Join(k.c.Dir, "data", "writer-1")); err != nil {
		return err
	}
	copied := &took{name: "copy of the archive", do: func(_ context.Context, to string) error { return copyOf(archive, to) }}
	verified := &took{name: "verification", do: func(ctx context.Context, to string) error {
		return errors.Join(k.run(ctx, "backup", "verify", archive), os.WriteFile(to, nil, 0o600))
	}}
	restored := &took{name: "restore", do: func(ctx context.Context, to string) error {
		data := filepath.Join(k.dir, "restored")
		err := k.run(ctx, "restore", archive, "--cluster", filepath.Join(k.c.Dir, "cluster.yaml"), "--name", "writer-1", "--data", data)
		return errors.Join(err, os.RemoveAll(data), os.WriteFile(to, nil, 0o600))
	}}
	for range k.rounds {
		for _, w := range []*took{copied, verified, restored} {
			if err := k.once(ctx, w); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	for _, w := range []*took{copied, verified, restored} {
		fmt.Printf("%-40s %6.2f s (%.2f to %.2f); %.1f times the time of a %s, %.0f users/s\n", w.name,
			w.median(), w.all[0], w.all[len(w.all)-1], w.median()/copied.median(), copied.name, float64(k.users)/w.median())
	}
	return nil
}
