package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/freshness"
)

// Limits of the processes.
const (
	// readyTimeout is how long a cluster may take until every node is ready.
	readyTimeout = 60 * time.Second
	readyPause   = 50 * time.Millisecond
	// restartPause is how long a node that died stays down.
	restartPause = time.Second
	// shortLife is too short for a node that was in order when it started.
	shortLife = 5 * time.Second
	// stopTimeout is how long nodes may take to stop before they are killed.
	stopTimeout = 20 * time.Second
)

// process is one process of the cluster.
type process struct {
	name, api, data, log string
	doors                string // empty: none, whatever the environment says
	withoutLease         freshness.WithoutLease
}

func (n *process) url() string { return "http://" + n.api }

// supervise runs the nodes until ctx ends, and stops them all.
func supervise(ctx context.Context, out io.Writer, dir string, nodes []*process, writers int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, len(nodes))
	var outLock sync.Mutex
	say := func(format string, args ...any) {
		outLock.Lock()
		defer outLock.Unlock()
		fmt.Fprintf(out, format, args...)
	}
	for i, n := range nodes {
		role := "replica"
		if i < writers {
			role = "writer"
		}
		started := func(pid int) { say("%-10s %-8s %s  pid %d  log %s\n", n.name, role, n.url(), pid, n.log) }
		wg.Go(func() {
			if err := n.keep(ctx, self, dir, started, say); err != nil {
				failed <- err
			}
		})
	}
	ready := make(chan error, 1)
	wg.Go(func() { ready <- waitReady(ctx, nodes) })
	for {
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
			say("environment: . %s\nready\n", filepath.Join(dir, "env.sh"))
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// keep runs the node's process, again and again, until ctx ends. A node that says
// at once why it cannot run is not started again.
func (n *process) keep(ctx context.Context, self, dir string, started func(pid int), say func(string, ...any)) error {
	for {
		begun := time.Now()
		err := n.once(ctx, self, dir, started)
		if ctx.Err() != nil {
			return nil
		}
		var stopped *exec.ExitError
		if !errors.As(err, &stopped) || stopped.Exited() && stopped.ExitCode() != 0 && time.Since(begun) < shortLife {
			return fmt.Errorf("%s stopped: %w; its last words: %s", n.name, err, lastLine(n.log))
		}
		say("%-10s ended (%v); starting it again\n", n.name, err)
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// once runs the node's process until it ends. When ctx ends the process is told to
// stop, and killed if it does not.
func (n *process) once(ctx context.Context, self, dir string, started func(pid int)) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", n.name, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, self, "serve", "--cluster", filepath.Join(dir, "cluster.yaml"), "--name", n.name, "--data", n.data, "--api", n.api, "--advertise", n.url(),
		"--without-lease", n.withoutLease.String(), "--doors", n.doors)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	started(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return err
	}
	return &exec.ExitError{ProcessState: cmd.ProcessState}
}

// lastLine is the end of a log, for a person to read.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// waitReady returns when every node says that it is ready.
func waitReady(ctx context.Context, nodes []*process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, n := range nodes {
		for !isReady(ctx, n) {
			select {
			case <-time.After(readyPause):
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					return fmt.Errorf("%s is not ready after %v; see %s", n.name, readyTimeout, n.log)
				}
				return nil
			}
		}
	}
	return nil
}

func isReady(ctx context.Context, n *process) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
