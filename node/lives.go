package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
)

// lifeFile, in a replica's directory, holds the nonce of the latest life that ran there.
const lifeFile = "life.json"

// bootIDFile tells one run of the machine's kernel from the next.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// stopTimeout bounds how long a replica that stops tries to tell the leader. If it
// fails, the leader waits until the lease would have run out.
const stopTimeout = time.Second

// lifePlace is where a life ran: the file that its process held locked, on a machine
// since it was booted. A copy of a directory is another place, and so is a directory
// whose lock was removed and made again.
type lifePlace struct {
	Boot   string `json:"boot"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// recordedLife is what lifeFile holds.
type recordedLife struct {
	Nonce string `json:"nonce"`
	lifePlace
}

// lifeRecord keeps the nonce of the life that runs in a directory, for the process
// after it. Of what it finds it may say that it is over only because it holds the
// lock that the process before held: a directory that was copied while its process
// ran, or is shared with another machine, holds the nonce of a life that may go on.
type lifeRecord struct {
	path  string
	place lifePlace
	last  string // recorded by this process; of one goroutine at a time
}

// newLifeRecord returns the record in dir, whose lock this process holds.
func newLifeRecord(dir string, lock *os.File) *lifeRecord {
	r := &lifeRecord{path: filepath.Join(dir, lifeFile)}
	var s unix.Stat_t
	boot, err := os.ReadFile(bootIDFile)
	if err == nil && unix.Fstat(int(lock.Fd()), &s) == nil {
		r.place = lifePlace{Boot: strings.TrimSpace(string(boot)), Device: uint64(s.Dev), Inode: s.Ino} //nolint:unconvert // Dev is narrower elsewhere
	}
	return r
}

// over returns the nonce of the life before, if it is certain that nobody answers
// under it any more.
func (r *lifeRecord) over() ([]string, error) {
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the nonce of the process before: %w", err)
	}
	var found recordedLife
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, fmt.Errorf("read the nonce of the process before: %s: %w", r.path, err)
	}
	if r.place.Boot == "" || found.lifePlace != r.place || found.Nonce == "" || len(found.Nonce) > propagation.MaxNonce {
		return nil, nil
	}
	return []string{found.Nonce}, nil
}

// begin records a life, before its first request leaves.
func (r *lifeRecord) begin(nonce string) error {
	if r == nil || r.last == nonce {
		return nil
	}
	r.last = nonce // tried; a nonce that is not recorded is waited for, that is all
	text, err := json.Marshal(recordedLife{nonce, r.place})
	if err == nil {
		err = durable.Write(r.path, setup.SecretMode, text)
	}
	if err != nil {
		return fmt.Errorf("record the nonce of this process: %w", err)
	}
	return nil
}

// stop drops the lease for good, and tells the leader, who then need not wait for it
// to run out. Nobody asks this reader any more.
func (r *renewing) stop() {
	r.mu.Lock()
	r.stopped = true
	last, ok := r.lease.Stop()
	r.snapshot.Store(r.lease.Snapshot())
	r.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var a propagation.Answer
	err := r.finder.Post(ctx, leasePath, renewal{Renewal: last}, &a)
	if err == nil && a.Kind != propagation.KindEnded {
		err = fmt.Errorf("the leader answers %s", a.Kind)
	}
	if err != nil {
		r.logger.Info("the leader was not told that this replica stops; it waits until the lease would have run out", slog.Any("error", err))
	}
}
