package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// memberFaults change who the writers are, by the verbs, while clients write.
func memberFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "writers-added", about: "a fourth and a fifth writer; as many killed as status says may fail; back to three", on: onQuorum, levels: true, min: s, max: 8 * s, run: fiveWriters},
		{name: "writer-moved", about: "a writer moved to another address, and back", on: onQuorum, levels: true, min: s, max: 8 * s, run: moved},
	}
}

// survivedWithin is how long writes may wait after failures that are survived: an election, and
// what clients wait before they try again, on a busy machine.
const survivedWithin = 45 * time.Second

// fiveWriters adds two writers to three, sees that the five survive what status says, and removes
// the two.
func fiveWriters(ctx context.Context, s *strike) error {
	if err := s.needWhole(ctx); err != nil {
		return err
	}
	var err error
	for i, m := range s.lab.spares {
		if err = s.join(ctx, m); err != nil {
			break
		}
		if err = s.claims(ctx, writers+i+1, (writers+i)/2); err != nil || broken(s.judge) {
			break
		}
	}
	if err == nil && !broken(s.judge) {
		err = s.surviving(ctx)
	}
	s.hold(ctx)
	for _, m := range s.lab.spares {
		err = errors.Join(err, s.leaves(ctx, m))
	}
	return errors.Join(err, s.claims(ctx, writers, 1))
}

// join adds a writer and starts it.
func (s *strike) join(ctx context.Context, m *member) error {
	certificates.Lock()
	defer certificates.Unlock()
	peer := fmt.Sprintf("%s:%d", m.addr, portPeer)
	if err := clearDir(m.dir); err != nil {
		return err
	}
	if err := s.tries(ctx, s.verbs("writer", "add", m.name, "--peer", peer)); err != nil {
		return err
	}
	return s.lab.edited(func() error {
		if _, err := s.lab.verb(ctx, "node", "add", "writer", m.name, "--peer", peer, "--dir", s.lab.layout); err != nil {
			return err
		}
		// The one that it had may be of an authority that was replaced meanwhile.
		if _, err := s.lab.verb(ctx, "cert", "renew", m.name, "--dir", s.lab.layout); err != nil {
			return err
		}
		if err := m.start(); err != nil {
			return err
		}
		return s.tries(ctx, func(ctx context.Context) error { // it has read the file by then
			_, err := s.lab.local(ctx, m)
			return err
		})
	})
}

// leaves removes a writer, whether it runs or was never added.
func (s *strike) leaves(ctx context.Context, m *member) error {
	m.excuse("it is removed")
	if p := m.running(); p != nil {
		p.asked.Store(true) // by its removal, which it may hear of late: nobody starts it again
	}
	s.insists(ctx, func(ctx context.Context) error {
		listed, err := s.lab.listed(ctx, m)
		if err != nil || !listed {
			return err
		}
		if leader, _ := s.lab.leader(); leader == m {
			_, _ = s.lab.verb(ctx, "writer", "transfer") // else the removal is refused
		}
		if _, err := s.lab.verb(ctx, "writer", "remove", m.name); err != nil {
			return err
		}
		return nil
	})
	err := m.goes(ctx)
	m.excuse("")
	s.lab.forget(m)
	return errors.Join(err, clearDir(m.dir))
}

// listed tells whether a writer belongs to the cluster.
func (l *lab) listed(ctx context.Context, m *member) (bool, error) {
	leader, _ := l.leader()
	if leader == nil {
		return false, errors.New("nobody leads")
	}
	s, err := l.local(ctx, leader)
	if err != nil {
		return false, err
	}
	if s.Quorum == nil {
		return false, fmt.Errorf("%s does not lead", leader.name)
	}
	for _, other := range s.Members {
		if other.Name == m.as {
			return true, nil
		}
	}
	return false, nil
}

// goes waits until the process of a writer that was removed has ended by itself, and ends it
// otherwise, as an operator does.
func (m *member) goes(ctx context.Context) error {
	p := m.running()
	if p == nil {
		return nil
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), wholeLimit)
	defer cancel()
	select {
	case <-p.ended:
		return nil
	case <-limit.Done():
		return m.stop(ctx)
	}
}

// forget drops what a place's last process said of itself.
func (l *lab) forget(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.polls, m.name)
}

// surviving kills as many voters as status says may fail, the leader among them, and sees that
// writes go on.
func (s *strike) surviving(ctx context.Context) error {
	q, err := s.lab.quorum(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errSkipped, err)
	}
	leader, _ := s.lab.leader()
	if leader == nil {
		return fmt.Errorf("%w: nobody leads", errSkipped)
	}
	victims := []*member{leader}
	for _, m := range append(s.lab.some(true), s.lab.spares...) {
		if m != leader && len(victims) < q.Survives {
			victims = append(victims, m)
		}
	}
	for _, m := range victims {
		err = errors.Join(err, m.kill())
	}
	err = errors.Join(err, s.writesGoOn(ctx, fmt.Sprintf("%s were killed, and status had said that %d failures are survived", names(victims), q.Survives)))
	return errors.Join(err, startAll(victims), s.claims(ctx, q.Voters, q.Survives))
}

// writesGoOn wants more writes acknowledged than can have been under way.
func (s *strike) writesGoOn(ctx context.Context, after string) error {
	const underWay = event.Position(64)
	from := s.judge.ackedBefore(s.judge.now())
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), survivedWithin)
	defer cancel()
	for ctx.Err() == nil && !broken(s.judge) {
		if s.judge.ackedBefore(s.judge.now()) > from+underWay {
			s.judge.moment("writes that went on after failures that are survived")
			return nil
		}
		if !pause(limit, pollEvery) && ctx.Err() == nil {
			s.judge.violate("members: failures that were to be survived", "%s; no writes went on within %v", after, survivedWithin)
			return nil
		}
	}
	return nil // the clients have stopped
}

// moved moves a writer to another place, with its directory, and back.
func moved(ctx context.Context, s *strike) error {
	if err := s.needWhole(ctx); err != nil {
		return err
	}
	i := s.rng.IntN(writers)
	m, place := s.lab.some(true)[i], s.lab.elsewhere[i]
	if err := s.move(ctx, m, place); err != nil {
		return err
	}
	err := s.claims(ctx, writers, 1)
	s.hold(ctx)
	err = errors.Join(err, s.writesGoOn(ctx, m.name+" was moved to "+place.addr), s.move(ctx, place, m))
	s.lab.forget(place)
	return errors.Join(err, clearDir(place.dir), s.claims(ctx, writers, 1))
}

// move has a writer go on at another place. It does nothing where the cluster does not take the
// move.
func (s *strike) move(ctx context.Context, from, to *member) error {
	if err := s.tries(ctx, s.verbs("writer", "move", from.as, "--peer", fmt.Sprintf("%s:%d", to.addr, portPeer))); err != nil {
		return err
	}
	if err := from.stop(ctx); err != nil {
		return err
	}
	if to.layout != "" {
		if err := s.lab.copyLayout(to.layout, from.addr, to.addr); err != nil {
			return err
		}
	}
	return errors.Join(clearDir(to.dir), commands(ctx, "cp -a "+from.dir+"/. "+to.dir), to.start())
}

// copyLayout is the layout for a host of its own, whose cluster.yaml has another address.
func (l *lab) copyLayout(dir, from, to string) error {
	certificates.Lock()
	defer certificates.Unlock()
	if err := os.MkdirAll(filepath.Join(dir, "nodes"), 0o700); err != nil {
		return fmt.Errorf("copy the layout: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(l.layout, "nodes", "*"))
	if err != nil { // the pattern has no such error
		panic(err)
	}
	for _, name := range []string{"cluster.yaml", "ca.crt", "seal.key", "root.json"} {
		files = append(files, filepath.Join(l.layout, name))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("copy the layout: %w", err)
		}
		name, err := filepath.Rel(l.layout, file)
		if err != nil {
			return fmt.Errorf("copy the layout: %w", err)
		}
		if name == "cluster.yaml" {
			text = bytes.ReplaceAll(text, []byte(from+":"), []byte(to+":"))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return fmt.Errorf("copy the layout: %w", err)
		}
	}
	return nil
}
