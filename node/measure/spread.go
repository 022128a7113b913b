package measure

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of following a position.
const (
	// pollEvery is how often one looks beside the ends of ticks: leases run out without one.
	pollEvery = 100 * time.Millisecond
	// visibleWithin is how long one waits for a position to be visible that is everywhere:
	// a replica that is down shows it when somebody starts it.
	visibleWithin = 15 * time.Second
	// giveUp is how long one position is followed at most.
	giveUp = 60 * time.Second
)

// What a position reaches, as a label.
const (
	visible    = "visible"
	everywhere = "everywhere"
)

// Spread measures how long positions take to all replicas. It follows one at a time: the
// newest, when the one before has arrived.
type Spread struct {
	took  *prometheus.HistogramVec
	never *prometheus.CounterVec
}

// Followed is one term of leadership.
type Followed interface {
	// Spread looks how far a position has come. changed is closed when that may be another;
	// false: the term has ended.
	Spread(at event.Position) (s propagation.Spread, changed <-chan struct{}, ok bool)
}

// NewSpread returns what measures the spread of positions, and shows it.
func NewSpread(r *prometheus.Registry) *Spread {
	s := &Spread{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "propagation_duration_seconds", Help: "Time from the commit of a position until all replicas showed it, or none answered as fresh from before it; of positions that the leader followed, one at a time.",
			Buckets: []float64{.005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10, 12.5, 15, 30, 60},
		}, []string{"reach"}),
		never: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "propagation_unreached_total", Help: "Positions that the leader followed and gave up: not visible 15 s after the commit, or not everywhere after 60 s.",
		}, []string{"reach"}),
	}
	for _, reach := range []string{visible, everywhere} {
		s.took.WithLabelValues(reach)
		s.never.WithLabelValues(reach)
	}
	r.MustRegister(s.took, s.never)
	return s
}

// Run follows positions until ctx, which is that of the term, ends.
func (s *Spread) Run(ctx context.Context, l *log.Log, t Followed) {
	last := l.Applied().Head.Position
	for {
		changed := l.Changed()
		if at := l.Applied().Head.Position; at > last {
			last = at
			if !s.follow(ctx, t, at) {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// follow measures one position. False: the term has ended.
func (s *Spread) follow(ctx context.Context, t Followed, at event.Position) bool {
	began := time.Now()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var seen, all bool
	for {
		now, changed, ok := t.Spread(at)
		switch {
		case !ok:
			return false
		case now.Replicas == 0:
			return true
		}
		took := time.Since(began)
		if now.Visible && !seen {
			seen = true
			s.took.WithLabelValues(visible).Observe(took.Seconds())
		}
		if now.Everywhere && !all {
			all = true
			s.took.WithLabelValues(everywhere).Observe(took.Seconds())
		}
		if seen && all || s.over(seen, all, took) {
			return true
		}
		select {
		case <-changed:
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
}

// over tells whether a position that has not arrived is given up, and counts it.
func (s *Spread) over(seen, all bool, took time.Duration) bool {
	if took < giveUp && (!all || took < visibleWithin) {
		return false
	}
	if !seen {
		s.never.WithLabelValues(visible).Inc()
	}
	if !all {
		s.never.WithLabelValues(everywhere).Inc()
	}
	return true
}
