package sealing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection"
)

const account identity.AccountID = "123456789012"

// keyFile is a file of so many new keys.
func keyFile(t *testing.T, keys int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal.key")
	if err := seal.Generate().SaveFile(path); err != nil {
		t.Fatal(err)
	}
	for range keys - 1 {
		if _, err := seal.AddToFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func open(t *testing.T, path string) *Keys {
	t.Helper()
	k, err := Open(t.Context(), Source{File: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// secrets is a state with a secret of each kind, sealed as the edge seals it, and what they are.
func secrets(t *testing.T, k *seal.Key) (s *identity.State, count int) {
	t.Helper()
	s = identity.NewState()
	put := func(e identity.Event) {
		identity.Evolve(s, s.Position()+1, identity.Meta{Time: 1}, []identity.Event{e})
	}
	sealed := func(p seal.Purpose, context string) []byte {
		b, err := k.Seal(p, context, []byte("secret for "+context))
		if err != nil {
			t.Fatal(err)
		}
		count++
		return b
	}
	const user, serial, provider = "AIDA1", "arn:aws:iam::123456789012:mfa/phone", "arn:aws:iam::123456789012:saml-provider/corp"
	put(&identity.ClusterBootstrapped{Cluster: "c", Incarnation: "i", FeatureLevel: 2})
	put(&identity.AccountCreated{ID: account})
	put(&identity.AccessKeyCreated{Account: account, Owner: identity.ID(account), ID: "AKIA0", Sealed: sealed(seal.AccessKeySecret, "123456789012/AKIA0")})
	put(&identity.RootPasswordSet{Account: account, Sealed: sealed(seal.PasswordHash, "123456789012/123456789012")})
	put(&identity.UserCreated{Account: account, ID: user, Name: "alice", Path: "/"})
	put(&identity.AccessKeyCreated{Account: account, Owner: user, ID: "AKIA1", Sealed: sealed(seal.AccessKeySecret, "123456789012/AKIA1")})
	put(&identity.AccessKeyCreated{Account: account, Owner: user, ID: "AKIA2", Sealed: sealed(seal.AccessKeySecret, "123456789012/AKIA2")})
	put(&identity.LoginProfileCreated{Account: account, User: user, Sealed: sealed(seal.PasswordHash, "123456789012/AIDA1")})
	put(&identity.PasswordSet{User: user, Sealed: sealed(seal.PasswordHash, "123456789012/AIDA1"), Keep: 2})
	put(&identity.MFADeviceCreated{Account: account, ID: serial, Name: "phone", Sealed: sealed(seal.MFASeed, "123456789012/"+serial)})
	put(&identity.ServiceCredentialCreated{Account: account, Owner: user, ID: "ACCA1", Sealed: sealed(seal.ServiceCredentialSecret, "123456789012/ACCA1")})
	put(&identity.ServerCertificateUploaded{Account: account, ID: "ASCA1", Name: "site", Path: "/", Sealed: sealed(seal.ServerCertificateKey, "123456789012/ASCA1")})
	put(&identity.SAMLProviderCreated{Account: account, Name: "corp", Keys: []identity.SAMLKey{{ID: "K1", Sealed: sealed(seal.SAMLPrivateKey, provider+"/K1")}}})
	put(&identity.SessionKeyAdded{Number: 1, Sealed: sealed(seal.SessionKey, "c/i/1")})
	put(&identity.IssuerKeyAdded{Number: 1, Sealed: sealed(seal.IssuerKey, "c/i/1")})
	return s, count
}

// fakeLog is a log that decides and folds, and that fails after so many commands.
type fakeLog struct {
	mu      sync.Mutex
	state   *identity.State // owned by Maintain; guarded by mu
	changed chan struct{}
	left    int // commands until it fails
	lost    bool
	fail    context.CancelFunc
}

var errLost = errors.New("the leader is lost")

func (l *fakeLog) State() *identity.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Snapshot()
}

func (l *fakeLog) Changed() <-chan struct{} { return l.changed }

func (l *fakeLog) Maintain(_ context.Context, c identity.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left < 0 {
		defer l.fail()
		if !l.lost { // the command takes effect, and its proposer does not hear of it
			return errLost
		}
	}
	m := identity.Meta{Time: 2, Rules: identity.CurrentRules}
	events, err := identity.Decide(l.state, m, c)
	if err != nil {
		return err
	}
	identity.Evolve(l.state, l.state.Position()+1, m, events)
	if l.left < 0 {
		return errLost
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Whoever leads may end at each command, before or after it takes effect: whoever leads then
// goes on, every secret is sealed anew once, and opens by the new key alone.
func TestResealingGoesOn(t *testing.T) {
	path := keyFile(t, 2)
	for _, lost := range []bool{false, true} {
		for steps := 0; ; steps++ {
			k := open(t, path)
			s, count := secrets(t, k.Key())
			to := identity.SealKeyID(k.Key().IDs()[1])
			l := &fakeLog{state: s, changed: make(chan struct{}), left: 1, lost: lost, fail: func() {}}
			if err := l.Maintain(t.Context(), &identity.ChooseSealKey{Key: to}); err != nil {
				t.Fatal(err)
			}
			term := func(left int) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				l.left, l.fail = left, cancel
				r := &Resealer{Log: l, Keys: open(t, path), Logger: quiet()}
				for ctx.Err() == nil && l.State().SealKeys().Retired == 0 {
					_ = r.all(ctx, to) // its error is that of the term
				}
			}
			term(steps)
			ended := l.State().SealKeys().Retired != 0
			term(100)
			got := l.State()
			if keys := got.SealKeys(); keys.Retired == 0 || keys.Resealed != uint64(count) {
				t.Fatalf("after %d commands: %+v, of %d", steps, keys, count)
			}
			fresh := fileWith(t, path, 1)
			got.Secrets(identity.SecretPlace{}, func(_ identity.SecretPlace, of []identity.Secret) bool {
				for i := range of {
					purpose, context := place(got.Cluster(), &of[i])
					if plain, err := open(t, fresh).Key().Open(purpose, context, of[i].Sealed); err != nil || string(plain) != "secret for "+context {
						t.Errorf("%+v: %q, %v", of[i], plain, err)
					}
				}
				return true
			})
			if ended {
				break
			}
		}
	}
}

// fileWith is a file of one of the keys of another.
func fileWith(t *testing.T, path string, line int) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(one, []byte(strings.Split(string(text), "\n")[line]), 0o600); err != nil {
		t.Fatal(err)
	}
	return one
}

// A batch is bounded, and many batches seal all.
func TestBatches(t *testing.T) {
	path := keyFile(t, 2)
	k := open(t, path)
	s, _ := secrets(t, k.Key())
	for i := range 2 * batchSecrets {
		id, key := identity.ID(fmt.Sprintf("AIDA%d", i+10)), fmt.Sprintf("AKIA%d", i+10)
		sealed, err := k.Key().Seal(seal.AccessKeySecret, seal.AccessKeyContext(string(account), key), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(s, s.Position()+1, identity.Meta{Time: 1}, []identity.Event{
			&identity.UserCreated{Account: account, ID: id, Name: string(id), Path: "/"},
			&identity.AccessKeyCreated{Account: account, Owner: id, ID: key, Sealed: sealed}})
	}
	to := k.Key().IDs()[1]
	k.Key().Choose(to)
	r, p, all := &Resealer{Keys: k, Logger: quiet()}, &pass{to: identity.SealKeyID(to)}, 0
	for {
		texts := r.batch(s, p)
		if len(texts) == 0 {
			break
		}
		if len(texts) > batchSecrets+identity.MaxSessionKeys || len(texts) > identity.MaxResealed {
			t.Errorf("%d secrets in a batch", len(texts))
		}
		all += len(texts)
	}
	if want := CountOf(s).Left(identity.SealKeyID(to)); uint64(all) != want {
		t.Errorf("%d of %d", all, want)
	}
	// Those that do not open are named, and hold nothing up.
	other := open(t, keyFile(t, 1))
	p = &pass{to: identity.SealKeyID(other.Key().Sealing())}
	if texts := (&Resealer{Keys: other, Logger: quiet()}).batch(s, p); len(texts) != 0 || len(p.stuck) != all || !strings.Contains(p.stuck[0], "AKIA0") {
		t.Errorf("%d texts, %d stuck", len(texts), len(p.stuck))
	}
}

type head event.Position

func (h head) StrictHead(context.Context) (event.Head, error) {
	if h == 0 {
		return event.Head{}, errors.New("nobody leads")
	}
	return event.Head{Position: event.Position(h)}, nil
}

// A node ends where the newest state needs a key that it lacks, and not for an old state, nor
// while nobody says which is the newest.
func TestWatch(t *testing.T) {
	both := keyFile(t, 2)
	k := open(t, both)
	s, _ := secrets(t, k.Key())
	old := s.Snapshot()
	to := identity.SealKeyID(k.Key().IDs()[1])
	l := &fakeLog{state: s, changed: make(chan struct{}), left: 100}
	if err := l.Maintain(t.Context(), &identity.ChooseSealKey{Key: to}); err != nil {
		t.Fatal(err)
	}
	for l.State().SealKeys().Retired == 0 {
		if err := (&Resealer{Log: l, Keys: k, Logger: quiet()}).all(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	now := l.State()
	for name, c := range map[string]struct {
		keys string
		lost []string
		head identity.Position
		ends bool
	}{
		"with both":         {both, nil, now.Position(), false},
		"with the old one":  {fileWith(t, both, 0), nil, now.Position(), true},
		"with the new one":  {fileWith(t, both, 1), nil, now.Position(), false},
		"nobody leads":      {fileWith(t, both, 0), nil, 0, false},
		"the other is lost": {fileWith(t, both, 0), []string{to.String()}, now.Position(), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, err := Open(t.Context(), Source{File: c.keys}, c.lost)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				p, done := projection.New(), make(chan error, 1)
				go func() { done <- k.Watch(ctx, p, head(c.head), quiet()) }()
				for _, s := range []*identity.State{old, now} {
					k.Follow(s)
					synctest.Wait()
					p.Adopt(s, event.Head{Position: s.Position()})
					synctest.Wait()
				}
				k.Follow(old) // late news change nothing
				if k.Key().Sealing() != seal.ID(to) {
					t.Error("another key seals")
				}
				if err := <-done; c.ends != errors.Is(err, ErrLacksKey) || c.ends && !strings.Contains(err.Error(), to.String()) {
					t.Errorf("it ends with %v", err)
				}
			})
		})
	}
}

// What cannot be read, or lacks what is needed, changes nothing.
func TestReload(t *testing.T) {
	path := keyFile(t, 1)
	k := open(t, path)
	s, _ := secrets(t, k.Key())
	before := k.IDs()
	added, err := seal.AddToFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Reload(t.Context(), s); err != nil || !slices.Equal(k.IDs(), append(before, added.String())) || k.Key().Sealing().String() != before[0] {
		t.Fatalf("%v, %v", k.IDs(), err)
	}
	have := k.IDs()
	good, _ := os.ReadFile(path)
	for text, want := range map[string]string{"": "holds no key", "nonsense": "not a key", strings.Split(string(good), "\n")[1]: before[0]} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := k.Reload(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) || !slices.Equal(k.IDs(), have) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if k := (*Keys)(nil); k.Reload(t.Context(), s) != nil || len(k.IDs()) != 0 || k.IDs() == nil || k.Lacking(s) != nil {
		t.Error("a node without keys has some")
	}
}

// Which key is next, and who has to have it.
func TestNext(t *testing.T) {
	k := open(t, keyFile(t, 3))
	s, _ := secrets(t, k.Key())
	ids := k.IDs()
	all := Node{"w1", "writer", ids, ""}
	for name, c := range map[string]struct {
		asked string
		nodes []Node
		want  string
		err   error
	}{
		"the one that is named":          {ids[1], []Node{all, {"r1", "replica", ids[:2], ""}, {"r2", "replica", []string{}, ""}}, ids[1], nil},
		"none is named":                  {"", []Node{all}, "", ErrWhichKey},
		"the one that seals":             {ids[0], []Node{all}, "", ErrNoSuchKey},
		"one that the leader has not":    {"0123456789abcdef", []Node{all}, "", ErrNoSuchKey},
		"a writer lacks it":              {ids[2], []Node{all, {"w2", "writer", ids[:2], ""}}, "", ErrNotEverywhere},
		"a writer has none":              {ids[2], []Node{all, {"w2", "writer", []string{}, ""}}, "", ErrNotEverywhere},
		"a replica lacks it":             {ids[2], []Node{all, {"r1", "replica", ids[:1], ""}}, "", ErrNotEverywhere},
		"a replica has not said it":      {ids[2], []Node{all, {"r1", "replica", nil, "why"}}, "", ErrNotEverywhere},
		"a replica that is without keys": {ids[2], []Node{all, {"r1", "replica", []string{}, ""}}, ids[2], nil},
	} {
		got, err := Next(c.asked, CountOf(s), k.Key(), c.nodes)
		if !errors.Is(err, c.err) || err == nil && got.String() != c.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if n := c.nodes[len(c.nodes)-1]; errors.Is(err, ErrNotEverywhere) && !strings.Contains(err.Error(), n.Name) {
			t.Errorf("%s: %v does not name it", name, err)
		}
	}
	if Said(make([]string, seal.MaxKeys+1)) != nil || Said([]string{"x"}) != nil || Said([]string{}) == nil || Said(ids) == nil {
		t.Error("what is no list of keys is believed")
	}
}

// Where keys come from.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	good := keyFile(t, 2)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"seal": 0o440, "open": 0o444} {
		if err := os.WriteFile(filepath.Join(dir, name), text, mode); err != nil {
			t.Fatal(err)
		}
	}
	script := func(lines string) string {
		path := filepath.Join(t.TempDir(), "helper")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("WRIT_ROOT_SECRET_ACCESS_KEY", "hidden")
	for name, c := range map[string]struct {
		source Source
		dir    string
		says   string // of the error; empty: it is read
	}{
		"file":                    {Source{File: good}, "", ""},
		"credential":              {Source{File: "credential:seal"}, dir, ""},
		"credential by path":      {Source{File: filepath.Join(dir, "seal")}, dir, ""},
		"others may read it":      {Source{File: filepath.Join(dir, "seal")}, "", "chmod 600"},
		"all may read it":         {Source{File: "credential:open"}, dir, "chmod 600"},
		"no directory":            {Source{File: "credential:seal"}, "", "LoadCredential=seal:"},
		"no such credential":      {Source{File: "credential:other"}, dir, "no such file"},
		"out of the directory":    {Source{File: "credential:../seal"}, dir, "no name of a credential"},
		"the directory above":     {Source{File: "credential:.."}, dir, "no name of a credential"},
		"program":                 {Source{Command: script(`[ "$1 $2" = "a b" ] && cat `+good) + "  a b"}, "", ""},
		"environment":             {Source{Command: script(`[ -z "$WRIT_ROOT_SECRET_ACCESS_KEY" ] && cat ` + good)}, "", ""},
		"program by name":         {Source{Command: "cat " + good}, "", "absolute path"},
		"no program":              {Source{Command: " "}, "", "absolute path"},
		"program that is missing": {Source{Command: dir + "/missing"}, "", "no such file"},
		"program that fails":      {Source{Command: script("echo the vault is shut >&2; exit 3")}, "", "exit status 3; run it by hand"},
		"program that tells":      {Source{Command: script("cat " + good + " >&2; exit 3")}, "", "exit status 3; run it by hand"},
		"program without keys":    {Source{Command: script("exit 0")}, "", "holds no key"},
		"program with too much":   {Source{Command: script("head -c 1000000 /dev/zero")}, "", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(credentials, c.dir)
			k, err := c.source.Load(t.Context())
			switch {
			case c.says == "" && (err != nil || len(k.IDs()) != 2):
				t.Errorf("%v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, not %q", err, c.says)
			case err != nil && strings.Contains(err.Error(), strings.TrimSpace(string(text[:20]))):
				t.Errorf("a key is told: %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // in place of CommandTimeout
	defer cancel()
	if _, err := (Source{Command: script("exec sleep 60")}).Load(ctx); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("a program that goes on: %v", err)
	}
}
