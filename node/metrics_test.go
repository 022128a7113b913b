package node

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// documented are the metrics of docs/metrics.md, with their types and labels.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(writ_\\w+)` \\| (\\w+) \\| ([^|]*) \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(string(text), -1) {
		if rows[m[1]] != "" {
			t.Errorf("%s is there twice", m[1])
		}
		rows[m[1]] = m[2] + " " + strings.Join(regexp.MustCompile("`(\\w+)`").FindAllString(m[3], -1), " ")
	}
	return rows
}

// described are the metrics that a node's registry has, with their labels: those of no value
// yet, too.
func described(n *Node, into map[string][]string) {
	to := make(chan *prometheus.Desc)
	go func() {
		defer close(to)
		n.registry.Describe(to)
	}()
	form := regexp.MustCompile(`fqName: "(writ_\w+)".*constLabels: \{(.*)\}, variableLabels: \{([^}]*)\}`)
	for d := range to {
		m := form.FindStringSubmatch(d.String())
		if m == nil {
			continue // of Go, or the process
		}
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		labels = append(labels, strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' })...)
		into[m[1]] = labels
	}
}

// awaited are documented metrics of parts that this cluster does not have: it makes no backups, and none
// of its replicas is embedded.
var awaited = []string{"writ_backup_last_success_timestamp_seconds", "writ_embedded", "writ_embedded_decisions_total"}

// metricsOf is what a node shows: the type of each metric, and the value of each series; of
// histograms the count.
func metricsOf(t *testing.T, ctx context.Context, url string) (types map[string]string, values map[string]float64) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	types, values = make(map[string]string), make(map[string]float64)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case words[0] == "#" && words[1] == "TYPE":
			types[words[2]] = words[3]
		case words[0] != "#":
			value, err := strconv.ParseFloat(words[len(words)-1], 64)
			if err != nil {
				t.Fatal(err)
			}
			values[words[0]] = value
		}
	}
	return types, values
}

// Every metric of a writer and of a replica is in docs/metrics.md with its type and labels, and
// the other way round. The leader shows its replica and how long a position took to it.
func TestMetrics(t *testing.T) {
	rows := documented(t)
	m := newTeam(t, 1, 1)
	m.startAll()
	if status, _, body := m.iam(m.cluster.Writers[0].Name, "CreateUser", "UserName", "alice"); status != 200 {
		t.Fatal(body)
	}
	of := `replica="` + m.cluster.Replicas[0].Name + `"`
	m.until("the leader tells of the replica", func(ctx context.Context) error {
		_, values := metricsOf(t, ctx, m.url(m.cluster.Writers[0].Name))
		head := values["writ_position"]
		for key, want := range map[string]float64{
			"writ_raft_leader": 1, "writ_raft_leader_known": 1, "writ_log_failed": 0, "writ_digest_alarm": 0, "writ_nats_connected": 1,
			`writ_replicas{state="leased"}`: 1, `writ_replica_state{` + of + `,state="leased"}`: 1, "writ_replica_position{" + of + "}": head, "writ_replica_lag_positions{" + of + "}": 0,
		} {
			if got, ok := values[key]; !ok || got != want {
				return fmt.Errorf("%s is %v, want %v", key, got, want)
			}
		}
		for _, key := range []string{
			`writ_propagation_duration_seconds_count{reach="visible"}`, `writ_propagation_duration_seconds_count{reach="everywhere"}`,
			"writ_raft_commit_duration_seconds_count", "writ_raft_apply_duration_seconds_count", "writ_raft_sync_duration_seconds_count",
			"writ_log_entries_bytes", "writ_log_events_bytes", "writ_replica_lease_seconds{" + of + "}", "writ_disk_free_bytes", "writ_disk_reserved_bytes",
		} {
			if values[key] <= 0 {
				return fmt.Errorf("%s is %v", key, values[key])
			}
		}
		return nil
	})
	has := make(map[string][]string)
	for _, node := range []string{m.cluster.Writers[0].Name, m.cluster.Replicas[0].Name} {
		described(m.node(node), has)
		types, _ := metricsOf(t, t.Context(), m.url(node))
		for name, kind := range types {
			if row := rows[name]; row != "" && strings.Fields(row)[0] != kind {
				t.Errorf("docs/metrics.md: %s is a %s", name, kind)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		row := rows[name]
		if row == "" {
			t.Errorf("docs/metrics.md has no row `| `%s` | type | labels | meaning | who shows it |`", name)
			continue
		}
		labels := strings.Fields(strings.ReplaceAll(row, "`", ""))[1:]
		slices.Sort(labels)
		slices.Sort(has[name])
		if !slices.Equal(labels, has[name]) {
			t.Errorf("docs/metrics.md: %s has the labels %q", name, has[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if _, ok := has[name]; !ok && !slices.Contains(awaited, name) {
			t.Errorf("docs/metrics.md has %s, which no node shows", name)
		}
	}
}
