package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// Limits of what an operator does.
const (
	verbLimit = 60 * time.Second
	// operatorPatience bounds a verb with all tries, while other faults keep nodes away.
	operatorPatience = 2 * time.Minute
	// tellAfter is how long an operator waits without a word.
	tellAfter = 10 * time.Second
)

// verb runs a verb of the binary as an operator does, who has the root's key and knows where
// the writers are. It returns what the verb printed.
func (l *lab) verb(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verbLimit)
	defer cancel()
	var endpoints []string
	for _, m := range l.places() {
		if m.writer {
			endpoints = append(endpoints, m.url)
		}
	}
	cmd := exec.CommandContext(ctx, l.binary, args...)
	cmd.Env = []string{"HOME=" + l.dir, "PATH=" + os.Getenv("PATH"), "WRIT_ENDPOINT=" + strings.Join(endpoints, ","),
		"AWS_ACCESS_KEY_ID=" + l.root.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + l.root.SecretAccessKey}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("writ %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// ask is verb with --output json, decoded.
func (l *lab) ask(ctx context.Context, into any, args ...string) error {
	out, err := l.verb(ctx, append(args, "--output", "json")...)
	if out == "" {
		return err
	}
	if bad := json.Unmarshal([]byte(out), into); bad != nil {
		return errors.Join(err, fmt.Errorf("decode what writ %s printed: %w", strings.Join(args, " "), bad))
	}
	return nil // status exits 5 for what is no business of who asks
}

// tries does something again until it is done. When that takes too long the fault does not
// apply now.
func (s *strike) tries(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operatorPatience)
	defer cancel()
	tell := s.judge.now() + tellAfter
	for {
		err := do(ctx)
		if err == nil || broken(s.judge) {
			return nil
		}
		if now := s.judge.now(); now > tell {
			s.out("%8.1fs  %-28s waits: %s", now.Seconds(), s.fault.name, short(err.Error()))
			tell = now + tellAfter
		}
		if !pause(ctx, pollEvery) {
			return fmt.Errorf("%w: %w", errSkipped, err)
		}
	}
}

// insists is tries for what has to be undone, however long that takes.
func (s *strike) insists(ctx context.Context, do func(context.Context) error) {
	for errors.Is(s.tries(ctx, do), errSkipped) {
		s.judge.moment("an operator who had to insist")
	}
}

// verbs is a verb to be tried.
func (s *strike) verbs(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.lab.verb(ctx, args...)
		return err
	}
}

// hup has every node that answers read its files again. A process that is starting reads them by
// itself, and may not know the signal yet.
func (l *lab) hup(ctx context.Context) {
	for _, m := range l.places() {
		p := m.running()
		if p == nil {
			continue
		}
		if _, err := l.local(ctx, m); err == nil {
			_ = syscall.Kill(p.pid, syscall.SIGHUP) // it may have ended
		}
	}
}

// quorum is what `writ status` says of who votes.
func (l *lab) quorum(ctx context.Context) (q client.Quorum, err error) {
	var s client.Cluster
	if err := l.ask(ctx, &s, "status"); err != nil {
		return q, err
	}
	if s.Quorum == nil {
		return q, errors.New("no leader is known")
	}
	return *s.Quorum, nil
}

// claims waits until status says that so many voters survive so many failures, and all are at the
// head. That it takes too long is a broken promise: the faults beside it strike no writer.
func (s *strike) claims(ctx context.Context, voters, failures int) error {
	var last error
	err := s.tries(ctx, func(ctx context.Context) error {
		q, err := s.lab.quorum(ctx)
		if want := (client.Quorum{Voters: voters, Survives: failures, Planned: (voters - 1) / 2}); err == nil && q != want {
			err = fmt.Errorf("status says %+v", q)
		}
		last = errors.Join(err, s.lab.whole(ctx))
		return last
	})
	if err != nil {
		s.judge.violate("members: a change that does not end", "%s: %d voters that survive %d failures are awaited: %v", s.fault.name, voters, failures, last)
	}
	return nil
}

// edited does something to cluster.yaml, and puts back what there was.
func (l *lab) edited(do func() error) error {
	file := filepath.Join(l.layout, "cluster.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read cluster.yaml: %w", err)
	}
	err = errors.Join(do(), os.WriteFile(file+".new", text, 0o600))
	return errors.Join(err, os.Rename(file+".new", file)) // who starts now reads one or the other
}
