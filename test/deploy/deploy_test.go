package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Files that are tested.
const (
	rules     = "../../docs/deploy/prometheus/alerts.yaml"
	ruleTests = "../../docs/deploy/prometheus/alerts_test.yaml"
	dashboard = "../../docs/deploy/grafana/writ.json"
	metrics   = "../../docs/metrics.md" // a test of package node holds that it has what nodes show
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unknown are the metrics that an expression names and docs/metrics.md has not.
func unknown(t *testing.T, expression string) (names []string) {
	t.Helper()
	docs := read(t, metrics)
	for _, name := range regexp.MustCompile(`\bwrit_\w+`).FindAllString(expression, -1) {
		row := func(kind, name string) bool { return strings.Contains(docs, "| `"+name+"` | "+kind) }
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !row("gauge", name) && !row("counter", name) && (base == name || !row("histogram", base)) {
			names = append(names, name)
		}
	}
	return names
}

func TestUnknown(t *testing.T) {
	got := unknown(t, `rate(writ_faults_total[5m]) + writ_no_such - writ_raft_sync_duration_seconds_bucket + writ_raft_sync_duration_seconds + writ_position_count`)
	if want := []string{"writ_no_such", "writ_raft_sync_duration_seconds", "writ_position_count"}; !slices.Equal(got, want) {
		t.Errorf("unknown are %q, want %q", got, want)
	}
}

// Every alert goes by metrics that there are, says how bad it is, what it is and which command
// to run, and has a test of its own.
func TestAlerts(t *testing.T) {
	tests := read(t, ruleTests)
	all := strings.Split(read(t, rules), "      - alert: ")[1:]
	if len(all) < 15 {
		t.Errorf("there are %d alerts", len(all))
	}
	line := regexp.MustCompile(`(?m)^ +(severity|summary|runbook|expr): (.*)$`)
	for _, text := range all {
		name, _, _ := strings.Cut(text, "\n")
		says := make(map[string]string)
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			says[m[1]] = m[2]
		}
		if names := unknown(t, says["expr"]); says["expr"] == "" || names != nil {
			t.Errorf("%s goes by metrics that no node shows: %q", name, names)
		}
		if !slices.Contains([]string{"info", "warning", "critical"}, says["severity"]) || says["summary"] == "" {
			t.Errorf("%s has the severity %q and the summary %s", name, says["severity"], says["summary"])
		}
		if !strings.Contains(says["runbook"], "`writ ") {
			t.Errorf("%s names no command to run: %s", name, says["runbook"])
		}
		if !strings.Contains(tests, "alertname: "+name+"\n") {
			t.Errorf("%s has no test in %s", name, ruleTests)
		}
	}
}

// expressions are those of the dashboard's panels.
func expressions(t *testing.T) (list []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			list = append(list, target.Expr)
		}
	}
	return list
}

func TestDashboard(t *testing.T) {
	list := expressions(t)
	if len(list) < 20 {
		t.Errorf("there are %d expressions", len(list))
	}
	for _, e := range list {
		if names := unknown(t, e); names != nil || !strings.Contains(e, "writ_") {
			t.Errorf("%s goes by metrics that no node shows: %q", e, names)
		}
	}
}

// promtool is Prometheus's own tool: installed, or where .ci/run puts it.
func promtool(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("promtool"); err == nil {
		return path
	}
	path, err := filepath.Abs("../../.cache/promtool")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skip("promtool is not installed: it comes with Debian's package prometheus")
	}
	return path
}

// Prometheus takes the rules and the dashboard's expressions, and the rules fire as their tests
// say.
func TestPromtool(t *testing.T) {
	tool := promtool(t)
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, e := range expressions(t) {
		fmt.Fprintf(&b, "      - record: panel_%d\n        expr: %q\n", i, e)
	}
	panels := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(panels, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", rules, panels}, {"test", "rules", ruleTests}} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}
