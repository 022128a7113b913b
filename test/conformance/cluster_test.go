package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/writ-iam/writ/test/cluster"
)

// startTimeout bounds the start of the cluster, building included.
const startTimeout = 5 * time.Minute

// shared is the cluster that all tests use, each with names of its own.
var shared *cluster.Cluster

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
	binary, err := cluster.Build(ctx, "../..", dir)
	if err == nil {
		shared, err = cluster.Start(ctx, binary, filepath.Join(dir, "cluster"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start a cluster:", err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, shared.Logs())
	}
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the cluster:", err)
		return max(code, 1)
	}
	return code
}

// getenv is a variable of env.sh.
func getenv(t *testing.T, name string) string {
	t.Helper()
	value, ok := shared.Env[name]
	if !ok {
		t.Fatalf("env.sh does not set %s", name)
	}
	return value
}

// client prepares a program that talks to the cluster.
func client(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	return shared.Command(t.Context(), dir, program, args...)
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
