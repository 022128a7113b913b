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
	"broker-wiped", "hand-over", "new-certificate", "cut-replica-leader", "loss", "restart-replica", "replica-wiped", "stolen-certificate",
	"namesake-of-cut-off",
}

// TestRig runs the process rig for a short while; `make chaos` runs it for long, with
// every fault.
func TestRig(t *testing.T) {
	play(t, rig.Config{For: 40 * time.Second, Seed: 1, Faults: quick})
}

// TestRigOutsideNATS has the cluster use a NATS server on which anybody may do
// anything, and somebody does.
func TestRigOutsideNATS(t *testing.T) {
	play(t, rig.Config{For: 20 * time.Second, Seed: 1, Faults: []string{"forged-batches", "stream-deleted"}, OutsideNATS: true})
}

func play(t *testing.T, cfg rig.Config) {
	dir := t.TempDir()
	binary, err := cluster.Build(t.Context(), "../..", dir)
	if err != nil {
		t.Fatal(err)
	}
	var story strings.Builder
	cfg.Root, cfg.Dir, cfg.Binary, cfg.Isolate, cfg.Out = "../..", filepath.Join(dir, "rig"), binary, true, &story
	report, err := rig.Run(t.Context(), cfg)
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
	if struck < len(cfg.Faults)/2 || report.Waits == 0 || report.Answers["leased"] == 0 || report.Answers["strict"] == 0 || report.Writes["done"] == 0 || report.Moments["a write by a session"] == 0 {
		t.Errorf("too little happened: %+v", report)
	}
	for _, name := range report.Skipped {
		t.Run(name, func(t *testing.T) { t.Skip("needs root, network namespaces and iptables") })
	}
}
