package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/node/setup"
)

// processFaults kill, stop, starve and restart processes.
func processFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "kill-leader", about: "kill -9 of the leader, started again", on: onLeader, min: s / 10, max: 6 * s, run: killed},
		{name: "kill-follower", about: "kill -9 of a writer that follows", on: onFollower, min: s / 10, max: 6 * s, run: killed},
		{name: "kill-replica", about: "kill -9 of a replica", on: onReplica, min: s / 10, max: 15 * s, run: killed},
		{name: "kill-two-writers", about: "kill -9 of two writers: no quorum; then back", on: onQuorum, min: s, max: 16 * s, run: killTwo},
		{name: "kill-all", about: "kill -9 of every node at once", on: onAll, min: s / 10, max: 3 * s, run: killed},
		{name: "stop-leader", about: "SIGSTOP of the leader past an election", on: onLeader, min: 3 * s, max: 14 * s, run: stopped},
		{name: "stop-follower", about: "SIGSTOP of a writer that follows", on: onFollower, min: s, max: 12 * s, run: stopped},
		{name: "stop-replica", about: "SIGSTOP of a replica past its lease", on: onReplica, min: 11 * s, max: 25 * s, run: stopped},
		{name: "stop-all", about: "SIGSTOP of every node at once", on: onAll, min: s, max: 13 * s, run: stopped},
		{name: "stutter-writer", about: "a writer runs a fifth of the time, in bursts", on: onWriter, min: 3 * s, max: 10 * s, run: stuttered},
		{name: "stutter-replica", about: "a replica runs a fifth of the time, in bursts", on: onReplica, min: 3 * s, max: 15 * s, run: stuttered},
		{name: "hand-over", about: "SIGTERM of the leader: leadership is handed over", on: onLeader, min: s / 10, max: 2 * s, run: restarted},
		{name: "restart-replica", about: "SIGTERM of a replica", on: onReplica, min: s / 10, max: 2 * s, run: restarted},
		{name: "rolling-restart", about: "SIGTERM of one node after the other", on: onAll, min: s / 10, max: s, run: rolled},
		{name: "other-boot", about: "kill -9, and a start whose boot and monotonic clocks count from elsewhere", on: onNode, needs: needsIsolation, min: s / 10, max: 2 * s, run: otherBoot},
		{name: "few-files", about: "no file descriptors to be had", on: onNode, needs: needsIsolation, min: 3 * s, max: 10 * s, run: fewFiles},
		{name: "new-certificate", about: "a new certificate, read on SIGHUP", on: onNode, min: s / 10, max: s, run: newCertificate},
	}
}

// killed kills the victims and starts them again.
func killed(ctx context.Context, s *strike) error {
	var err error
	for _, m := range s.victims {
		err = errors.Join(err, m.kill())
	}
	s.hold(ctx)
	return errors.Join(err, startAll(s.victims))
}

func startAll(list []*member) (err error) {
	for _, m := range list {
		err = errors.Join(err, m.start())
	}
	return err
}

// killTwo kills two of the writers.
func killTwo(ctx context.Context, s *strike) error {
	spared := s.rng.IntN(len(s.victims))
	var two []*member
	for i, m := range s.victims {
		if i != spared {
			two = append(two, m)
		}
	}
	all := s.victims
	s.victims = two
	err := killed(ctx, s)
	s.victims = all
	return err
}

// stopped stops the victims and lets them go on.
func stopped(ctx context.Context, s *strike) error {
	var err error
	for _, m := range s.victims {
		err = errors.Join(err, m.signal(syscall.SIGSTOP))
	}
	s.hold(ctx)
	for _, m := range s.victims {
		err = errors.Join(err, m.signal(syscall.SIGCONT))
	}
	return err
}

// stuttered stops and continues the victim all the time.
func stuttered(ctx context.Context, s *strike) error {
	limit, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	for {
		err := s.victim().signal(syscall.SIGSTOP)
		pause(limit, time.Duration(20+s.rng.IntN(180))*time.Millisecond)
		err = errors.Join(err, s.victim().signal(syscall.SIGCONT))
		if err != nil || !pause(limit, time.Duration(5+s.rng.IntN(40))*time.Millisecond) {
			return err
		}
	}
}

// restarted ends the victims as an operator does.
func restarted(ctx context.Context, s *strike) error {
	var err error
	for _, m := range s.victims {
		err = errors.Join(err, m.stop(ctx))
	}
	s.hold(ctx)
	return errors.Join(err, startAll(s.victims))
}

// rolled restarts one node after the other, each when the one before is ready.
func rolled(ctx context.Context, s *strike) error {
	for _, m := range s.victims {
		if ctx.Err() != nil {
			return nil
		}
		if err := m.stop(ctx); err != nil {
			return errors.Join(err, m.start())
		}
		s.hold(ctx)
		if err := m.start(); err != nil {
			return err
		}
		limit, cancel := context.WithTimeout(ctx, recovery)
		for !m.ready(limit) && pause(limit, pollEvery) {
		}
		cancel()
	}
	return nil
}

// otherBoot starts the victim in a time namespace.
func otherBoot(ctx context.Context, s *strike) error {
	m := s.victim()
	err := m.kill()
	s.hold(ctx)
	boot, monotonic := 1000+s.rng.IntN(1_000_000), 1000+s.rng.IntN(1_000_000)
	m.mu.Lock()
	m.prepend = []string{"unshare", "-T", "--boottime", strconv.Itoa(boot), "--monotonic", strconv.Itoa(monotonic)}
	m.mu.Unlock()
	return errors.Join(err, m.start())
}

// fewFiles leaves the victim a handful of file descriptors.
func fewFiles(ctx context.Context, s *strike) error {
	m := s.victim()
	p := m.running()
	if p == nil {
		return errSkipped
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		return fmt.Errorf("%w: %w", errSkipped, err)
	}
	m.excuse("it has no file descriptors")
	var before unix.Rlimit
	few := unix.Rlimit{Cur: uint64(len(open) + s.rng.IntN(4))}
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return fmt.Errorf("read the limits of %s: %w", m.name, err)
	}
	few.Max = before.Max
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		return fmt.Errorf("limit the files of %s: %w", m.name, err)
	}
	s.hold(ctx)
	if p.over() {
		s.ended("gave up: %s", kind(refusal(lastWord(m.logFile))))
	} else if err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, &before, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("lift the limit of %s: %w", m.name, err)
	}
	m.excuse("")
	return m.start()
}

// certificates guards the layout's directory: two nodes' certificates are not made
// at once.
var certificates sync.Mutex

// newCertificate replaces the victim's certificate and key and has them read.
func newCertificate(ctx context.Context, s *strike) error {
	m := s.victim()
	certificates.Lock()
	defer certificates.Unlock()
	files := setup.DefaultFiles(s.lab.layout, m.name)
	for _, f := range []string{files.Cert, files.Key} {
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("remove %s: %w", filepath.Base(f), err)
		}
	}
	if _, _, err := setup.Init(s.lab.layout, s.lab.cluster, s.lab.root, time.Now()); err != nil {
		return err
	}
	if err := m.signal(syscall.SIGHUP); err != nil {
		return err
	}
	s.hold(ctx)
	return nil
}

// short cuts a message for the table.
func short(text string) string {
	const most = 160
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
