package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection"
)

const account = identity.AccountID("123456789012")

var (
	start = time.Unix(1_700_000_000, 0)
	cheap = password.Cost{Memory: 8, Passes: 1, Threads: 1}
)

// house is a state with users that have the password "right", and its door.
type house struct {
	t     testing.TB
	door  *Door
	key   *seal.Key
	state *identity.State
	view  *projection.View
	known *password.Hasher
	desk  *admission.Desk
	meter *meter
}

// meter counts refusals by limit.
type meter struct {
	mu sync.Mutex
	by map[string]int // guarded by mu
}

func (m *meter) Refused(limit string, verified bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.by[fmt.Sprint(limit, verified)]++
}

func (m *meter) Worked(int64) {}

// counted are the refusals since it was called last.
func (m *meter) counted() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer clear(m.by)
	return fmt.Sprint(m.by)
}

func newHouse(t testing.TB, users ...string) *house {
	t.Helper()
	h := &house{t: t, key: seal.Generate(), state: identity.NewState(), known: password.NewHasher(cheap)}
	h.meter = &meter{by: map[string]int{}}
	h.desk = admission.New(admission.Config{Meter: h.meter})
	h.door = New(Config{Seal: h.key, Known: h.known, Strangers: password.NewStrangersHasher(cheap), Codes: mfa.NewTries()})
	h.must(&identity.Bootstrap{Cluster: "cluster", Incarnation: "incarnation", Account: account})
	for _, name := range users {
		id := identity.ID("AIDA" + strings.ToUpper(name))
		h.must(&identity.CreateUser{Account: account, ID: id, Name: name, Path: "/"})
		h.must(&identity.CreateLoginProfile{Account: account, User: name, Password: identity.NewPassword{User: id, Sealed: h.sealed(id, "right")}})
	}
	return h
}

func (h *house) sealed(id identity.ID, text string) []byte {
	h.t.Helper()
	var c password.Checker
	h.known.Begin(&c, h.t.Context(), &admission.Job{}, "test", start)
	hash, err := c.Hash(strings.NewReader(strings.Repeat("salt", 16)), text)
	if err != nil {
		h.t.Fatal(err)
	}
	sealed, err := h.key.Seal(seal.PasswordHash, seal.PasswordContext(string(account), string(id)), []byte(hash))
	if err != nil {
		h.t.Fatal(err)
	}
	return sealed
}

func (h *house) must(c identity.Command) {
	h.t.Helper()
	events, err := identity.Decide(h.state, identity.Meta{}, c)
	if err != nil {
		h.t.Fatal(err)
	}
	at := h.state.Position() + 1
	identity.Evolve(h.state, at, identity.Meta{}, events)
	p := projection.New()
	p.Adopt(h.state.Snapshot(), event.Head{Position: at})
	h.view = p.View()
}

// try signs in as a user from a network.
func (h *house) try(user, password, network string, after time.Duration) error {
	return h.tryIn(string(account), user, password, network, after)
}

func (h *house) tryIn(account, user, password, network string, after time.Duration) error {
	asked := &shape.SignIn{Account: account, User: user, Password: password}
	var job admission.Job
	h.desk.Begin(&job, context.Background(), network)
	defer job.Rest()
	a, err := h.door.Begin(context.Background(), &job, h.view, asked, network, start.Add(after))
	if err != nil {
		return err
	}
	p, err := a.In(h.view)
	if err == nil {
		a.Done(p)
	}
	return err
}

// wrong is how often a guess is looked at before there were too many.
func (h *house) wrong(most int, guess func(i int) (user, network string)) (looked int) {
	h.t.Helper()
	for looked < most {
		user, network := guess(looked)
		err := h.try(user, "guess", network, 0)
		if errors.Is(err, ErrTooOften) {
			return looked
		}
		if !errors.Is(err, ErrFailed) {
			h.t.Fatal(err)
		}
		looked++
	}
	return looked
}

func network(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250) }

// Guesses are bounded of a user and network, of a network, of a user and of an account, whether
// or not the users are there.
func TestFailuresAreCounted(t *testing.T) {
	for _, there := range []string{"alice", "nobody"} {
		h := newHouse(t, "alice")
		if n := h.wrong(1000, func(int) (string, string) { return there, network(0) }); n != MaxWrong {
			t.Errorf("%s from one network: %d", there, n)
		}
		h = newHouse(t, "alice")
		if n := h.wrong(1000, func(i int) (string, string) { return there, network(i) }); n != MaxWrongOfUser {
			t.Errorf("%s from everywhere: %d", there, n)
		}
	}
	h := newHouse(t, "alice")
	if n := h.wrong(1000, func(i int) (string, string) { return fmt.Sprint("user", i), network(0) }); n != MaxWrongOfNetwork {
		t.Errorf("everybody from one network: %d", n)
	}
	h = newHouse(t, "alice")
	if n := h.wrong(2*MaxWrongOfAccount, func(i int) (string, string) { return fmt.Sprint("user", i), network(i) }); n != MaxWrongOfAccount {
		t.Errorf("everybody from everywhere: %d", n)
	}
}

// Whatever others fail at, a user gets in where it did before, and elsewhere as tries come back.
func TestNobodyIsKeptOut(t *testing.T) {
	h := newHouse(t, "alice", "bob")
	for _, user := range []string{"alice", "bob"} {
		if err := h.try(user, "right", "192.0.2.1", 0); err != nil {
			t.Fatal(err)
		}
	}
	h.wrong(10*MaxWrongOfAccount, func(i int) (string, string) { return fmt.Sprint("user", i), network(i) })
	h.wrong(10*MaxWrongOfUser, func(i int) (string, string) { return "alice", network(i) })
	h.wrong(10*MaxWrongOfNetwork, func(i int) (string, string) { return fmt.Sprint("user", i), "192.0.2.1" })
	if err := h.try("alice", "right", "203.0.113.1", 0); !errors.Is(err, ErrTooOften) {
		t.Errorf("elsewhere: %v", err)
	}
	if err := h.try("alice", "right", "203.0.113.1", wrongOfUserTime); err != nil {
		t.Errorf("elsewhere, later: %v", err)
	}
	for range 2 * MaxWrong {
		if err := h.try("alice", "right", "192.0.2.1", 0); err != nil {
			t.Errorf("at home: %v", err)
		}
	}
	if n := h.wrong(100, func(int) (string, string) { return "alice", "192.0.2.1" }); n != MaxWrong {
		t.Errorf("at home %d guesses are looked at", n)
	}
	if err := h.try("bob", "right", "192.0.2.1", 0); err != nil {
		t.Errorf("another at the same place: %v", err)
	}
	if err := h.try("alice", "right", "192.0.2.1", wrongTime); err != nil {
		t.Errorf("at home, later: %v", err)
	}
}

// Guesses side by side are no more than those one after the other.
func TestFailuresSideBySide(t *testing.T) {
	h := newHouse(t, "alice")
	var mu sync.Mutex
	var guessing sync.WaitGroup
	looked := 0
	for range 8 * MaxWrong {
		guessing.Go(func() {
			if err := h.try("alice", "guess", network(0), 0); errors.Is(err, ErrFailed) {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	guessing.Wait()
	if looked > MaxWrong {
		t.Errorf("%d guesses are looked at", looked)
	}
}

// Whoever else is in a network is not told who signs in from there: who is known fails as a
// stranger does, also where strangers would not be looked at, and counts as one.
func TestWhoIsKnownFailsAsAStranger(t *testing.T) {
	const home = "192.0.2.1"
	h := newHouse(t, "alice")
	if err := h.try("alice", "right", home, 0); err != nil {
		t.Fatal(err)
	}
	same := func(when string, want error) {
		t.Helper()
		told := func(user string) (string, error) {
			h.meter.counted()
			err := h.try(user, "guess", home, 0)
			return fmt.Sprint(err, h.meter.counted()), err
		}
		alice, err := told("alice")
		if nobody, _ := told("nobody"); alice != nobody || !errors.Is(err, want) {
			t.Errorf("%s: alice is told %v, nobody %v", when, alice, nobody)
		}
		if err := h.try("alice", "right", home, 0); err != nil {
			t.Errorf("%s: alice herself: %v", when, err)
		}
	}
	same("at first", ErrFailed)
	_, free := hold(h)
	same("without places", admission.ErrBusy)
	_, back := fill(h.known.Requests())
	h.meter.counted()
	alice := fmt.Sprint(h.try("alice", "right", home, 0), h.meter.counted())
	if nobody := fmt.Sprint(h.try("nobody", "guess", home, 0), h.meter.counted()); alice != nobody || !strings.Contains(alice, "sign-ins") {
		t.Errorf("without any places: alice is told %v, nobody %v", alice, nobody)
	}
	free()
	same("without places of her own", ErrFailed)
	back()
	// One of the network's tries is gone for each of the four who failed.
	if n := h.wrong(1000, func(i int) (string, string) { return fmt.Sprint("user", i), home }); n != MaxWrongOfNetwork-4 {
		t.Errorf("%d more are looked at", n)
	}
	same("without tries", ErrTooOften)
}

// Networks of IPv6 are counted by what holds them, too.
func TestWideNetworks(t *testing.T) {
	of := func(format string) func(i int) (string, string) {
		return func(i int) (string, string) {
			return fmt.Sprint("user", i), gate.Network(netip.MustParseAddr(fmt.Sprintf(format, i))).String()
		}
	}
	h := newHouse(t)
	if n := h.wrong(1000, of("2001:db8:1:1%02x::1")); n != MaxWrongOfSite {
		t.Errorf("from a /56: %d", n)
	}
	if n := h.wrong(1000, of("2001:db8:2:%04x::1")); n != MaxWrongOfSite { // the first /56 of a /48
		t.Errorf("from the networks of a /48, one after the other: %d", n)
	}
	h = newHouse(t)
	if n := h.wrong(1000, of("2001:db8:1:%02x00::1")); n != MaxWrongOfBlock {
		t.Errorf("from a /48: %d", n)
	}
	if err := h.try("user", "guess", "2001:db8:2::", 0); !errors.Is(err, ErrFailed) {
		t.Errorf("from another: %v", err)
	}
	var leave []func()
	for i := range MaxHashingOfBlock {
		a := Attempt{door: h.door, job: &admission.Job{}, network: fmt.Sprintf("2001:db8:1:%x::", i)}
		free, err := a.inBlock()
		if err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		leave = append(leave, free)
	}
	if err := h.try("user", "guess", "2001:db8:1:ffff::", wrongOfBlockTime); !errors.Is(err, admission.ErrBusy) {
		t.Errorf("more of a /48 hash than may: %v", err)
	}
	if err := h.try("user", "guess", "2001:db8:2:1::", 0); !errors.Is(err, ErrFailed) {
		t.Errorf("of another meanwhile: %v", err)
	}
	for _, free := range leave {
		free()
	}
	if err := h.try("user", "guess", "2001:db8:1:ffff::", wrongOfBlockTime); !errors.Is(err, ErrFailed) {
		t.Errorf("afterwards: %v", err)
	}
}

// An account is counted by its number, also where its alias is given.
func TestAnAccountIsCountedOnce(t *testing.T) {
	h := newHouse(t, "alice")
	h.must(&identity.SetAccountAlias{Account: account, Alias: "ops"})
	for i := range MaxWrong {
		if err := h.tryIn([]string{string(account), "ops"}[i%2], "alice", "guess", network(0), 0); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{string(account), "ops"} {
		if err := h.tryIn(name, "alice", "right", network(0), 0); !errors.Is(err, ErrTooOften) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No account's sign-ins make the node forget those of accounts with fewer.
func TestFamiliarIsShared(t *testing.T) {
	var f familiar
	for i := range 100 {
		f.note("222222222222", identity.ID(fmt.Sprint("other", i)), "a")
	}
	for i := range MaxFamiliar + 1000 {
		f.note(account, identity.ID(fmt.Sprint(i)), "a")
	}
	for i := range 100 {
		if !f.has(identity.ID(fmt.Sprint("other", i)), "a") {
			t.Fatalf("another account's is forgotten")
		}
	}
	if len(f.by) != MaxFamiliar || f.of[account].Len() != MaxFamiliar-100 {
		t.Errorf("%d are remembered, %d of one account", len(f.by), f.of[account].Len())
	}
	for i := range 1000 { // of accounts without number
		f.note(identity.AccountID(fmt.Sprint(i)), identity.ID(fmt.Sprint("user of ", i)), "a")
	}
	if len(f.by) != MaxFamiliar || len(f.of) != 1002 {
		t.Errorf("%d are remembered, of %d accounts", len(f.by), len(f.of))
	}
}

// Only who signed in is remembered, within bounds, and the latest count.
func TestFamiliarIsBounded(t *testing.T) {
	var f familiar
	for i := range MaxFamiliar + 5 {
		f.note(account, identity.ID(fmt.Sprint(i)), "a")
		f.note(account, "alice", network(i))
	}
	if len(f.by) != MaxFamiliar || f.has("0", "a") || !f.has(identity.ID(fmt.Sprint(MaxFamiliar+4)), "a") {
		t.Errorf("%d are remembered", len(f.by))
	}
	for i := range MaxFamiliar + 5 {
		if latest := i >= MaxFamiliar+5-MaxFamiliarNetworks; f.has("alice", network(i)) != latest {
			t.Errorf("network %d is remembered: %v", i, !latest)
		}
	}
	h := newHouse(t, "alice")
	h.wrong(50, func(i int) (string, string) { return "alice", network(i) })
	if len(h.door.limits.familiar.by) != 0 {
		t.Error("who failed is remembered")
	}
}

// Those who know a password have few guesses at the code from networks where the user never
// was, and do not use up the user's own.
func TestCodesAreLimited(t *testing.T) {
	h := newHouse(t, "alice")
	if err := h.try("alice", "right", "192.0.2.1", 0); err != nil {
		t.Fatal(err)
	}
	seed := strings.Repeat("JBSWY3DPEHPK3PXP", 4)
	serial := identity.PartitionAWS.SerialNumber(account, "phone")
	sealed, err := h.key.Seal(seal.MFASeed, seal.SeedContext(string(account), string(serial)), []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	h.must(&identity.CreateMFADevice{Account: account, Name: "phone", Sealed: sealed})
	h.must(&identity.EnableMFADevice{Account: account, User: "alice", ID: serial, Codes: identity.Codes{Made: h.state.Position(), Step: 2}})
	code, err := mfa.Code(seed, start)
	if err != nil {
		t.Fatal(err)
	}
	show := func(code, network string) error {
		asked := &shape.SignIn{Account: string(account), User: "alice", Password: "right", MFACode: code}
		a, err := h.door.Begin(t.Context(), &admission.Job{}, h.view, asked, network, start)
		if err != nil {
			return err
		}
		_, err = a.In(h.view)
		return err
	}
	if err := show(code, network(0)); err != nil {
		t.Errorf("the right one: %v", err)
	}
	other, err := mfa.Code(seed, start.Add(100*mfa.Step))
	if err != nil {
		t.Fatal(err)
	}
	for i := range mfa.MaxWrong {
		if err := show(other, network(1+i)); !errors.Is(err, ErrFailed) {
			t.Errorf("a wrong one: %v", err)
		}
	}
	if err := show(code, network(50)); !errors.Is(err, ErrFailed) {
		t.Errorf("after too many wrong ones, elsewhere: %v", err)
	}
	if err := show(code, "192.0.2.1"); err != nil {
		t.Errorf("after too many wrong ones elsewhere, at home: %v", err)
	}
}

// Attempts that could not be looked at take no tries.
func TestAttemptsThatAreNotLookedAt(t *testing.T) {
	h := newHouse(t, "alice")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	asked := &shape.SignIn{Account: string(account), User: "alice", Password: "right"}
	for range 2 * MaxWrong {
		free, leave := hold(h)
		a, err := h.door.Begin(gone, &admission.Job{}, h.view, asked, network(0), start)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.In(h.view); err == nil || errors.Is(err, ErrFailed) {
			t.Errorf("without a place: %v, of %d", err, free)
		}
		leave()
	}
	if err := h.try("alice", "right", network(0), 0); err != nil {
		t.Error(err)
	}
}

// hold takes all places of hashes for strangers.
func hold(h *house) (taken int, free func()) { return fill(h.door.cfg.Strangers.Requests()) }

// fill takes all places.
func fill(places *admission.Slots) (taken int, free func()) {
	for i := 0; places.Take(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), 1) == nil; i++ {
		taken++
	}
	return taken, func() {
		for i := range taken {
			places.Free(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), 1)
		}
	}
}
