package measure

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log"
)

// Log measures how long a writer's log takes. It is a log.Meter.
type Log struct{ commit, apply, store prometheus.Histogram }

var _ log.Meter = (*Log)(nil)

// NewLog returns what measures a log, and shows it.
func NewLog(r *prometheus.Registry) *Log {
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + name, Help: help, Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		})
		r.MustRegister(h)
		return h
	}
	return &Log{
		commit: histogram("raft_commit_duration_seconds", "Time from proposing an entry, fences among them, until the leader had applied it; it rises at the leader alone."),
		apply:  histogram("raft_apply_duration_seconds", "Time in which the state machine applied one piece of entries."),
		store:  histogram("raft_sync_duration_seconds", "Time in which one piece of entries was written to the disk and synced."),
	}
}

// Committed is of one entry.
func (l *Log) Committed(took time.Duration) { l.commit.Observe(took.Seconds()) }

// Applied is of one piece of entries.
func (l *Log) Applied(took time.Duration) { l.apply.Observe(took.Seconds()) }

// Stored is of one piece of entries.
func (l *Log) Stored(took time.Duration) { l.store.Observe(took.Seconds()) }

// Soundness tells what a node found of its memory.
type Soundness interface {
	// Sound is false once a record in memory is not what was put there.
	Sound() bool
}

// Writer shows a writer's part in the log, and what that takes on disk.
func Writer(r *prometheus.Registry, l *log.Log, s Soundness) {
	gauge(r, "raft_leader", "1 at the writer that leads as Raft has it, 0 at others.", func() float64 { return flag(l.IsLeader()) })
	gauge(r, "raft_leader_known", "1 at a writer that knows who leads, 0 where nobody does.", func() float64 {
		_, leader := l.Leader()
		return flag(leader != "")
	})
	gauge(r, "raft_term", "Raft's term at this writer; it rises with every election.", func() float64 { return float64(l.Term()) })
	gauge(r, "raft_last_index", "Index of the last entry on this writer's disk.", func() float64 { return float64(l.LastIndex()) })
	gauge(r, "raft_applied_index", "Index of the last entry that this writer has applied.", func() float64 { return float64(l.Applied().Index) })
	gauge(r, "lease_floor_position", "Position below which no lease is granted, as this writer knows it.", func() float64 { return float64(l.Applied().Floor) })
	gauge(r, "log_failed", "1 at a writer whose log cannot go on, such as after an error of its disk.", func() float64 { return flag(l.Err() != nil) })
	gauge(r, "digest_alarm", "1 at a node whose memory or history is not what the log says.", func() float64 { return flag(!s.Sound()) })
	gauge(r, "log_entries_bytes", "Size of Raft's entries and votes on this writer's disk.", func() float64 { return float64(l.Sizes().Entries) })
	gauge(r, "log_events_bytes", "Size of the event store on this writer's disk.", func() float64 { return float64(l.Sizes().Events) })
	gauge(r, "log_events_used_bytes", "Bytes of this writer's event store that hold something; the rest of it is room for what comes.", func() float64 { return float64(l.Events().Usage().Used) })
	gauge(r, "history_first_position", "Position from which on this writer has the history, without a gap.", func() float64 { return float64(l.Events().First()) })
	gauge(r, "history_oldest_timestamp_seconds", "Time of the change at that position, in seconds since 1970; NaN: there is none.", func() float64 {
		if _, at, ok := l.Events().Oldest(); ok {
			return float64(at.UnixMilli()) / 1e3
		}
		return math.NaN()
	})
	gauge(r, "history_dropped_position", "Position up to which the retention rule has dropped the history, as this writer knows it; 0: nothing. The event store follows within minutes.", func() float64 {
		return float64(l.Applied().State.Retention().Dropped.Through)
	})
	gauge(r, "log_snapshots_bytes", "Size of the snapshots on this writer's disk.", func() float64 { return float64(l.Sizes().Snapshots) })
	gauge(r, "log_last_snapshot_timestamp_seconds", "When this writer made its newest snapshot, in seconds since 1970; NaN: it has none.", func() float64 {
		if at := l.SnapshotAt(); !at.IsZero() {
			return float64(at.UnixMilli()) / 1e3
		}
		return math.NaN()
	})
	gauge(r, "disk_reserved_bytes", "Free bytes of the disk below which this writer takes no writes.", func() float64 { return float64(l.MinFree()) })
}
