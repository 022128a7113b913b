package policy

import (
	"fmt"
	"runtime"
	"testing"
)

func embedIn(tb testing.TB, w *World) *embedded {
	tb.Helper()
	e, err := newEmbedded(w)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// TestEmbeddedAnswers shows that an embedded replica decides as the bare engine does, and so as the
// others.
func TestEmbeddedAnswers(t *testing.T) {
	w := NewWorld(1_000, 3_000)
	own, err := newWrit(w)
	if err != nil {
		t.Fatal(err)
	}
	e := embedIn(t, w)
	for i := range w.Requests {
		if got, want := e.Allowed(i), own.Allowed(i); got != want {
			t.Fatalf("the embedded replica answers %v, the engine %v: %+v", got, want, w.Requests[i])
		}
	}
}

// BenchmarkEmbedded measures one decision of an embedded replica, on one core and on all, and how many
// times as long the others take. It takes turns with them, as BenchmarkDecide does.
func BenchmarkEmbedded(b *testing.B) {
	const requests = 1 << 14
	for _, principals := range sizes {
		w := NewWorld(principals, requests)
		e := embedIn(b, w)
		for i := range requests { // whatever is compiled is
			e.Allowed(i)
		}
		named := func(engine string) string { return fmt.Sprintf("principals=%d/engine=%s", principals, engine) }
		b.Run(named("embedded"), func(b *testing.B) {
			b.ReportAllocs()
			start := processorTime(b)
			for i := 0; b.Loop(); i++ {
				e.Allowed(i % requests)
			}
			b.ReportMetric(float64(b.N)*1e9/float64(processorTime(b)-start), "decisions/s/core")
		})
		b.Run(named("embedded-parallel"), func(b *testing.B) {
			start := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					e.Allowed(i % requests)
				}
			})
			b.ReportMetric(float64(b.N)*1e9/float64(processorTime(b)-start), "decisions/s/core")
		})
		for _, x := range engines[1:] {
			b.Run(named(x.name), func(b *testing.B) {
				peer, err := x.build(w)
				if err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				b.ReportAllocs()
				beside(b, peer, e, requests, "times-embedded")
			})
		}
	}
}
