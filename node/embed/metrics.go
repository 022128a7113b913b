package embed

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// observe shows the replica's metrics in a registry until it ends.
func (r *Replica) observe(to prometheus.Registerer) error {
	own := []prometheus.Collector{r.node.Metrics(), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "writ_embedded", Help: "1 for a replica that is a part of the process that shows this.",
	}, func() float64 { return 1 }), &decisions{r, prometheus.NewDesc("writ_embedded_decisions_total",
		"Decisions that the process of an embedded replica made by it, by decision and freshness.", []string{"decision", "freshness"}, nil)}}
	r.forget = func() {
		for _, c := range own {
			to.Unregister(c)
		}
	}
	for i, c := range own {
		if err := to.Register(c); err != nil {
			own = own[:i] // what is another's stays
			return fmt.Errorf("register the metrics of an embedded replica: %w", err)
		}
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
