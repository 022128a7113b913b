package measure

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// arrives is a term in which a position is visible and everywhere after some time; 0: never.
type arrives struct {
	began               time.Time
	visible, everywhere time.Duration
	replicas            int
	ended               bool
}

func (a *arrives) Spread(event.Position) (s propagation.Spread, changed <-chan struct{}, ok bool) {
	passed := time.Since(a.began)
	return propagation.Spread{
		Replicas: a.replicas, Visible: a.visible > 0 && passed >= a.visible, Everywhere: a.everywhere > 0 && passed >= a.everywhere,
	}, nil, !a.ended
}

// A position is followed until it has arrived, or is given up, and counted once.
func TestSpread(t *testing.T) {
	for name, x := range map[string]struct {
		term  arrives
		goes  bool          // the term goes on
		took  time.Duration // at least; a poll more at most
		seen  int           // observations of visible
		all   int           // of everywhere
		never string        // what was given up
	}{
		"it arrives":               {arrives{visible: 200 * time.Millisecond, everywhere: 300 * time.Millisecond, replicas: 2}, true, 300 * time.Millisecond, 1, 1, ""},
		"one is down":              {arrives{everywhere: 10 * time.Second, replicas: 2}, true, visibleWithin, 0, 1, visible},
		"one answers and lags":     {arrives{replicas: 2}, true, giveUp, 0, 0, visible + everywhere},
		"visible, and not settled": {arrives{visible: time.Second, replicas: 1}, true, giveUp, 1, 0, everywhere},
		"no replicas":              {arrives{}, true, 0, 0, 0, ""},
		"the term ends":            {arrives{replicas: 1, ended: true}, false, 0, 0, 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := prometheus.NewRegistry()
			s := NewSpread(r)
			began := time.Now()
			x.term.began = began
			goes := s.follow(t.Context(), &x.term, 7)
			if took := time.Since(began); goes != x.goes || took < x.took || took > x.took+pollEvery {
				t.Errorf("%s: went on %v after %v", name, goes, took)
			}
			for reach, want := range map[string]int{visible: x.seen, everywhere: x.all} {
				never := 0
				if strings.Contains(x.never, reach) {
					never = 1
				}
				for _, line := range []string{
					fmt.Sprintf("writ_propagation_duration_seconds_count{reach=%q} %d\n", reach, want), fmt.Sprintf("writ_propagation_unreached_total{reach=%q} %d\n", reach, never),
				} {
					if shown := page(r, "writ_propagation"); !strings.Contains(shown, line) {
						t.Errorf("%s: no line %s in\n%s", name, line, shown)
					}
				}
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // and it ends with its term
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if NewSpread(prometheus.NewRegistry()).follow(ctx, &arrives{began: time.Now(), replicas: 1}, 7) {
			t.Error("it goes on after its term")
		}
	})
}

// page is what a registry shows of metrics whose names begin so.
func page(r *prometheus.Registry, names string) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var b strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, names) {
			b.WriteString(line)
		}
	}
	return b.String()
}

type leads []propagation.ReplicaStatus

func (l leads) Replicas() []propagation.ReplicaStatus { return l }

// Embedded tells of one that it is.
func (l leads) Embedded(m *propagation.ReplicaStatus) bool { return m.Name == "b" }

// Each name is told of once, by the process that is worst off of those that serve; a writer that
// does not lead tells of nobody.
func TestReplicas(t *testing.T) {
	named := func(name string, s propagation.ReplicaStatus) propagation.ReplicaStatus {
		s.Name = name
		return s
	}
	all := leads{
		named("a", propagation.ReplicaStatus{Life: "1", Acked: 3}), // gone
		named("a", propagation.ReplicaStatus{Life: "2", Acked: 9, Connected: true, MayHold: 8 * time.Second}),
		named("b", propagation.ReplicaStatus{Life: "1", Acked: 9, Connected: true, MayHold: 8 * time.Second}),
		named("b", propagation.ReplicaStatus{Life: "2", Acked: 5, Fault: propagation.KindFork}),
		named("c", propagation.ReplicaStatus{Heard: 30 * time.Second}),
	}
	r := prometheus.NewRegistry()
	Replicas(r, all, projection.New())
	want := `writ_replica_state{replica="a",state="leased"} 1
writ_replica_state{replica="b",state="quarantined"} 1
writ_replica_state{replica="c",state="silent"} 1
`
	if got := page(r, "writ_replica_state"); got != want {
		t.Errorf("the leader shows\n%s", got)
	}
	want = `writ_replicas{state="draining"} 0
writ_replicas{state="fenced"} 0
writ_replicas{state="leased"} 1
writ_replicas{state="quarantined"} 1
writ_replicas{state="removed"} 0
writ_replicas{state="silent"} 1
`
	if got := page(r, "writ_replicas"); got != want {
		t.Errorf("the leader counts\n%s", got)
	}
	want = `writ_replica_embedded{replica="a"} 0
writ_replica_embedded{replica="b"} 1
writ_replica_embedded{replica="c"} 0
`
	if got := page(r, "writ_replica_embedded"); got != want {
		t.Errorf("the leader tells of embedded replicas\n%s", got)
	}
	none := prometheus.NewRegistry()
	Replicas(none, leads(nil), projection.New())
	if found, err := none.Gather(); err != nil || len(found) > 0 {
		t.Errorf("a writer that does not lead shows %v, %v", found, err)
	}
}
