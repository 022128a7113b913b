package lease

import (
	"testing"

	"github.com/writ-iam/writ/replication/propagation"
)

func TestReplicaBelow(t *testing.T) {
	said := func(name string, level uint32) propagation.ReplicaStatus {
		return propagation.ReplicaStatus{Registration: propagation.Registration{Name: name}, Level: level}
	}
	for want, all := range map[string][]propagation.ReplicaStatus{
		"":   {said("r1", 2), said("r2", 3)},
		"r2": {said("r1", 2), said("r2", 1), said("r3", 2)},
		"r3": {said("r1", 2), said("r3", 2), said("r3", 1)}, // one process of two is older
		"r4": {said("r4", 0)},                               // silent in this term
	} {
		if got := replicaBelow(all, 2); got != want {
			t.Errorf("%q is below, not %q", got, want)
		}
	}
}
