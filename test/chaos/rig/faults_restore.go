package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// restoreFaults bring the cluster back from a backup.
func restoreFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "restored", about: "a backup under load; then every node stopped, the writers' disks wiped, and the backup restored as another incarnation", on: onAll, levels: true, min: s, max: 6 * s, run: restored},
	}
}

// restoredAs is what `writ restore` says.
var restoredAs = regexp.MustCompile(`holds the state of position ([0-9]+), .* as incarnation ([^ ,]+), which begins at position ([0-9]+)`)

// restored makes a backup under load, and some time later goes on from it. The clients are quiet
// from the end of the old incarnation to the beginning of the new one: what they do then is
// judged by what the backup holds.
func restored(ctx context.Context, s *strike) error {
	archive := filepath.Join(s.lab.dir, fmt.Sprintf("backup-%d", s.id))
	if err := s.tries(ctx, s.verbs("backup", archive, "--unencrypted")); err != nil {
		return err
	}
	s.hold(ctx) // what is acknowledged now will be lost
	s.quiet()
	formerToken, formerSession := s.work.former()
	first, err := s.wipeAll(ctx)
	if err != nil {
		return err
	}
	out, err := s.lab.verb(ctx, "restore", archive, "--authority", filepath.Join(s.lab.layout, "ca.crt"),
		"--cluster", filepath.Join(s.lab.layout, "cluster.yaml"), "--name", first.name, "--data", first.dir)
	if err != nil {
		return err
	}
	to, incarnation, err := parseRestored(out)
	if err != nil {
		return err
	}
	s.judge.rebase(to, incarnation)
	s.work.rebase(to)
	if err := s.startRestored(ctx, first); err != nil {
		return err
	}
	s.work.refusedOfBefore(ctx, formerToken, formerSession)
	s.resume()
	s.ended("over it")
	return os.Remove(archive)
}

// parseRestored reads the position of the state, and the incarnation.
func parseRestored(out string) (event.Position, string, error) {
	m := restoredAs.FindStringSubmatch(out)
	if m == nil {
		return 0, "", fmt.Errorf("writ restore says %q", out)
	}
	to, err := strconv.ParseUint(m[1], 10, 64)
	return event.Position(to), m[2], err
}

// wipeAll ends every node and removes what the writers have, and some of the replicas: others
// keep what they have, and have to find by themselves that it counts no more.
func (s *strike) wipeAll(ctx context.Context) (first *member, err error) {
	for _, m := range s.lab.members {
		err = errors.Join(err, s.endOf(ctx, m))
	}
	pause(context.WithoutCancel(ctx), 2*pollLimit) // polls that were under way are over
	for _, m := range s.lab.members {
		s.lab.forget(m)
		if m.writer || s.rng.IntN(2) == 0 {
			err = errors.Join(err, clearDir(m.dir))
		}
	}
	return s.lab.some(true)[s.rng.IntN(writers)], err
}

// startRestored starts the writer that was restored, and when it leads all others.
func (s *strike) startRestored(ctx context.Context, first *member) error {
	if err := first.start(); err != nil {
		return err
	}
	s.insists(ctx, func(ctx context.Context) error {
		if leader, _ := s.lab.leader(); leader != first {
			return errors.New(first.name + " does not lead")
		}
		return nil
	})
	if err := startAll(s.lab.members); err != nil {
		return err
	}
	s.insists(ctx, func(ctx context.Context) error { return s.lab.whole(ctx) })
	for _, m := range s.lab.members {
		s.insists(ctx, func(ctx context.Context) error {
			if text, ok := m.readyz(ctx); !ok {
				return fmt.Errorf("%s: %s", m.name, failing(text))
			}
			return nil
		})
	}
	return nil
}

// rebase has the judge go by another incarnation, which begins behind a position: what was said of
// later ones, in the one before, counts no more.
func (j *judge) rebase(to event.Position, incarnation string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.former == nil {
		j.former = map[string]bool{}
	}
	j.former[j.incarnation] = true
	j.incarnation = incarnation
	for p := range j.claims {
		if p > to {
			delete(j.claims, p)
		}
	}
	j.acked, j.everywhere = j.acked.until(to), j.everywhere.until(to)
	kept := j.samples[:0]
	for _, s := range j.samples {
		if s.position <= to {
			kept = append(kept, s)
		}
	}
	j.samples = kept
	j.elections += len(j.terms)
	j.terms, j.stretches = map[uint64]string{}, nil
}

// until drops what is above a position.
func (r rising) until(p event.Position) rising {
	for len(r) > 0 && r[len(r)-1].position > p {
		r = r[:len(r)-1]
	}
	return r
}

// former are what a client keeps of the incarnation that ends: the token of its latest write, and
// a session.
func (w *workload) former() (token, session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tokens) == 0 {
		return token{}, w.latest
	}
	return w.tokens[(w.turn+maxTokens-1)%len(w.tokens)], w.latest
}

// rebase has the clients begin anew with what there was at a position. No client runs.
func (w *workload) rebase(to event.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.incarnations++
	for i := range w.writes {
		if w.writes[i].outcome == outcomeDone && w.writes[i].position > to {
			w.writes[i].outcome = outcomeLost
		}
	}
	for id, at := range w.ended {
		w.ended[id] = min(at, to) // and with the incarnation, at the latest
	}
	w.tokens, w.turn, w.shownEnd = nil, 0, token{}
	for {
		select {
		case <-w.waits:
		default:
			return
		}
	}
}

// refusedOfBefore tries a token and a session of before at every node.
func (w *workload) refusedOfBefore(ctx context.Context, t token, s session) {
	for _, m := range w.lab.members {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
		if t.text != "" {
			a, err := w.lab.caller().do(limit, http.MethodGet, m.url+"/v1/propagation/"+url.PathEscape(t.text), nil, nil)
			switch {
			case err == nil && a.status == http.StatusConflict && a.problem().Code == "WrongToken":
				w.judge.moment("a token of before a restore that was refused")
			case err == nil && a.status < 500:
				w.judge.violate("I17 a token of another incarnation", "%s answers %d to the token of position %d, of before the restore: %.300s", m.name, a.status, t.position, a.body)
			}
		}
		if s.id != "" {
			a, err := s.caller("iam").do(limit, http.MethodPost, m.url+"/", []byte("Action=ListUsers&Version=2010-05-08&MaxItems=1"), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
			switch {
			case err == nil && a.status == http.StatusForbidden && strings.Contains(string(a.body), "InvalidClientTokenId"):
				w.judge.moment("a session of before a restore that was refused")
			case err == nil && a.status < 500:
				w.judge.violate("I19 a session of another incarnation", "%s answers %d to %s, of before the restore: %.300s", m.name, a.status, s.id, a.body)
			}
		}
		cancel()
	}
}

// again brings what the clients rely on into a known state, after a restore has brought back one
// that no client knows.
func (w *workload) again(ctx context.Context) {
	for w.switchOn(ctx).outcome != outcomeDone {
		if !pause(ctx, switchRest) {
			return
		}
	}
	for i := range enders {
		_ = w.makeRole(ctx, roleOf(i)) // it may be there, without its permission
		_ = w.permitRole(ctx, roleOf(i))
	}
}
