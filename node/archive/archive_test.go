package archive

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

var update = flag.Bool("update", false, "rewrite the golden file")

const (
	account = identity.AccountID("123456789012")
	cluster = "0b8f6c2e-3ad3-4c0f-9c88-7d8a3f8b2f10"
)

// past is a history in memory: what an event store is, with the state at every position.
type past struct {
	batches [][]byte
	states  []*identity.State
	heads   []event.Head
	first   event.Position
}

// newPast is a history of so many positions, a minute apart.
func newPast(t testing.TB, n int) *past {
	p := &past{first: 1}
	s := identity.NewState()
	var head event.Head
	for i := range n {
		at := head.Position + 1
		events := []identity.Event{&identity.UserCreated{Account: account, ID: identity.ID(fmt.Sprintf("AIDA%016d", i)), Name: fmt.Sprintf("user-%d", i), Path: "/"}}
		if i == 0 {
			events = []identity.Event{&identity.ClusterBootstrapped{Cluster: cluster, Incarnation: "first", FeatureLevel: 2}, &identity.AccountCreated{ID: account},
				&identity.AccessKeyCreated{Account: account, Owner: identity.ID(account), ID: "AKIAROOTROOTROOT", Sealed: []byte("sealed")}}
		}
		meta := identity.Meta{Time: minute(i)}
		identity.Evolve(s, at, meta, events)
		b := &event.Batch{Cluster: cluster, Incarnation: "first", Position: at, Index: uint64(at) + 1, Term: 3, Cause: event.Cause{Meta: meta}, Events: events, State: s.Digest(), Prev: head.Hash}
		encoded, err := wire.EncodeBatch(b)
		must(t, err)
		head = b.Head()
		p.batches, p.states, p.heads = append(p.batches, encoded), append(p.states, s.Snapshot()), append(p.heads, head)
	}
	return p
}

func minute(i int) identity.Time { return identity.Time(1_800_000_000_000 + i*60_000) }

func (p *past) First() event.Position { return p.first }

func (p *past) Read(from event.Position, count, _ int) ([][]byte, error) {
	all := p.batches[from-1:]
	return all[:min(len(all), count, 7)], nil
}

// at is the source of a position.
func (p *past) at(position int) *Source {
	return &Source{State: p.states[position-1], Header: wire.SnapshotHeader{Head: p.heads[position-1], Index: uint64(position) + 1, Term: 3}, Batches: p, Time: minute(position)}
}

func (p *past) archive(t testing.TB, position int, e Extent) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := p.at(position).Write(&b, e)
	must(t, err)
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type inMemory []byte

func (m inMemory) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }

func opened(archives ...[]byte) (all []Opener) {
	for _, a := range archives {
		all = append(all, inMemory(a))
	}
	return all
}

// signer signs with a certificate of its own.
type signer struct {
	key  *ecdsa.PrivateKey
	cert []byte
}

func newSigner(t testing.TB) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "w"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return signer{key, cert}
}

func (s signer) Sign(statement []byte) (signature, certificate []byte, err error) {
	sum := sha256.Sum256(statement)
	signature, err = ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	return signature, s.cert, err
}

func TestVerify(t *testing.T) {
	p := newPast(t, 40)
	source := p.at(30)
	source.By, source.Node = newSigner(t), "w"
	var whole bytes.Buffer
	h, err := source.Write(&whole, Extent{})
	must(t, err)
	more, stateOnly := p.archive(t, 40, Extent{Since: 30}), p.archive(t, 40, Extent{StateOnly: true})
	found, err := Verify(opened(whole.Bytes(), more))
	must(t, err)
	if len(found) != 2 || found[0].Batches != 30 || found[0].Replayed != 30 || found[0].Signed == nil || found[1].Replayed != 10 || found[1].Position != 40 || found[1].Signed != nil {
		t.Errorf("found %+v", found)
	}
	if h.Changed != minute(29) || h.Time != minute(30) {
		t.Errorf("the header is %+v", h)
	}
	found, err = Verify(opened(stateOnly))
	if err != nil || found[0].Batches != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	if found, err = Verify(opened(more)); err != nil || found[0].Batches != 10 || found[0].Replayed != 0 { // its chain alone
		t.Errorf("found %+v, %v", found, err)
	}
	for name, c := range map[string][]Opener{
		"a gap":          opened(p.archive(t, 20, Extent{}), more),
		"two whole ones": opened(p.archive(t, 20, Extent{}), p.archive(t, 30, Extent{})),
	} {
		if _, err := Verify(c); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEasy makes the same archive with pauses, which are as long as the making took.
func TestEasy(t *testing.T) {
	p := newPast(t, 40)
	easily := p.at(40)
	easily.Easy = true
	var b bytes.Buffer
	_, err := easily.Write(&b, Extent{})
	must(t, err)
	if !bytes.Equal(b.Bytes(), p.archive(t, 40, Extent{})) {
		t.Error("it is another archive")
	}
	synctest.Test(t, func(t *testing.T) {
		e := &easy{w: io.Discard, from: time.Now().Add(-30 * time.Millisecond)}
		begun := time.Now()
		for _, want := range []time.Duration{30 * time.Millisecond, 0, longestRest} {
			_, err := e.Write(nil)
			must(t, err)
			if got := time.Since(begun); got != want {
				t.Errorf("paused for %v, not %v", got, want)
			}
			if want == 0 {
				e.from = time.Now().Add(-time.Hour)
			}
			begun = time.Now()
		}
	})
}

// TestExtents asks for what a history does not have.
func TestExtents(t *testing.T) {
	p := newPast(t, 20)
	p.first = 11
	for _, e := range []Extent{{Since: 20}, {Since: 30}, {Since: 9}, {Since: 12, StateOnly: true}} {
		if _, err := p.at(20).Write(io.Discard, e); !errors.Is(err, ErrExtent) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	h, err := p.at(20).Write(io.Discard, Extent{})
	if err != nil || h.From != 11 {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err = p.at(8).Write(io.Discard, Extent{}); err != nil || h.From != 0 || !h.Snapshot {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestDamage alters every byte of an archive, cuts it at every length, and puts a byte behind it.
func TestDamage(t *testing.T) {
	p := newPast(t, 4)
	source := p.at(4)
	source.By, source.Node = newSigner(t), "w"
	var whole bytes.Buffer
	_, err := source.Write(&whole, Extent{})
	must(t, err)
	good := whole.Bytes()
	bad := func(what string, at int, b []byte) {
		t.Helper()
		if _, err := Verify(opened(b)); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s at %d of %d: %v", what, at, len(good), err)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x20
		bad("altered", i, b)
		bad("cut", i, good[:i])
	}
	bad("longer", len(good), append(bytes.Clone(good), 0))
	// A part whose own sum is right, in an archive of another state.
	other := *p
	other.batches = newPast(t, 5).batches
	mixed := p.at(4)
	mixed.State = p.states[2]
	mixed.Header.Head.Position = 3
	var b bytes.Buffer
	if _, err := mixed.Write(&b, Extent{}); err == nil {
		bad("another state", 0, b.Bytes())
	}
}

func TestCover(t *testing.T) {
	p := newPast(t, 5)
	id, err := age.GenerateX25519Identity()
	must(t, err)
	stranger, err := age.GenerateX25519Identity()
	must(t, err)
	recipients, err := ParseRecipients([]string{id.Recipient().String()}, "")
	must(t, err)
	var b bytes.Buffer
	w, err := recipients.Cover(&b)
	must(t, err)
	_, err = p.at(5).Write(w, Extent{})
	must(t, errors.Join(err, w.Close()))
	if bytes.Contains(b.Bytes(), []byte("user-1")) || bytes.Contains(b.Bytes(), []byte(cluster)) {
		t.Error("it is in the clear")
	}
	read := func(sealed []byte, ids ...age.Identity) error {
		r, err := Identities(ids).Uncover(bytes.NewReader(sealed))
		if err == nil {
			_, err = Read(r, Nothing{})
		}
		return err
	}
	must(t, read(b.Bytes(), stranger, id))
	must(t, read(p.archive(t, 5, Extent{}))) // in the clear, none is needed
	for _, err := range []error{read(b.Bytes()), read(b.Bytes(), stranger)} {
		if !errors.Is(err, ErrIdentity) {
			t.Error(err)
		}
	}
	for _, at := range []int{250, b.Len() / 2, b.Len() - 1} {
		altered := bytes.Clone(b.Bytes())
		altered[at] ^= 1
		for _, err := range []error{read(altered, id), read(b.Bytes()[:at], id)} {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("at %d: %v", at, err)
			}
		}
	}
	for _, text := range []string{"age1nobody", "", "AGE-SECRET-KEY-1"} {
		if _, err := ParseRecipients([]string{text}, ""); !errors.Is(err, ErrRecipients) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRestore(t *testing.T) {
	p := newPast(t, 40)
	whole, more, stateOnly := p.archive(t, 30, Extent{}), p.archive(t, 40, Extent{Since: 30}), p.archive(t, 30, Extent{StateOnly: true})
	for name, c := range map[string]struct {
		archives [][]byte
		target   Target
		want     event.Position
	}{
		"to the end":                {[][]byte{whole}, Target{}, 30},
		"both":                      {[][]byte{whole, more}, Target{}, 40},
		"the state alone":           {[][]byte{stateOnly}, Target{}, 30},
		"to a position":             {[][]byte{whole}, Target{Position: 12}, 12},
		"to the state's":            {[][]byte{whole, more}, Target{Position: 30}, 30},
		"to a position of a later":  {[][]byte{whole, more}, Target{Position: 35}, 35},
		"to a time":                 {[][]byte{whole}, Target{Time: minute(9) + 1}, 10},
		"to the time of a change":   {[][]byte{whole, more}, Target{Time: minute(33)}, 34},
		"to a time behind the end":  {[][]byte{whole, more}, Target{Time: minute(100)}, 40},
		"to the time of a backup's": {[][]byte{whole}, Target{Time: minute(29)}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			r := &Restore{Archives: opened(c.archives...), Target: c.target, Cluster: "another", Advertise: "w:1", Data: data, Time: minute(50)}
			done, err := r.Run()
			must(t, err)
			if done.From != p.heads[c.want-1] || done.Position != c.want+1 || done.Changed != minute(int(c.want)-1) {
				t.Errorf("restored %+v", done)
			}
			source, unlock, err := OfDirectory(data, 0)
			must(t, err)
			defer unlock()
			again := source.State.Cluster()
			if f := source.State.Former()[0]; again.ID != "another" || again.Incarnation != done.Incarnation || f.Last != c.want || f.Incarnation != "first" {
				t.Errorf("the cluster is %+v, before %+v", again, f)
			}
			if first := source.Batches.First(); first != 1 && name != "the state alone" {
				t.Errorf("batches from %d on are there", first)
			}
			must(t, Unfinished(data))
			if _, err := r.Run(); !errors.Is(err, ErrOccupied) && err == nil {
				t.Error("restored twice")
			}
		})
	}
	for name, c := range map[string]struct {
		archives [][]byte
		target   Target
	}{
		"a position behind the end":       {[][]byte{whole}, Target{Position: 31}},
		"before the state alone":          {[][]byte{stateOnly}, Target{Position: 29}},
		"before everything":               {[][]byte{whole}, Target{Time: 5}},
		"batches alone":                   {[][]byte{more}, Target{}},
		"nothing":                         {nil, Target{}},
		"a position where the first ends": {[][]byte{stateOnly, more}, Target{Position: 3}},
	} {
		data := filepath.Join(t.TempDir(), "data")
		if _, err := (&Restore{Archives: opened(c.archives...), Target: c.target, Cluster: "c", Advertise: "w:1", Data: data}).Run(); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(data); err != nil || len(left) != 1 {
			t.Errorf("%s leaves %v, %v", name, left, err)
		}
	}
}

func TestUnfinished(t *testing.T) {
	data := t.TempDir()
	must(t, Unfinished(data))
	must(t, os.Mkdir(filepath.Join(data, readyDir), 0o700))
	if err := Unfinished(data); !errors.Is(err, ErrUnfinished) {
		t.Error(err)
	}
	// As a recovery leaves it that ended between its two renames: the next one finishes it.
	if _, err := (&Recovery{Data: data}).Run(nil); err != nil {
		t.Error(err)
	}
	must(t, Unfinished(data))
	if _, err := (&Recovery{Data: t.TempDir()}).Run(nil); err == nil {
		t.Error("recovered from nothing")
	}
}

// TestGolden reads what the first release that had archives wrote.
func TestGolden(t *testing.T) {
	p := newPast(t, 6)
	path := filepath.Join("testdata", "archive-1")
	if *update {
		source := p.at(6)
		source.By, source.Node = newSigner(t), "w"
		var b bytes.Buffer
		_, err := source.Write(&b, Extent{})
		must(t, errors.Join(err, os.WriteFile(path, b.Bytes(), 0o600)))
	}
	stored, err := os.ReadFile(path)
	must(t, err)
	found, err := Verify(opened(stored))
	if err != nil || found[0].Position != 6 || found[0].Replayed != 6 || found[0].Hash != p.heads[5].Hash || found[0].Digest != p.states[5].Digest() {
		t.Errorf("found %+v, %v", found, err)
	}
}

func FuzzRead(f *testing.F) {
	p := newPast(f, 3)
	f.Add(p.archive(f, 3, Extent{}))
	f.Add(p.archive(f, 3, Extent{Since: 1}))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := Verify(opened(b))
		if err == nil && (len(found) != 1 || found[0].Position == 0) {
			t.Fatalf("found %+v", found)
		}
		var unknown *wire.UnknownError
		if err != nil && !errors.As(err, &unknown) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
	})
}
