package log

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/writ-iam/writ/log/wire"
)

// failure keeps the first error after which the log cannot go on.
type failure struct {
	once sync.Once
	err  error         // set before latched is closed
	done chan struct{} // closed by the first latch
}

func newFailure() *failure { return &failure{done: make(chan struct{})} }

func (f *failure) latch(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
	})
}

// latched returns the error, nil while there is none.
func (f *failure) latched() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// disk is where Raft keeps entries and votes.
type disk interface {
	raft.LogStore
	raft.StableStore
}

// latching wraps the disk: its first error, or a byte that changed on it, is the
// log's failure, and nothing is written or read after it. Raft itself would step
// down and be elected again for ever.
type latching struct {
	disk disk
	fail *failure
	// running is set when Raft's goroutines have started, and cleared for Close.
	running *atomic.Bool
}

// do runs one operation. That bbolt panics over a damaged file is an error too.
func (l *latching) do(what string, f func() error) error {
	if err := l.fail.latched(); err != nil {
		return err
	}
	err := contain(f)
	if err != nil && !absent(err) {
		err = fmt.Errorf("raft log: %s: %w", what, err)
		l.fail.latch(err)
	}
	return err
}

// contain runs f and turns a panic, or touching memory that a file does not have,
// into an error.
func contain(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", wire.ErrCorrupt, r)
		}
	}()
	return f()
}

// orEnd ends the calling goroutine of Raft where Raft answers an error with a
// panic, so that the process ends with the error's message and not with a trace.
// Raft's deferred calls clean up after it.
func (l *latching) orEnd(err error) error {
	if err != nil && l.running.Load() {
		runtime.Goexit()
	}
	return err
}

func (l *latching) FirstIndex() (index uint64, err error) {
	err = l.do("first index", func() error { index, err = l.disk.FirstIndex(); return err })
	return index, err
}

func (l *latching) LastIndex() (index uint64, err error) {
	err = l.do("last index", func() error { index, err = l.disk.LastIndex(); return err })
	return index, err
}

func (l *latching) GetLog(index uint64, entry *raft.Log) error {
	err := l.do(fmt.Sprintf("entry %d", index), func() error {
		if err := l.disk.GetLog(index, entry); err != nil {
			return l.notFound(index, err)
		}
		if entry.Index != index {
			return fmt.Errorf("%w: it says it is entry %d", wire.ErrCorrupt, entry.Index)
		}
		if entry.Type == raft.LogCommand {
			return wire.CheckEntry(entry.Data)
		}
		return nil
	})
	if absent(err) {
		return err
	}
	return l.orEnd(err)
}

// absent says that there is nothing, and nothing wrong.
func absent(err error) bool {
	return errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, raftboltdb.ErrKeyNotFound)
}

// notFound tells an entry that was compacted away, which is no error of the disk,
// from a hole.
func (l *latching) notFound(index uint64, err error) error {
	if !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	first, firstErr := l.disk.FirstIndex()
	last, lastErr := l.disk.LastIndex()
	if other := errors.Join(firstErr, lastErr); other != nil {
		return other
	}
	if first <= index && index <= last {
		return fmt.Errorf("%w: it is missing between %d and %d", wire.ErrCorrupt, first, last)
	}
	return err
}

func (l *latching) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *latching) StoreLogs(entries []*raft.Log) error {
	return l.do("write", func() error { return l.disk.StoreLogs(entries) })
}

func (l *latching) DeleteRange(from, to uint64) error {
	return l.do("delete", func() error { return l.disk.DeleteRange(from, to) })
}

func (l *latching) Set(key, value []byte) error {
	return l.orEnd(l.do("write", func() error { return l.disk.Set(key, value) }))
}

func (l *latching) SetUint64(key []byte, value uint64) error {
	return l.orEnd(l.do("write", func() error { return l.disk.SetUint64(key, value) }))
}

func (l *latching) Get(key []byte) (value []byte, err error) {
	err = l.do("read", func() error { value, err = l.disk.Get(key); return err })
	return value, err
}

func (l *latching) GetUint64(key []byte) (value uint64, err error) {
	err = l.do("read", func() error { value, err = l.disk.GetUint64(key); return err })
	return value, err
}
