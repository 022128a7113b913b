package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Limits of the cluster under test.
const (
	startTimeout = 3 * time.Minute // building included
	stopTimeout  = 30 * time.Second
)

// environment is what env.sh of the cluster sets. All tests share one cluster;
// each uses names of its own.
var environment []string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "writ-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := run(m, dir)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run tests against a cluster that lives as long as the tests do.
func run(m *testing.M, dir string) int {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	stop, err := start(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start a cluster:", err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		tellLogs(filepath.Join(dir, "cluster"))
	}
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the cluster:", err)
		return max(code, 1)
	}
	return code
}

// start builds writ, or takes the binary that WRIT_BINARY names, and runs `writ
// dev` until it says that it is ready. The function that it returns stops the
// cluster and waits for its end.
func start(ctx context.Context, dir string) (stop func() error, err error) {
	writ := os.Getenv("WRIT_BINARY")
	if writ == "" {
		writ = filepath.Join(dir, "writ")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", writ, "../../cmd/writ").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
	}
	data := filepath.Join(dir, "cluster")
	cmd := exec.Command(writ, "dev", "--dir", data, "--api", "127.0.0.1:0")
	var diagnostics bytes.Buffer
	cmd.Stderr = &diagnostics
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "ready" {
				ready <- true
			}
		}
		_, _ = io.Copy(io.Discard, out) // after a line too long to scan
		ended <- cmd.Wait()
	}()
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(stopTimeout):
			_ = cmd.Process.Kill() // what is to be told is that it had to be
			return fmt.Errorf("writ dev did not stop in %v", stopTimeout)
		}
	}
	select {
	case <-ready:
	case err := <-ended:
		return nil, fmt.Errorf("writ dev ended: %w\n%s", err, diagnostics.String())
	case <-ctx.Done():
		_ = cmd.Process.Kill() // the timeout is what is to be told
		return nil, fmt.Errorf("writ dev is not ready: %w\n%s", ctx.Err(), diagnostics.String())
	}
	environment, err = readEnv(filepath.Join(data, "env.sh"))
	if err != nil {
		_ = stop() // the first error is what is to be told
		return nil, err
	}
	return stop, nil
}

// maxLog is how much of a node's log a failed run shows, in bytes.
const maxLog = 4 << 10

// tellLogs shows the end of every node's log.
func tellLogs(data string) {
	files, err := filepath.Glob(filepath.Join(data, "*.log"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", file, err, text[max(0, len(text)-maxLog):])
	}
}

// readEnv asks a shell what env.sh sets.
func readEnv(file string) ([]string, error) {
	out, err := exec.Command("sh", "-c", `. "$1" && env`, "sh", file).Output()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", file, err)
	}
	var env []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "AWS_") || strings.HasPrefix(line, "WRIT_") {
			env = append(env, line)
		}
	}
	return env, nil
}

// getenv is a variable of env.sh.
func getenv(t *testing.T, name string) string {
	t.Helper()
	for _, v := range environment {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	t.Fatalf("env.sh does not set %s", name)
	return ""
}

// client prepares a program that talks to the cluster: its environment has what
// env.sh sets, a home directory of its own, and nothing else about AWS.
func client(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "TF_") && !strings.HasPrefix(v, "HOME=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+dir, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONWARNINGS=ignore")
	cmd.Env = append(cmd.Env, environment...)
	return cmd
}

// installed skips the test where a program is missing. The path is looked up
// before the client gets a home directory of its own.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}
