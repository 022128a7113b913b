package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/log/event"
)

// Files of a writer and of a replica that faults damage, as patterns in its directory.
const (
	filesRaft       = "log/raft.db"
	filesEvents     = "log/events.db"
	filesSnapshot   = "log/snapshots/*/*"
	filesID         = "log/id"
	filesCheckpoint = "checkpoints/checkpoint-*"
	// allFiles is every one of them.
	allFiles = filesRaft + " " + filesEvents + " " + filesSnapshot + " " + filesID
)

// diskFaults wipe, roll back, fill and damage what nodes keep. A damaged or wiped
// writer's disk is lost for good, so each of them first waits until the two others
// hold everything that the victim does, and no other writer is struck meanwhile.
func diskFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "broker-wiped", about: "the brokers' directories removed under their feet", on: onFabric, nats: embeddedNATS, min: s, max: 4 * s, run: wipeBrokers},
		{name: "replica-wiped", about: "a replica loses its disk", on: onReplica, min: s / 10, max: 3 * s, run: wipe},
		{name: "replica-rolled-back", about: "a replica's disk from earlier is put back", on: onReplica, min: 4 * s, max: 15 * s, run: rollBack},
		{name: "writer-wiped", about: "a writer loses its disk and comes back under a new id", on: onWriter, min: s / 10, max: 3 * s, run: wipe},
		{name: "writer-rolled-back", about: "a writer's disk from earlier is put back", on: onWriter, min: 4 * s, max: 20 * s, run: rollBack},
		{name: "leader-disk-full", about: "no room on the leader's disk", on: onLeader, needs: needsIsolation, min: 3 * s, max: 10 * s, run: fillDisk},
		{name: "follower-disk-full", about: "no room on a follower's disk", on: onFollower, needs: needsIsolation, min: 3 * s, max: 10 * s, run: fillDisk},
		{name: "replica-disk-full", about: "no room on a replica's disk, through a restart", on: onReplica, needs: needsIsolation, min: 3 * s, max: 10 * s, run: fillDisk},
		{name: "bit-flip-raft-log", about: "bits of raft's entries and votes flip", on: onWriter, min: 3 * s, max: 10 * s, run: damage(filesRaft, flipBits)},
		{name: "bit-flip-event-store", about: "bits of the event store flip", on: onWriter, min: 3 * s, max: 10 * s, run: damage(filesEvents, flipBits)},
		{name: "bit-flip-raft-snapshot", about: "bits of raft's snapshots flip", on: onWriter, min: 3 * s, max: 10 * s, run: damage(filesSnapshot, flipBits)},
		{name: "bit-flip-node-id", about: "a bit of the server's id flips", on: onWriter, min: 3 * s, max: 10 * s, run: damage(filesID, flipBits)},
		{name: "bit-flip-checkpoint", about: "bits of a replica's checkpoints flip", on: onReplica, min: 3 * s, max: 10 * s, run: damage(filesCheckpoint, flipBits)},
		{name: "bit-flip-under-running", about: "bits of a writer's files flip while it runs", on: onWriter, min: 5 * s, max: 15 * s, run: damageRunning},
		{name: "truncated-writer-file", about: "the end of one of a writer's files is cut off", on: onWriter, min: 3 * s, max: 10 * s, run: damage(allFiles, truncate)},
		{name: "truncated-checkpoint", about: "the end of a replica's checkpoints is cut off", on: onReplica, min: 3 * s, max: 10 * s, run: damage(filesCheckpoint, truncate)},
	}
}

// wipeBrokers removes every broker's directory.
func wipeBrokers(ctx context.Context, s *strike) error {
	var err error
	for _, m := range s.lab.some(true) {
		err = errors.Join(err, os.RemoveAll(filepath.Join(m.dir, "broker")))
	}
	s.hold(ctx)
	return err
}

// end stops the victim, by kill -9 or as an operator does.
func (s *strike) end(ctx context.Context) error { return s.endOf(ctx, s.victim()) }

func (s *strike) endOf(ctx context.Context, m *member) error {
	if s.rng.IntN(2) == 0 {
		return m.kill()
	}
	return m.stop(ctx)
}

// othersHold waits until the writers that are left have committed by themselves
// everything that the victim, which has ended, helped to commit: then its disk may
// be lost without harm to anything acknowledged.
func (s *strike) othersHold(ctx context.Context, head event.Position) error {
	if !s.victim().writer {
		return nil
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), wholeLimit)
	defer cancel()
	for {
		held := 0
		for _, m := range s.lab.some(true) {
			if m == s.victim() {
				continue
			}
			if own, err := s.lab.local(limit, m); err == nil && own.Position > head {
				held++
			}
		}
		if held == writers-1 {
			return nil
		}
		if !pause(limit, pollEvery) {
			return fmt.Errorf("%w: the other writers were not at position %d in time", errSkipped, head)
		}
	}
}

// endSafely stops a victim whose disk is to be lost. An error means that it runs on.
func (s *strike) endSafely(ctx context.Context) error {
	if !s.victim().writer {
		return s.end(ctx)
	}
	if err := s.needWhole(ctx); err != nil {
		return err
	}
	if err := s.end(ctx); err != nil {
		return errors.Join(err, s.victim().start())
	}
	// Nothing above this position was committed with the victim's help.
	head := s.judge.ackedBefore(s.judge.now())
	if err := s.othersHold(ctx, head); err != nil {
		return errors.Join(err, s.victim().start())
	}
	return nil
}

// wipe removes the victim's disk's content.
func wipe(ctx context.Context, s *strike) error {
	if err := s.endSafely(ctx); err != nil {
		return err
	}
	s.hold(ctx)
	return errors.Join(clearDir(s.victim().dir), s.victim().start())
}

// rollBack copies the victim's disk while it is stopped, lets it go on for a while,
// and puts the copy back.
//
// Such a writer has forgotten entries and votes, against which Raft has no remedy:
// it may help to elect a leader without what it had acknowledged. So the copy is put
// back only when both others hold everything, and while they have a leader in whose
// term nobody else stands.
func rollBack(ctx context.Context, s *strike) error {
	m := s.victim()
	backup := filepath.Join(s.lab.dir, "copies", fmt.Sprintf("%s-%d", m.name, s.id))
	defer func() { _ = os.RemoveAll(backup) }() // it goes with the rig's directory anyway
	if err := os.MkdirAll(filepath.Dir(backup), 0o700); err != nil {
		return fmt.Errorf("make a place for copies: %w", err)
	}
	if err := m.stop(ctx); err != nil {
		return errors.Join(err, m.start())
	}
	err := commands(ctx, "cp -a "+m.dir+" "+backup)
	if err = errors.Join(err, m.start()); err != nil {
		return err
	}
	s.hold(ctx)
	if err := s.endSafely(ctx); err != nil {
		return err
	}
	if err := errors.Join(clearDir(m.dir), commands(ctx, "cp -a "+backup+"/. "+m.dir)); err != nil {
		return err
	}
	return m.start()
}

// fillDisk leaves no room on the victim's disk, and frees it again.
func fillDisk(ctx context.Context, s *strike) error {
	m := s.victim()
	ballast := filepath.Join(m.dir, "ballast")
	m.excuse("its disk is full")
	if err := fill(ballast, uint64(s.rng.IntN(3))*uint64(s.rng.IntN(1<<20))); err != nil {
		return errors.Join(err, os.Remove(ballast))
	}
	if !m.writer && s.rng.IntN(2) == 0 {
		if err := m.stop(ctx); err != nil { // it cannot write its checkpoint
			return errors.Join(err, os.Remove(ballast))
		}
		if err := m.start(); err != nil {
			return errors.Join(err, os.Remove(ballast))
		}
	}
	s.hold(ctx)
	s.ended("went on")
	if m.running() == nil {
		s.ended("exited: %s", kind(refusal(lastWord(m.logFile))))
	}
	err := os.Remove(ballast)
	m.excuse("")
	return errors.Join(err, m.start())
}

// fill makes a file that leaves so many bytes of its filesystem free.
func fill(path string, leave uint64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make a ballast: %w", err)
	}
	defer f.Close()
	var at int64
	for size := uint64(1 << 30); size >= 4096; {
		var room unix.Statfs_t
		if err := unix.Statfs(filepath.Dir(path), &room); err != nil {
			return fmt.Errorf("look for room: %w", err)
		}
		free := room.Bavail * uint64(room.Bsize)
		if free <= leave {
			return nil
		}
		size = min(size, (free-leave)/4096*4096)
		if size == 0 {
			return nil
		}
		switch err := unix.Fallocate(int(f.Fd()), 0, at, int64(size)); {
		case err == nil:
			at += int64(size)
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		default:
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// spoil changes a file for the worse and says how.
type spoil func(rng *rand.Rand, path string) (string, error)

// tries is how often a place is drawn for a bit that flips, until there is one that
// holds something: most of a young database is empty pages.
const tries = 200

// flipBits flips up to three bits.
func flipBits(rng *rand.Rand, path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("damage a file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return "", errors.Join(errSkipped, err)
	}
	var told []string
	for range 1 + rng.IntN(3) {
		var at int64
		var b [1]byte
		for try := 0; try < tries && b[0] == 0; try++ {
			at = rng.Int64N(info.Size())
			if _, err := f.ReadAt(b[:], at); err != nil {
				return "", fmt.Errorf("damage a file: %w", err)
			}
		}
		b[0] ^= 1 << rng.IntN(8)
		if _, err := f.WriteAt(b[:], at); err != nil {
			return "", fmt.Errorf("damage a file: %w", err)
		}
		told = append(told, fmt.Sprintf("bit at %d of %d", at, info.Size()))
	}
	return strings.Join(told, ", "), nil
}

// truncate cuts off some of the end of a file.
func truncate(rng *rand.Rand, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return "", errors.Join(errSkipped, err)
	}
	keep := rng.Int64N(info.Size())
	if err := os.Truncate(path, keep); err != nil {
		return "", fmt.Errorf("truncate a file: %w", err)
	}
	return fmt.Sprintf("cut from %d to %d", info.Size(), keep), nil
}

// choose finds a file by patterns.
func chooseFile(rng *rand.Rand, dir, patterns string) (string, error) {
	var found []string
	for _, p := range strings.Fields(patterns) {
		list, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil { // the patterns are constants
			panic(err)
		}
		for _, path := range list {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				found = append(found, path)
			}
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: no file %s: %w", errSkipped, patterns, fs.ErrNotExist)
	}
	return found[rng.IntN(len(found))], nil
}

// damage stops the victim, changes one of its files and starts it: it must refuse it
// with a word, or do well without it. An operator then replaces the disk.
func damage(patterns string, how spoil) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		m := s.victim()
		if _, err := chooseFile(s.rng, m.dir, patterns); err != nil && m.writer {
			return err
		}
		if err := s.endForDamage(ctx, patterns); err != nil {
			return err
		}
		path, err := chooseFile(s.rng, m.dir, patterns)
		if err != nil {
			return errors.Join(err, m.start())
		}
		told, err := how(s.rng, path)
		if err != nil {
			return errors.Join(err, m.start())
		}
		s.out("          %-28s %s: %s", s.fault.name, strings.TrimPrefix(path, s.lab.dir+"/"), told)
		m.excuse("one of its files is damaged")
		err = m.start()
		s.hold(ctx)
		s.verdict(filepath.Base(path))
		return errors.Join(err, s.replaceDisk())
	}
}

// endForDamage stops the victim; a replica writes its checkpoint as it stops.
func (s *strike) endForDamage(ctx context.Context, patterns string) error {
	if patterns == filesCheckpoint {
		return s.victim().stop(ctx)
	}
	return s.endSafely(ctx)
}

// verdict tells what a node made of a damaged file.
func (s *strike) verdict(file string) {
	m := s.victim()
	file = kind(file)
	s.ended("%s: went on", file)
	if m.running() == nil {
		s.ended("%s: refused: %s", file, kind(refusal(lastWord(m.logFile))))
		if refusal(lastWord(m.logFile)) == "" {
			s.judge.violate("I22 an end without a word", "%s ended with a damaged %s and did not say why", m.name, file)
		}
	} else if text, ok := m.readyz(context.Background()); !ok {
		s.ended("%s: not ready: %s", file, kind(failing(text)))
	}
}

// replaceDisk does what an operator does with a node whose disk is damaged.
func (s *strike) replaceDisk() error {
	m := s.victim()
	err := m.kill()
	if m.writer {
		err = errors.Join(err, clearDir(m.dir))
	}
	m.excuse("")
	return errors.Join(err, m.start())
}

// damageRunning flips bits of a file under a running writer.
func damageRunning(ctx context.Context, s *strike) error {
	m := s.victim()
	if err := s.needWhole(ctx); err != nil {
		return err
	}
	path, err := chooseFile(s.rng, m.dir, filesRaft+" "+filesEvents+" "+filesSnapshot)
	if err != nil {
		return err
	}
	m.excuse("one of its files is damaged")
	told, err := flipBits(s.rng, path)
	s.out("          %-28s %s: %s", s.fault.name, strings.TrimPrefix(path, s.lab.dir+"/"), told)
	s.hold(ctx)
	s.verdict(filepath.Base(path))
	if e := m.kill(); e != nil {
		return errors.Join(err, e)
	}
	head := s.judge.ackedBefore(s.judge.now())
	for try := 0; s.othersHold(ctx, head) != nil && !broken(s.judge); try++ {
		if try == 3 {
			s.judge.violate("a quorum that does not write", "the two others did not reach position %d while %s was down", head, m.name)
		}
	}
	return errors.Join(err, s.replaceDisk())
}

// kind is a message without what differs each time: numbers and paths.
func kind(text string) string {
	var b strings.Builder
	digits := false
	for _, r := range text {
		isDigit := r >= '0' && r <= '9'
		if isDigit && digits {
			continue
		}
		digits = isDigit
		if isDigit {
			r = '#'
		}
		b.WriteRune(r)
	}
	return short(b.String())
}
