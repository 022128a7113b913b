// Package layout lays clusters out on loopback, for tests.
package layout

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/setup"
)

// Cluster has writers and replicas on free ports; it is not laid out yet.
func Cluster(t testing.TB, writers, replicas int) (c setup.Cluster) {
	t.Helper()
	c.Account = setup.DefaultAccount
	addrs, err := setup.FreeAddrs(3 * writers)
	if err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		c.Writers = append(c.Writers, setup.Writer{Name: fmt.Sprintf("writer-%d", i+1), Peer: addrs[3*i], Broker: addrs[3*i+1], Routes: addrs[3*i+2]})
	}
	for i := range replicas {
		c.Replicas = append(c.Replicas, setup.Replica{Name: fmt.Sprintf("replica-%d", i+1), Region: "eu", Class: "tight"})
	}
	return c
}

// Init lays c out in a directory of the test's own. It returns the directory, c as
// written and the root's access key.
func Init(t testing.TB, c setup.Cluster) (dir string, written setup.Cluster, root setup.RootKey) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "cluster")
	written, root, err := setup.Init(dir, c, setup.RootKey{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return dir, written, root
}
