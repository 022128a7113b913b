package embed

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// shown is what is registered, and where; nothing until it is.
type shown struct {
	to  prometheus.Registerer
	own []prometheus.Collector
}

// forget takes it away.
func (s *shown) forget() {
	for _, c := range s.own {
		s.to.Unregister(c)
	}
}

// observe shows the replica's metrics until it ends.
func (r *Replica) observe() error {
	for _, c := range []prometheus.Collector{
		r.node.Metrics(),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "writ_embedded", Help: "1 for a replica that is a part of the process that shows this."}, func() float64 { return 1 }),
		&decisions{r, prometheus.NewDesc("writ_embedded_decisions_total",
			"Decisions that the process of an embedded replica made by it, by decision and freshness.", []string{"decision", "freshness"}, nil)},
	} {
		if err := r.shown.to.Register(c); err != nil {
			return fmt.Errorf("register the metrics of an embedded replica: %w", err)
		}
		r.shown.own = append(r.shown.own, c)
	}
	return nil
}

// decisions shows how many decisions were made.
type decisions struct {
	of   *Replica
	desc *prometheus.Desc
}

// Describe names what is shown.
func (d *decisions) Describe(to chan<- *prometheus.Desc) { to <- d.desc }

// Collect shows it, of what has happened.
func (d *decisions) Collect(to chan<- prometheus.Metric) {
	for o := range outcomes {
		for i, level := range levels {
			sum := uint64(0)
			for s := range d.of.shards {
				sum += d.of.shards[s].n[o][i].Load()
			}
			if sum > 0 {
				to <- prometheus.MustNewConstMetric(d.desc, prometheus.CounterValue, float64(sum), o.String(), string(level))
			}
		}
	}
}
