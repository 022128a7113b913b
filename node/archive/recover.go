package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// Recovery makes the directory of a writer, which is not running, that of the only member
// of another incarnation. It works on a copy, so the disk has to have room for one.
type Recovery struct {
	Data string // the writer's
	Time identity.Time
}

// Recovered is what came of a recovery, or would come of it.
type Recovered struct {
	log.Survivor
	Incarnation string // that ends
	// Changed is when the state changed last, by the clock of the leader then.
	Changed identity.Time
	// Before is where the log is kept that there was; empty before it was replaced.
	Before string
}

// Run looks at what is in the directory and what it would become. Where accept agrees, that is
// put in the place of what there is, which is kept under another name. It is done as a
// whole, or not at all.
func (r *Recovery) Run(accept func(Recovered) bool) (found Recovered, err error) {
	if _, err := os.Stat(r.Data); err != nil { // or the lock would make it
		return found, err
	}
	lock, err := setup.Lock(r.Data)
	if err != nil {
		return found, err
	}
	defer lock.Close()
	making, ready, old := filepath.Join(r.Data, makingDir), filepath.Join(r.Data, readyDir), filepath.Join(r.Data, logDir)
	if done, err := r.finish(ready, old); err != nil || done {
		return found, err
	}
	if err := errors.Join(os.RemoveAll(making), os.RemoveAll(ready)); err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(making)) }() // gone where it was put in place
	if err := copyLog(old, making); err != nil {
		return found, err
	}
	before, after, err := log.Renewal{
		Dir: making, Time: r.Time, Logger: slog.New(slog.DiscardHandler), Begin: identity.BeginIncarnation{Incarnation: newIncarnation(), Why: identity.Recovered},
	}.Recover()
	if err != nil {
		return found, err
	}
	former := after.State.Former()
	found = Recovered{Survivor: before, Incarnation: former[len(former)-1].Incarnation, Changed: before.Changed}
	if !accept(found) {
		return found, nil
	}
	return r.replace(found, making, ready, old)
}

// finish puts in place what an earlier run has made ready, which ended between two renames.
func (r *Recovery) finish(ready, to string) (bool, error) {
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if _, err := os.Stat(ready); err != nil {
		return false, fmt.Errorf("%s holds no writer's log: %w", r.Data, log.ErrEmpty)
	}
	return true, place(r.Data, ready, logDir)
}

// replace puts the new log in the place of the old one: where it ends half-way, finish
// goes on.
func (r *Recovery) replace(found Recovered, making, ready, to string) (Recovered, error) {
	if err := place(r.Data, making, readyDir); err != nil {
		return found, err
	}
	before := beforeName + found.Incarnation
	if err := place(r.Data, to, before); err != nil {
		return found, err
	}
	found.Before = filepath.Join(r.Data, before)
	return found, place(r.Data, ready, logDir)
}

// copyLog copies the directory of a log, durably.
func copyLog(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, within)
		if e.IsDir() {
			return durable.MkdirAll(target, setup.DirMode)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return durable.Replace(target, setup.SecretMode, func(w io.Writer) error {
			_, err := io.Copy(w, f)
			return err
		})
	})
}
