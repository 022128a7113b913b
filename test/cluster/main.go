package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// startTimeout bounds the start of a shared cluster, building included.
const startTimeout = 5 * time.Minute

// Main runs a package's tests against one cluster that lives as long as they do, and
// returns the code to exit with. It builds the module in root, with the program in a
// directory of its own, starts `writ dev` with args, and hands both to use before
// the tests. When they fail it prints what the nodes logged.
func Main(m *testing.M, root string, use func(c *Cluster, program string), args ...string) int {
	dir, err := os.MkdirTemp("", "writ-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := testIn(m, dir, root, use, args)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

func testIn(m *testing.M, dir, root string, use func(*Cluster, string), args []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var program string
	var shared *Cluster
	err := os.Mkdir(filepath.Join(dir, "bin"), 0o700)
	if err == nil {
		program, err = Build(ctx, root, filepath.Join(dir, "bin"))
	}
	if err == nil {
		shared, err = Start(ctx, program, filepath.Join(dir, "cluster"), args...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start a cluster:", err)
		return 1
	}
	use(shared, program)
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
