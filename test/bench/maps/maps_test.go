// Package maps measures the persistent maps that the state of the domain could
// be kept in: a million keys, in the form in which log/identity keys its tables
// (hashed to eight bytes) and in plain text.
//
//	go test -run xxx -bench . -benchtime 300000x -benchmem ./test/bench/maps
package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
	"github.com/tidwall/btree"
)

const size = 1_000_000

type record struct{ _ string }

// keys are the identifiers of n users, as text and hashed.
func keys(seed uint64, n int) (texts []string, hashes []uint64) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		b := []byte("AIDA")
		for len(b) < 21 {
			b = append(b, letters[r.IntN(len(letters))])
		}
		texts, hashes = append(texts, string(b)), append(hashes, r.Uint64())
	}
	return texts, hashes
}

func bytesOf(h uint64) []byte { return binary.BigEndian.AppendUint64(nil, h) }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// subject is a map with the operations that the state needs.
type subject struct {
	insert func(i int) // key number i, in place
	get    func(i int) bool
	copied func(i int) // takes a copy, then inserts
}

func BenchmarkMaps(b *testing.B) {
	texts, hashes := keys(1, 2*size)
	value := &record{}
	for _, c := range []struct {
		name string
		make func() subject
	}{
		{"btree/hashed", func() subject {
			var m btree.Map[uint64, *record]
			return subject{
				func(i int) { m.Set(hashes[i], value) },
				func(i int) bool { _, ok := m.Get(hashes[i]); return ok },
				func(i int) { m.Copy(); m.Set(hashes[i], value) },
			}
		}},
		{"btree/text", func() subject {
			var m btree.Map[string, *record]
			return subject{
				func(i int) { m.Set(texts[i], value) },
				func(i int) bool { _, ok := m.Get(texts[i]); return ok },
				func(i int) { m.Copy(); m.Set(texts[i], value) },
			}
		}},
		{"iradix/hashed", func() subject { return radix(func(i int) []byte { return bytesOf(hashes[i]) }, value) }},
		{"iradix/text", func() subject { return radix(func(i int) []byte { return []byte(texts[i]) }, value) }},
	} {
		b.Run(c.name, func(b *testing.B) { measure(b, c.make()) })
	}
}

// radix inserts in place within a transaction, as a fold of many events could.
func radix(key func(i int) []byte, value *record) subject {
	t := iradix.New[*record]()
	txn := t.Txn()
	return subject{
		func(i int) { txn.Insert(key(i), value) },
		func(i int) bool { _, ok := txn.Get(key(i)); return ok },
		func(i int) {
			txn.Insert(key(i), value)
			t = txn.CommitOnly()
			txn = t.Txn()
		},
	}
}

func measure(b *testing.B, m subject) {
	before := heap()
	for i := range size {
		m.insert(i)
	}
	bytes := float64(heap()-before) / size
	next := size
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				f()
			}
			b.ReportMetric(bytes, "bytes/key")
		})
	}
	random := rand.New(rand.NewPCG(3, 1))
	run("get", func() {
		if i := random.IntN(size); !m.get(i) {
			panic(fmt.Sprintf("key %d is missing", i))
		}
	})
	run("insert", func() { m.insert(next % (2 * size)); next++ })
	run("copy and insert", func() { m.copied(next % (2 * size)); next++ })
}
