package log

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// roomInterval is how long an answer of the filesystem is good for.
const roomInterval = 1 * time.Second

// room watches how much of the disk is free. Running full would make Raft step
// down and be elected again for ever; refusing writes before that keeps reads.
type room struct {
	dir  string
	need uint64 // bytes

	mu   sync.Mutex // guards the fields below
	at   time.Time  // of the last look
	last error      // what it showed
}

// check gives ErrDiskFull when less than need is free.
func (r *room) check(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.at) < roomInterval {
		return r.last
	}
	r.at = now
	r.last = nil
	var fs syscall.Statfs_t
	if err := syscall.Statfs(r.dir, &fs); err != nil {
		r.last = fmt.Errorf("look for room in %s: %w", r.dir, err)
	} else if free := fs.Bavail * uint64(fs.Bsize); free < r.need {
		r.last = fmt.Errorf("%w: %d MiB free in %s, writes need %d", ErrDiskFull, free>>20, r.dir, r.need>>20)
	}
	return r.last
}
