package past

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
)

// writer is a log without Raft: commands are decided and stored one after the other.
type writer struct {
	t       testing.TB
	events  *store.Store
	state   *identity.State
	head    event.Head
	pending []store.Entry
	digests map[event.Position]string
}

const began = 1_700_000_000_000 // of the first change, in milliseconds

func newWriter(t testing.TB) *writer {
	events, err := store.Open(filepath.Join(t.TempDir(), "events.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Close() })
	w := &writer{t: t, events: events, state: identity.NewState(), digests: map[event.Position]string{}}
	w.do(&identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: setup.DefaultAccount, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"}})
	return w
}

// do makes a change, each a second after the one before.
func (w *writer) do(c identity.Command) {
	w.t.Helper()
	at := w.head.Position + 1
	meta := identity.Meta{Time: identity.Time(began + 1000*int64(at-1)), By: identity.Authority{Account: setup.DefaultAccount, Principal: identity.ID(setup.DefaultAccount)}}
	events, err := identity.Decide(w.state, identity.Meta{Time: meta.Time}, c)
	if err != nil {
		w.t.Fatal(err)
	}
	identity.Evolve(w.state, at, meta, events)
	b := &event.Batch{Cluster: "c", Incarnation: "i", Position: at, Prev: w.head.Hash, Events: events, State: w.state.Digest(), Cause: event.Cause{Meta: meta, Request: "r" + strconv.Itoa(int(at)), Action: "iam:Test"}}
	bytes, err := wire.EncodeBatch(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.pending = append(w.pending, store.Entry{Head: b.Head(), Prev: b.Prev, Bytes: bytes})
	w.head = b.Head()
	w.digests[at] = b.State.String()
}

func (w *writer) store() {
	w.t.Helper()
	if err := errors.Join(w.events.Append(w.pending), w.events.Sync()); err != nil {
		w.t.Fatal(err)
	}
	w.pending = nil
}

func (w *writer) users(n int) {
	w.t.Helper()
	for range n {
		id := fmt.Sprintf("AIDA%017d", w.head.Position)
		w.do(&identity.CreateUser{Account: setup.DefaultAccount, ID: identity.ID(id), Name: id, Path: "/"})
	}
	w.store()
}

func (w *writer) Applied() *log.Applied    { return &log.Applied{State: w.state.Snapshot(), Head: w.head} }
func (w *writer) Changed() <-chan struct{} { return nil }
func (w *writer) Events() *store.Store     { return w.events }
func (w *writer) at(p event.Position) When { return When{Position: p} }
func (w *writer) keeper(dir string, r Rule) *Keeper {
	return &Keeper{Log: w, Dir: dir, Rule: r, Logger: slog.New(slog.DiscardHandler)}
}

func (w *writer) history(k *Keeper) *History {
	return NewHistory(w, k, time.Now, slog.New(slog.DiscardHandler))
}

// shows asks for a position, whose state must be the one that the batch there names.
func (w *writer) shows(h *History, at event.Position) {
	w.t.Helper()
	v, err := h.View(w.t.Context(), new(admission.Job), "me", w.at(at))
	if err != nil {
		w.t.Fatalf("position %d: %v", at, err)
	}
	if v.Head.Position != at || v.State.Digest().String() != w.digests[at] || v.State.Recount() != v.State.Digest() {
		w.t.Fatalf("position %d shows %d, digest %s", at, v.Head.Position, v.State.Digest())
	}
}

func refused(t *testing.T, err error, code fault.Code) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code() != code {
		t.Errorf("it is %v; expected the code %d", err, code)
	}
}

// Every position is shown as it was: from the beginning, from kept states, and when these are
// damaged, missing or of another history.
func TestEveryPosition(t *testing.T) {
	w, dir := newWriter(t), t.TempDir()
	k := w.keeper(dir, Rule{Every: 10})
	for range 5 {
		w.users(10)
		if _, err := k.turn(); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := k.Usage(); n != 5 || bytes == 0 {
		t.Fatalf("%d states are kept, %d bytes", n, bytes)
	}
	for at := event.Position(1); at <= w.head.Position; at++ {
		w.shows(w.history(k), at)
	}
	h := w.history(w.keeper(t.TempDir(), Rule{})) // none is kept
	for at := int(w.head.Position); at > 0; at -= 7 {
		w.shows(h, event.Position(at))
	}
	w.users(2)
	for i, damage := range []func(path string, content []byte) error{
		func(path string, b []byte) error { b[len(b)/2] ^= 1; return os.WriteFile(path, b, 0o600) },
		func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)/2], 0o600) },
		func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		func(path string, _ []byte) error { return os.Remove(path) },
	} {
		list, err := k.list()
		if err != nil {
			t.Fatal(err)
		}
		last := list[len(list)-1]
		content, err := os.ReadFile(k.path(last.at))
		if err := errors.Join(err, damage(k.path(last.at), content)); err != nil {
			t.Fatal(err)
		}
		w.shows(w.history(k), last.at+1)
		if n, _ := k.Usage(); n != len(list)-1 {
			t.Errorf("damage %d: %d states are kept", i, n)
		}
	}
	// A state of another history, under a name of this one.
	foreign, err := os.Create(k.path(15))
	if err != nil {
		t.Fatal(err)
	}
	other := newWriter(t)
	other.users(14)
	if err := errors.Join(wire.WriteSnapshot(foreign, other.state, wire.SnapshotHeader{Head: event.Head{Position: 15, Hash: event.Hash{1}}}), foreign.Close()); err != nil {
		t.Fatal(err)
	}
	w.shows(w.history(k), 16)
}

// What lies in the future, before the beginning, or before what the rule keeps, is refused.
func TestWhen(t *testing.T) {
	w := newWriter(t)
	k := w.keeper(t.TempDir(), Rule{Every: 10})
	w.users(12) // 13 positions
	if _, err := k.turn(); err != nil {
		t.Fatal(err)
	}
	w.users(20)
	h := w.history(k)
	second := func(n int64) When { return When{Time: time.UnixMilli(began + 1000*n)} }
	for n, at := range map[int64]event.Position{0: 1, 4: 5, 32: 33, 1000: 33} {
		if found, err := h.Find(second(n)); err != nil || found != at {
			t.Errorf("second %d is position %d, %v", n, found, err)
		}
	}
	if found, err := h.Find(When{Time: time.UnixMilli(began + 4999)}); err != nil || found != 5 {
		t.Errorf("just before second 5 is position %d, %v", found, err)
	}
	_, err := h.Find(second(-1))
	refused(t, err, fault.NotCommitted)
	_, err = h.Find(When{Time: time.Now().Add(time.Hour)})
	refused(t, err, fault.NotCommitted)
	_, err = h.View(t.Context(), new(admission.Job), "me", w.at(34))
	refused(t, err, fault.NotCommitted)
	hash, err := w.events.Hash(10)
	if err := errors.Join(err, w.events.Drop(store.Dropped{Through: 10, Hash: hash, At: time.Now()})); err != nil {
		t.Fatal(err)
	}
	w.shows(h, 20)
	for _, at := range []event.Position{5, 10, 12} { // 12: no state is kept from which it can be made
		_, err = h.View(t.Context(), new(admission.Job), "me", w.at(at))
		refused(t, err, fault.NotKept)
	}
	for _, text := range []string{"", "0", "-1", "yesterday", "99999999999999999999"} {
		_, err := ParseWhen(text)
		refused(t, err, fault.InvalidRequest)
	}
}

// States are thinned out by age within their number and bytes; a fold that is too long goes on.
func TestBounds(t *testing.T) {
	var list []kept
	for i := range 200 {
		list = append(list, kept{event.Position(i+1) * 10, 5})
		for _, out := range thin(list, 8, 1000) {
			for j := range list {
				if list[j] == out {
					list = append(list[:j:j], list[j+1:]...)
					break
				}
			}
		}
	}
	if len(list) != 8 || list[7].at != 2000 || list[6].at < 1900 || list[0].at > 1300 {
		t.Errorf("kept are %v", list)
	}
	if left := len(list) - len(thin(list, 8, 20)); left != 4 {
		t.Errorf("within 20 bytes are %d states", left)
	}
	w := newWriter(t)
	w.users(29)
	h := w.history(w.keeper(t.TempDir(), Rule{}))
	h.fold = 10
	for range 2 {
		_, err := h.View(t.Context(), new(admission.Job), "me", w.at(25))
		refused(t, err, fault.Unavailable)
	}
	w.shows(h, 25)
	for _, at := range []event.Position{25, 26, 27, 28} {
		w.shows(h, at)
	}
	if len(h.views) > maxViews {
		t.Errorf("%d views are in memory", len(h.views))
	}
	if _, err := w.keeper(t.TempDir(), Rule{Every: 1, Bytes: 100}).turn(); !errors.Is(err, errTooLong) {
		t.Errorf("a state that is too long: %v", err)
	}
}

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) Refused(string, bool) {}
func (unmeasured) Worked(int64)         {}

// A decision that was turned twice is found turned twice, with who did it, and in pages.
func TestSearch(t *testing.T) {
	w := newWriter(t)
	const id, arn = identity.ID("AIDAALICEALICEALICE00"), "arn:aws:iam::" + setup.DefaultAccount + ":user/alice"
	w.do(&identity.CreateUser{Account: setup.DefaultAccount, ID: id, Name: "alice", Path: "/"}) // 2
	w.users(10)
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	w.do(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: setup.DefaultAccount, Name: "alice"}, Name: "p", Document: document}) // 13
	w.users(10)
	w.do(&identity.DeleteInlinePolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: setup.DefaultAccount, Name: "alice"}, Name: "p"}) // 24
	w.users(10)
	h := w.history(w.keeper(t.TempDir(), Rule{}))
	allowed := func(*projection.View) error { return nil }
	desk := admission.New(admission.Config{Projection: projection.New(), Now: time.Now, Meter: unmeasured{}})
	search := func(from, to event.Position, may func(*projection.View) error) *Search {
		pass := new(admission.Pass)
		desk.Begin(&pass.Job, t.Context(), "me")
		t.Cleanup(pass.Job.End)
		return &Search{Question: decision.Question{Principal: arn, Action: "s3:GetObject", Resource: "*"}, Range: Range{w.at(from), w.at(to)}, Pass: pass, Who: "me", May: may}
	}
	a, err := h.Search(t.Context(), search(1, 34, allowed))
	if err != nil {
		t.Fatal(err)
	}
	var at []event.Position
	for _, c := range a.Changes {
		at = append(at, c.Position)
		if c.By != "arn:aws:iam::"+setup.DefaultAccount+":root" || c.RequestID != "r"+strconv.Itoa(int(c.Position)) {
			t.Errorf("it tells %+v", c)
		}
	}
	if fmt.Sprint(at) != "[2 13 24]" || a.Before.Decision != NoPrincipal || a.After.Decision != decision.ImplicitDeny || a.Next != 0 ||
		a.Changes[1].After.Decision != decision.Allow || len(a.Changes[1].After.Explanation) == 0 {
		t.Errorf("turned at %v: %+v", at, a)
	}
	if a, err = h.Search(t.Context(), search(14, 14, allowed)); err != nil || len(a.Changes) != 0 || a.After.Decision != decision.Allow {
		t.Errorf("nothing turned: %+v, %v", a, err)
	}
	_, err = h.Search(t.Context(), search(20, 10, allowed))
	refused(t, err, fault.InvalidRequest)
	denied := fault.New(fault.Denied, "", "")
	if _, err = h.Search(t.Context(), search(1, 34, func(*projection.View) error { return denied })); !errors.Is(err, denied) {
		t.Errorf("who may not is told %v", err)
	}
}

func FuzzParseSearch(f *testing.F) {
	f.Add([]byte(`{"principal":"arn:aws:iam::123456789012:user/a","action":"s3:Get","from":1,"to":"2026-07-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, r, err := ParseSearch(body); err == nil && (r.From == When{} || r.To == When{}) {
			t.Error("a range without an end is taken")
		}
		_, _, _ = Parse(body)
	})
}
