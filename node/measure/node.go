package measure

import (
	"cmp"
	"math"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/projection"
)

// prefix begins the names of all metrics.
const prefix = "writ_"

// gauge shows a value that is looked up when it is asked for.
func gauge(r *prometheus.Registry, name, help string, value func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, value))
}

// counter is gauge for a value that only rises.
func counter(r *prometheus.Registry, name, help string, value func() float64) {
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: prefix + name, Help: help}, value))
}

// flag is 1 for what is so.
func flag(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// Node shows what nodes of both roles know: the build, the position that they answer from, and
// the disk of their directory.
func Node(r *prometheus.Registry, b *shape.Build, dir string, p *projection.Projection) {
	build(r, b)
	gauge(r, "position", "Position that the node answers from.", func() float64 { return float64(p.Head().Position) })
	gauge(r, "feature_level", "Feature level of the cluster that is in force, as the node knows it.", func() float64 {
		return float64(p.View().Cluster().FeatureLevel)
	})
	gauge(r, "feature_level_supported", "Highest feature level that the node's build supports; a writer may hold the cluster below it.", func() float64 { return float64(b.Level) })
	gauge(r, "disk_free_bytes", "Bytes that the node may still write to the disk of its directory; NaN: it cannot tell.", func() float64 {
		return room(dir, func(fs *syscall.Statfs_t) uint64 { return fs.Bavail })
	})
	gauge(r, "disk_size_bytes", "Size of the disk of the node's directory, in bytes; NaN: it cannot tell.", func() float64 {
		return room(dir, func(fs *syscall.Statfs_t) uint64 { return fs.Blocks })
	})
}

// room asks the filesystem for a number of blocks, in bytes.
func room(dir string, blocks func(*syscall.Statfs_t) uint64) float64 {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return math.NaN()
	}
	return float64(blocks(&fs)) * float64(fs.Bsize)
}

// build shows what was built, of which source, by which Go.
func build(r *prometheus.Registry, b *shape.Build) {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "build_info", Help: "1; the labels say which version runs, of which source, built by which Go."},
		[]string{"version", "revision", "goversion"})
	g.WithLabelValues(b.Version, cmp.Or(b.Revision, "unknown"), b.Go).Set(1)
	r.MustRegister(g)
}
