package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/setup"
)

// TestOutgrown holds that a replica whose build is too old for its cluster says so in its log, once.
func TestOutgrown(t *testing.T) {
	s := identity.NewState()
	identity.Evolve(s, 1, identity.Meta{}, []identity.Event{&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: identity.FeatureLevel}, &identity.AccountCreated{ID: setup.DefaultAccount}})
	for supported, want := range map[uint32]int{identity.FeatureLevel: 0, identity.FeatureLevel - 1: 1} {
		var said bytes.Buffer
		n := &Node{cfg: Config{Cluster: setup.Cluster{Account: setup.DefaultAccount}}, build: shape.Build{Level: supported}, logger: slog.New(slog.NewTextHandler(&said, nil)), failed: make(chan error, 1)}
		for range 3 {
			if err := n.admits(s); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(said.String(), "too old for its cluster"); got != want {
			t.Errorf("a build of level %d says %d times that it is too old: %s", supported, got, said.String())
		}
	}
}
