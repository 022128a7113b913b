package conformance

import (
	"os"
	"os/exec"
	"testing"

	"github.com/writ-iam/writ/test/cluster"
)

// shared is the cluster that all tests use, each with names of its own; program is writ.
var (
	shared  *cluster.Cluster
	program string
)

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, "../..", func(c *cluster.Cluster, binary string) { shared, program = c, binary }))
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
