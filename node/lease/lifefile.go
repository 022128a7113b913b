package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/replication/propagation"
)

// lifeFileName, in a replica's directory, holds the nonce of the latest life that ran there.
const lifeFileName = "life.json"

const lifeFileMode = 0o600 // of the life file

// bootIDFile tells one run of the machine's kernel from the next.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// place is where a life ran: the file that its process held locked, on a machine
// since it was booted. A copy of a directory is another place, and so is a directory
// whose lock was removed and made again.
type place struct {
	Boot   string `json:"boot"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// recorded is what lifeFileName holds.
type recorded struct {
	Nonce string `json:"nonce"`
	place
}

// LifeFile keeps the nonce of the life that runs in a directory, for the process
// after it. Of what it finds it may say that it is over only because it holds the
// lock that the process before held: a directory that was copied while its process
// ran, or is shared with another machine, holds the nonce of a life that may go on.
type LifeFile struct {
	path  string
	place place
	last  string // recorded by this process; of one goroutine at a time
}

// NewLifeFile returns the life file of dir, whose lock this process holds.
func NewLifeFile(dir string, lock *os.File) *LifeFile {
	r := &LifeFile{path: filepath.Join(dir, lifeFileName)}
	var s unix.Stat_t
	boot, err := os.ReadFile(bootIDFile)
	if err == nil && unix.Fstat(int(lock.Fd()), &s) == nil {
		r.place = place{Boot: strings.TrimSpace(string(boot)), Device: uint64(s.Dev), Inode: s.Ino} //nolint:unconvert // Dev is narrower elsewhere
	}
	return r
}

// over returns the nonce of the life before, if it is certain that nobody answers
// under it any more.
func (r *LifeFile) over() ([]string, error) {
	if r == nil {
		return nil, nil
	}
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the nonce of the process before: %w", err)
	}
	var found recorded
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, fmt.Errorf("read the nonce of the process before: %s: %w", r.path, err)
	}
	if r.place.Boot == "" || found.place != r.place || found.Nonce == "" || len(found.Nonce) > propagation.MaxNonce {
		return nil, nil
	}
	return []string{found.Nonce}, nil
}

// begin records a life, before its first request leaves.
func (r *LifeFile) begin(nonce string) error {
	if r == nil || r.last == nonce {
		return nil
	}
	r.last = nonce // tried; a nonce that is not recorded is waited for, that is all
	text, err := json.Marshal(recorded{nonce, r.place})
	if err == nil {
		err = durable.Write(r.path, lifeFileMode, text)
	}
	if err != nil {
		return fmt.Errorf("record the nonce of this process: %w", err)
	}
	return nil
}
