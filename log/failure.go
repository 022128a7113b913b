package log

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/writ-iam/writ/log/durable"
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

// latching wraps Raft's entries and votes on disk: the first error, or a byte that
// changed there, is the log's failure, and nothing is written or read after it.
// Raft itself would step down and be elected again for ever.
type latching struct {
	disk  *raftboltdb.BoltStore
	fail  *failure
	meter Meter
	// running is Raft from when its goroutines have started until Close, else nil.
	running *atomic.Pointer[raft.Raft]
}

// do runs one operation. That bbolt panics over a damaged file is an error too.
func (l *latching) do(what string, f func() error) error {
	if err := l.fail.latched(); err != nil {
		return err
	}
	err := durable.Guard(wire.ErrCorrupt, f)
	if err != nil && !absent(err) {
		err = fmt.Errorf("raft log: %s: %w", what, err)
		l.fail.latch(err)
	}
	return err
}

// orEnd ends the calling goroutine of Raft where Raft answers an error with a
// panic, so that the process ends with the error's message and not with a trace.
// Raft's deferred calls clean up after it.
func (l *latching) orEnd(err error) error {
	if err != nil && l.running.Load() != nil {
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
	err := l.do("read", func() error {
		err := l.disk.GetLog(index, entry)
		switch {
		case err != nil:
			err = l.notFound(index, err)
		case entry.Index != index:
			err = fmt.Errorf("%w: it says it is entry %d", wire.ErrCorrupt, entry.Index)
		case entry.Type == raft.LogCommand:
			err = wire.CheckEntry(entry.Data)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		return nil
	})
	if absent(err) {
		return raft.ErrLogNotFound // Raft compares it
	}
	return l.orEnd(err)
}

// absent says that there is nothing, and nothing wrong.
func absent(err error) bool {
	return errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, raftboltdb.ErrKeyNotFound)
}

// notFound tells an entry that a snapshot stands for, which may be missing behind
// older ones too, from one that Raft has not applied yet: that is damage.
func (l *latching) notFound(index uint64, err error) error {
	r := l.running.Load()
	if !errors.Is(err, raft.ErrLogNotFound) || r == nil || index <= r.AppliedIndex() {
		return err
	}
	switch last, lastErr := l.disk.LastIndex(); {
	case lastErr != nil:
		return lastErr
	case index <= last:
		return fmt.Errorf("%w: it is missing, and the last is %d", wire.ErrCorrupt, last)
	}
	return err
}

func (l *latching) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *latching) StoreLogs(entries []*raft.Log) error {
	began := time.Now()
	err := l.do("write", func() error { return l.disk.StoreLogs(entries) })
	l.meter.Stored(time.Since(began))
	return err
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
