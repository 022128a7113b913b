package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/client"
)

// The table of `writ status` tells which replicas are parts of somebody's process.
func TestStatusTellsOfEmbeddedReplicas(t *testing.T) {
	s := &client.Cluster{Members: []client.Member{
		{Name: "replica-1", Role: "replica", State: "leased"}, {Name: "orders-1", Role: "replica", State: "leased", Embedded: true},
	}}
	var out bytes.Buffer
	if err := printStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"replica-1 replica leased", "orders-1 replica (embedded) leased"} {
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, line) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
	if s.Members[1].Role != "replica" {
		t.Errorf("the role became %q", s.Members[1].Role)
	}
}
