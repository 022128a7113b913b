package pages

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/wire"
)

// A damaged file is found before bbolt looks for free pages on a goroutine of its
// own, where nobody could keep its panic from ending the process.
func TestDamagedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pages.db")
	if err := Check(path); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	sound := somePages(t, path)
	if err := Check(path); err != nil {
		t.Fatalf("a sound file: %v", err)
	}
	for _, size := range []int{0, 1, 100, 4096, 5000, 3 * 4096, len(sound) / 2, len(sound) - 4096} {
		opens(t, sound[:size])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 300 {
		damaged := append([]byte(nil), sound...)
		// At the beginning of a page is what holds the tree together.
		at := rng.IntN(len(sound)/4096)*4096 + rng.IntN(256)
		damaged[at] ^= 1 << rng.IntN(8)
		if opens(t, damaged) {
			found++
		}
	}
	if found < 20 {
		t.Errorf("of 300 bits that flipped where they matter, %d were found", found)
	}
}

// opens opens a file as the log does, and tells whether it was found damaged. What
// bbolt panics over it leaves locked.
func opens(t *testing.T, content []byte) (damaged bool) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "pages")
	must(t, err)
	_, err = f.Write(content)
	must(t, errors.Join(err, f.Close()))
	path := f.Name()
	err = Check(path)
	if err != nil {
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("found: %v", err)
		}
		return true
	}
	err = durable.Guard(wire.ErrCorrupt, func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return err
		}
		return db.Close()
	})
	return err != nil
}

// somePages is a file with branches, leaves, large values and pages that are free.
func somePages(t *testing.T, path string) []byte {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	must(t, err)
	for round := range uint64(20) {
		must(t, db.Update(func(tx *bbolt.Tx) error {
			logs, err := tx.CreateBucketIfNotExists([]byte("logs"))
			if err != nil {
				return err
			}
			conf, err := tx.CreateBucketIfNotExists([]byte("conf"))
			if err != nil {
				return err
			}
			for i := range uint64(100) {
				if err := logs.Put(binary.BigEndian.AppendUint64(nil, round*100+i), make([]byte, 60+round*40)); err != nil {
					return err
				}
			}
			if round%5 == 4 {
				for i := range uint64(100) {
					if err := logs.Delete(binary.BigEndian.AppendUint64(nil, (round-4)*100+i)); err != nil {
						return err
					}
				}
			}
			return conf.Put([]byte("CurrentTerm"), binary.BigEndian.AppendUint64(nil, round))
		}))
	}
	must(t, db.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
