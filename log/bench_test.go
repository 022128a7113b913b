package log

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// loopback is a stream layer over TCP without any proof of who is there.
type loopback struct{ net.Listener }

func (loopback) DialContext(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// Dial makes it a stream of Raft's own transport.
func (l loopback) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.DialContext(ctx, string(address))
}

func listen(t testing.TB) loopback {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return loopback{l}
}

func TestOverTCP(t *testing.T) {
	logs := overTCP(t)
	propose(t, logs, "over-tcp")
	head := logs[0].Applied().Head
	for _, l := range logs {
		for changed := l.Changed(); l.Applied().Head.Position < head.Position; changed = l.Changed() {
			<-changed
		}
		if got := l.Applied().Head; got != head {
			t.Errorf("%v is not %v", got, head)
		}
	}
	if id, address := logs[2].Leader(); id != logs[0].ID() || address != logs[0].config.Advertise {
		t.Errorf("the leader is %s at %s", id, address)
	}
}

// overTCP starts three writers that talk over loopback TCP; the first leads.
func overTCP(t testing.TB) []*Log {
	t.Helper()
	var logs []*Log
	for range 3 {
		stream := listen(t)
		l, err := Open(Config{Dir: t.TempDir(), Advertise: stream.Addr().String(), Cluster: testCluster, Stream: stream,
			MinFree: 1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		must(t, err)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = l.Close(ctx)
		})
		logs = append(logs, l)
	}
	must(t, logs[0].Bootstrap())
	<-logs[0].Leadership()
	_, err := logs[0].Propose(t.Context(), event.Command{Content: &identity.Bootstrap{
		Cluster: testCluster, Incarnation: "1", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIAROOT"}}})
	must(t, err)
	for _, l := range logs[1:] {
		must(t, logs[0].AddVoter(t.Context(), l.ID(), l.config.Advertise))
	}
	return logs
}

func propose(t testing.TB, logs []*Log, name string) {
	if _, err := logs[0].Propose(context.Background(), createUser(name)); err != nil {
		t.Error(err)
	}
}

// trivial is a state machine that does nothing: the limit that Raft and the disk set.
type trivial struct{ applied atomic.Int64 }

func (f *trivial) Apply(*raft.Log) any { return f.applied.Add(1) }
func (f *trivial) ApplyBatch(entries []*raft.Log) []any {
	f.applied.Add(int64(len(entries)))
	return make([]any, len(entries))
}
func (*trivial) Snapshot() (raft.FSMSnapshot, error) { return nil, io.EOF }
func (*trivial) Restore(io.ReadCloser) error         { return io.EOF }

// trivialOverTCP starts three servers of the trivial state machine; the first leads.
func trivialOverTCP(t testing.TB) *raft.Raft {
	t.Helper()
	var servers []raft.Server
	var rafts []*raft.Raft
	for i := range 3 {
		stream, dir := listen(t), t.TempDir()
		disk, err := raftboltdb.NewBoltStore(dir + "/raft.db")
		must(t, err)
		c := raft.DefaultConfig()
		c.LocalID = raft.ServerID(fmt.Sprint(i))
		c.Logger = bridge(slog.New(slog.NewTextHandler(io.Discard, nil)))
		c.SnapshotThreshold = 1 << 40
		snapshots, err := raft.NewFileSnapshotStore(dir, 1, io.Discard)
		must(t, err)
		cache, err := raft.NewLogCache(512, disk)
		must(t, err)
		transport := raft.NewNetworkTransport(stream, 3, 10*time.Second, io.Discard)
		r, err := raft.NewRaft(c, &trivial{}, cache, disk, snapshots, transport)
		must(t, err)
		t.Cleanup(func() {
			_ = r.Shutdown().Error()
			transport.CloseStreams()
			_ = disk.Close()
		})
		servers = append(servers, raft.Server{ID: c.LocalID, Address: raft.ServerAddress(stream.Addr().String())})
		rafts = append(rafts, r)
	}
	must(t, rafts[0].BootstrapCluster(raft.Configuration{Servers: servers[:1]}).Error())
	<-rafts[0].LeaderCh()
	for _, s := range servers[1:] {
		must(t, rafts[0].AddVoter(s.ID, s.Address, 0, 0).Error())
	}
	return rafts[0]
}

// BenchmarkThreeWriters compares users made per second with what Raft does with
// entries of the same size and no state machine behind it.
func BenchmarkThreeWriters(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("CreateUser/clients=%d", clients), func(b *testing.B) {
			logs := overTCP(b)
			load(b, clients, func(n int64) { propose(b, logs, fmt.Sprintf("user-%d", n)) })
		})
		b.Run(fmt.Sprintf("limit/clients=%d", clients), func(b *testing.B) {
			r := trivialOverTCP(b)
			cmd := createUser("user-12345")
			cmd.Cluster, cmd.Incarnation = testCluster, "1"
			entry, err := wire.EncodeCommand(&cmd)
			must(b, err)
			load(b, clients, func(int64) {
				if err := r.Apply(entry, 0).Error(); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// load has clients call f, each time with another number, b.N times in all.
func load(b *testing.B, clients int, f func(n int64)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	before := processorTime(b)
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				f(n)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// processorTime is what this process has used: of all three writers together.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
