package chaos

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/test/chaos/rig"
	"github.com/writ-iam/writ/test/cluster"
)

// quick faults take seconds each.
var quick = []string{
	"kill-leader", "isolate-replica", "stop-follower", "cut-leader-follower", "kill-replica", "resets",
	"broker-wiped", "hand-over", "new-certificate", "cut-replica-leader", "loss", "restart-replica", "replica-wiped",
}

// TestRig runs the process rig for a short while; `make chaos` runs it for long, with
// every fault.
func TestRig(t *testing.T) {
	dir := t.TempDir()
	binary, err := cluster.Build(t.Context(), "../..", dir)
	if err != nil {
		t.Fatal(err)
	}
	var story strings.Builder
	report, err := rig.Run(t.Context(), rig.Config{
		Root: "../..", Dir: filepath.Join(dir, "rig"), Binary: binary, For: 40 * time.Second, Seed: 1, Faults: quick, Isolate: true, Out: &story,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, story.String())
	}
	report.Print(&story)
	t.Log(story.String())
	if len(report.Violations) > 0 {
		t.Errorf("%d promises were broken", len(report.Violations))
	}
	struck := 0
	for _, f := range report.Faults {
		struck += f.Times
	}
	if struck < len(quick)/2 || report.Waits == 0 || report.Answers["leased"] == 0 || report.Answers["strict"] == 0 || report.Writes["done"] == 0 {
		t.Errorf("too little happened: %+v", report)
	}
	for _, name := range report.Skipped {
		t.Run(name, func(t *testing.T) { t.Skip("needs root, network namespaces and iptables") })
	}
}
