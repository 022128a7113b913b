package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/node/federation/oidc"
)

// clock is a node's that a test sets.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time           { return noon.Add(time.Duration(c.at.Load())) }
func (c *clock) advance(by time.Duration) { c.at.Add(int64(by)) }

// node is a verifier with its clock.
type node struct {
	*oidc.Verifier
	*clock
	t testing.TB
}

// reaching is a node that reaches what a setting names.
func reaching(t testing.TB, certificates []byte, internal ...string) *node {
	t.Helper()
	reach, err := oidc.ParseReach(internal, certificates)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{clock: &clock{}, t: t}
	n.Verifier = oidc.New(reach, n.now, nil)
	return n
}

// beside is a node that knows an issuer.
func beside(t testing.TB, i *issuertest.Issuer) *node { return reaching(t, i.CA, i.Setting()) }

// try verifies a token of an issuer.
func (n *node) try(token string, by oidc.Issuer) error {
	n.t.Helper()
	t, err := oidc.Parse(token)
	if err != nil {
		n.t.Fatal(err)
	}
	if by.URL == "" {
		by.URL = issuer
	}
	keys, err := n.Keys(n.t.Context(), &by, t)
	if err == nil {
		_, err = t.Verify(keys, n.now())
	}
	return err
}

// long is a token that outlives the test.
func long(i *issuertest.Issuer) string {
	return i.Token(map[string]any{"exp": noon.Add(24 * time.Hour).Unix()})
}

func (n *node) want(what, token string, want error) {
	n.t.Helper()
	if err := n.try(token, oidc.Issuer{}); !errors.Is(err, want) {
		n.t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func TestKeysAreKept(t *testing.T) {
	i := start(t)
	n := beside(t, i)
	for range 3 {
		n.want("a token", long(i), nil)
	}
	if got := i.Visits(); got != 1 {
		t.Errorf("the issuer was asked %d times", got)
	}
	n.advance(oidc.FreshFor)
	n.want("a token later", long(i), nil)
	if got := i.Visits(); got != 2 {
		t.Errorf("the issuer was asked %d times in all, not anew", got)
	}
}

// TestRotation changes the key of an issuer while it is in use: the next token by the new key
// is good at once, the one before it no longer than keys are fresh.
func TestRotation(t *testing.T) {
	i := start(t)
	n := beside(t, i)
	before := long(i)
	n.want("before", before, nil)
	i.Rotate()
	n.want("by the new key", long(i), nil)
	n.want("by a key that was taken back", before, oidc.ErrUnknownKey)
}

// TestUnknownKeysAreLookedForSeldom has a stranger make up names of keys.
func TestUnknownKeysAreLookedForSeldom(t *testing.T) {
	i := start(t)
	n := beside(t, i)
	good := long(i)
	n.want("a token", good, nil)
	for k := range 50 {
		made := issuertest.Key{ID: "made-" + strconv.Itoa(k), Algorithm: jose.RS256, Private: i.Key().Private}
		n.want("by a key that is made up", issuertest.Sign(t, made, i.Claims(nil), nil), oidc.ErrUnknownKey)
	}
	if got := i.Visits(); got != 1+oidc.RefreshBurst {
		t.Errorf("the issuer was asked %d times", got)
	}
	n.want("a token meanwhile", good, nil)
	i.Rotate()
	n.advance(oidc.RefreshEvery)
	n.want("by the new key, a little later", long(i), nil)
}

func TestIssuerIsAway(t *testing.T) {
	i := start(t)
	n := beside(t, i)
	good := long(i)
	n.want("a token", good, nil)
	i.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	for n.advance(oidc.FreshFor); n.now().Before(noon.Add(oidc.MaxStale)); n.advance(oidc.FreshFor) {
		n.want("while keys are stale", good, nil)
	}
	n.advance(time.Second)
	n.want("when keys are too stale", good, oidc.ErrUnreachable)
	i.Serve(nil)
	n.want("at once", good, oidc.ErrUnreachable)
	n.advance(oidc.RetryAfter)
	n.want("when it answers again", good, nil)
}

// hanging answers nobody before the test ends.
func hanging(t testing.TB) (h http.Handler, asked chan struct{}) {
	asked, done := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(done) })
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}), asked
}

// TestIssuerHangs: few wait for it, for a bounded time, and nobody else.
func TestIssuerHangs(t *testing.T) {
	hangs, other := start(t), issuertest.New(t, "https://other.test")
	other.At(noon)
	h, asked := hanging(t)
	hangs.Serve(h)
	n := reaching(t, append(hangs.CA, other.CA...), hangs.Setting(), other.Setting())
	token, begun := long(hangs), time.Now()
	waiting := make(chan error, 4*oidc.MaxWaitingOne)
	for range cap(waiting) {
		go func() { waiting <- n.try(token, oidc.Issuer{}) }()
	}
	<-asked
	busy := cap(waiting) - oidc.MaxWaitingOne
	for range busy {
		if err := <-waiting; !errors.Is(err, oidc.ErrBusy) {
			t.Errorf("more than may wait: %v", err)
		}
	}
	if err := n.try(long(other), oidc.Issuer{URL: other.URL}); err != nil {
		t.Errorf("another issuer meanwhile: %v", err)
	}
	for range oidc.MaxWaitingOne {
		if err := <-waiting; !errors.Is(err, oidc.ErrUnreachable) {
			t.Errorf("who waited: %v", err)
		}
	}
	if took := time.Since(begun); took < oidc.FetchTimeout {
		t.Errorf("it was given up after %v", took)
	}
	n.want("a moment later", token, oidc.ErrUnreachable)
}

// TestAnAccountsIssuersHang: however many issuers one account has, half of the places of those
// who wait are for others.
func TestAnAccountsIssuersHang(t *testing.T) {
	const issuers, share = 4, oidc.MaxWaiting / 2
	h, asked := hanging(t)
	var list []*issuertest.Issuer
	var settings []string
	var certificates []byte
	for k := range issuers + 1 {
		i := issuertest.New(t, "https://issuer-"+strconv.Itoa(k)+".test")
		i.At(noon)
		list, settings, certificates = append(list, i), append(settings, i.Setting()), append(certificates, i.CA...)
		if k < issuers {
			i.Serve(h)
		}
	}
	n := reaching(t, certificates, settings...)
	ctx, cancel := context.WithCancel(t.Context())
	ask := func(k int, account string) error {
		token, err := oidc.Parse(list[k].Token(nil))
		if err != nil {
			return err
		}
		_, err = n.Keys(ctx, &oidc.Issuer{URL: list[k].URL, Account: account}, token)
		return err
	}
	waiting := make(chan error, issuers*oidc.MaxWaitingOne) // as many as all may be
	for k := range cap(waiting) {
		go func() { waiting <- ask(k%issuers, "1") }()
	}
	<-asked
	for range cap(waiting) - share {
		if err := <-waiting; !errors.Is(err, oidc.ErrBusy) {
			t.Errorf("more than may wait of one account: %v", err)
		}
	}
	if err := ask(0, "1"); !errors.Is(err, oidc.ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if err := ask(issuers, "2"); err != nil {
		t.Errorf("another account meanwhile: %v", err)
	}
	cancel()
	for range share {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited: %v", err)
		}
	}
}

// TestIssuerHangsWhileKeysAreStale: nobody but the first waits.
func TestIssuerHangsWhileKeysAreStale(t *testing.T) {
	i := start(t)
	n := beside(t, i)
	good := long(i)
	n.want("a token", good, nil)
	h, _ := hanging(t)
	i.Serve(h)
	n.advance(oidc.FreshFor)
	n.want("the first, who waits", good, nil)
	n.advance(oidc.RetryAfter)
	begun := time.Now()
	for range 100 {
		n.want("the others, while it hangs", good, nil)
	}
	if took := time.Since(begun); took >= oidc.FetchTimeout {
		t.Errorf("they took %v", took)
	}
}

// endless writes without end.
type endless struct{ wrote atomic.Int64 }

func (e *endless) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	piece := []byte(`{"x":"` + strings.Repeat("x", 4096))
	for {
		n, err := w.Write(piece)
		if e.wrote.Add(int64(n)); err != nil {
			return
		}
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	i := start(t)
	never := &endless{}
	discovers := func(document string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "openid-configuration") {
				_, _ = w.Write([]byte(document))
				return
			}
			i.Publish(w, r)
		})
	}
	leads := func(to string) http.Handler { return http.RedirectHandler(to, http.StatusFound) }
	internal, secrets := start(t), new(atomic.Int64)
	internal.Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { secrets.Add(1) }))
	for name, h := range map[string]http.Handler{
		"endless":                 never,
		"of another issuer":       discovers(`{"issuer":"https://other.test","jwks_uri":"` + issuer + `/keys"}`),
		"without keys":            discovers(`{"issuer":"` + issuer + `"}`),
		"no JSON":                 discovers(`<html>`),
		"with keys in the clear":  discovers(`{"issuer":"` + issuer + `","jwks_uri":"http://` + i.Addr + `/keys"}`),
		"with keys on the inside": discovers(`{"issuer":"` + issuer + `","jwks_uri":"https://` + internal.Addr + `/keys"}`),
		"with keys in a file":     discovers(`{"issuer":"` + issuer + `","jwks_uri":"file:///etc/passwd"}`),
		"that lead inside":        leads("https://" + internal.Addr + "/"),
		"that lead to metadata":   leads("https://169.254.169.254/latest/meta-data/"),
		"that lead to plain text": leads("http://" + internal.Addr + "/"),
		"that lead in a circle":   leads(issuer + "/again"),
	} {
		t.Run(name, func(t *testing.T) {
			i.Serve(h)
			begun := time.Now()
			beside(t, i).want(name, long(i), oidc.ErrUnreachable)
			if took := time.Since(begun); took > 2*oidc.FetchTimeout {
				t.Errorf("it took %v", took)
			}
		})
	}
	if secrets.Load() != 0 {
		t.Error("what is inside was asked")
	}
	if n := never.wrote.Load(); n > 64<<20 {
		t.Errorf("an endless document was read on for %d bytes", n)
	}
}

// TestReach says which addresses are connected to.
func TestReach(t *testing.T) {
	i := start(t)
	_, port, _ := strings.Cut(i.Addr, ":")
	local := "https://127.0.0.1:" + port
	for name, c := range map[string]struct {
		issuer   string
		internal []string
		reached  bool
	}{
		"no setting":               {local, nil, false},
		"another issuer":           {local, []string{"https://other.test"}, false},
		"another network":          {local, []string{"10.0.0.0/8"}, false},
		"the issuer":               {local, []string{local}, true},
		"the network":              {local, []string{"127.0.0.0/8"}, true},
		"the issuer and its place": {issuer, []string{i.Setting()}, true},
		"the name without place":   {"https://localhost:" + port, []string{"https://localhost:" + port}, true},
		"metadata by its name":     {"https://169.254.169.254", []string{"https://169.254.169.254"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := i.Visits()
			asked := new(atomic.Int64)
			i.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusNotFound)
			}))
			n := reaching(t, i.CA, c.internal...)
			err := n.try(i.Token(map[string]any{"iss": c.issuer}), oidc.Issuer{URL: c.issuer})
			if !errors.Is(err, oidc.ErrUnreachable) || i.Visits() != before {
				t.Fatalf("keys came: %v", err)
			}
			// A server that is connected to shows a certificate, whose name is another's.
			connected := asked.Load() > 0 || strings.Contains(err.Error(), "certificate")
			if connected != c.reached {
				t.Errorf("%v; want that it is reached: %v", err, c.reached)
			}
		})
	}
	for _, bad := range []string{"http://issuer.test", "issuer.test", "https://", "https://a@issuer.test", "https://issuer.test?x", "https://issuer.test=nowhere", ""} {
		if _, err := oidc.ParseReach([]string{bad}, nil); !errors.Is(err, oidc.ErrReach) {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
	if _, err := oidc.ParseReach(nil, []byte("no certificate")); !errors.Is(err, oidc.ErrReach) {
		t.Errorf("certificates that are none: %v", err)
	}
}

// TestNamedServers: an issuer that is named opens its own port, and leads to what else is named,
// but not to what else its host serves.
func TestNamedServers(t *testing.T) {
	i, elsewhere := start(t), strings.Replace(issuer, ".test", ".test:8443", 1)
	i.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","jwks_uri":"` + elsewhere + `/keys"}`))
			return
		}
		i.Publish(w, r)
	}))
	reaching(t, i.CA, i.Setting()).want("another port, which nobody names", long(i), oidc.ErrUnreachable)
	if i.Visits() != 0 {
		t.Error("it was asked there")
	}
	reaching(t, i.CA, i.Setting(), elsewhere+"="+i.Addr).want("another port, which is named", long(i), nil)
	reach, err := oidc.ParseReach([]string{"https://A.test/one", "https://a.test/two", "https://b.test:8443", "https://[fd00::1]/x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		issuer, server string
		opens          bool
	}{
		{"https://A.test/one", "a.test:443", true}, {"https://a.test/two", "b.test:8443", true}, {"https://b.test:8443", "a.test:443", true},
		{"https://[fd00::1]/x", "[fd00::1]:443", true},
		{"https://a.test/two", "a.test:6443", false}, {"https://b.test:8443", "b.test:443", false},
		{"https://a.test/three", "a.test:443", false}, {"https://c.test", "b.test:8443", false},
	} {
		if got := reach.Opens(c.issuer, c.server); got != c.opens {
			t.Errorf("%s opens %s: %v", c.issuer, c.server, got)
		}
	}
}

// TestCertificates: a server is believed for an authority that is set, or for a thumbprint.
func TestCertificates(t *testing.T) {
	i, stranger := start(t), start(t)
	for name, c := range map[string]struct {
		ca         []byte
		thumbprint string
		want       error
	}{
		"by nobody":             {nil, "", oidc.ErrUnreachable},
		"by the authority":      {i.CA, "", nil},
		"by another authority":  {stranger.CA, "", oidc.ErrUnreachable},
		"by the thumbprint":     {nil, i.Thumbprint, nil},
		"by another thumbprint": {nil, stranger.Thumbprint, oidc.ErrUnreachable},
		"by both, one of them":  {i.CA, stranger.Thumbprint, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := reaching(t, c.ca, i.Setting())
			if err := n.try(long(i), oidc.Issuer{Thumbprints: []string{c.thumbprint}}); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	t.Run("keys that came for one are not another's", func(t *testing.T) {
		n := reaching(t, nil, i.Setting())
		if err := n.try(long(i), oidc.Issuer{Account: "1", Thumbprints: []string{i.Thumbprint}}); err != nil {
			t.Fatal(err)
		}
		if err := n.try(long(i), oidc.Issuer{Account: "2"}); !errors.Is(err, oidc.ErrUnreachable) {
			t.Errorf("whom no thumbprint vouches to: %v", err)
		}
	})
}

func TestGivenKeys(t *testing.T) {
	i := start(t)
	given, err := oidc.GivenKeys(i.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	n := reaching(t, nil)
	if err := n.try(long(i), oidc.Issuer{Keys: given}); err != nil || i.Visits() != 0 {
		t.Errorf("with keys that were given: %v, and the issuer was asked %d times", err, i.Visits())
	}
	i.Rotate()
	if err := n.try(long(i), oidc.Issuer{Keys: given}); !errors.Is(err, oidc.ErrUnknownKey) {
		t.Errorf("with keys that are others: %v", err)
	}
}

// TestManyIssuers names more than are kept.
func TestManyIssuers(t *testing.T) {
	n := reaching(t, nil)
	i := start(t)
	var all sync.WaitGroup
	for k := range 2 * oidc.MaxIssuers {
		url := "https://127.0.0.1/" + strconv.Itoa(k)
		token := i.Token(map[string]any{"iss": url})
		if k%8 == 7 {
			all.Wait()
		}
		all.Go(func() {
			if err := n.try(token, oidc.Issuer{URL: url, Account: "1"}); !errors.Is(err, oidc.ErrUnreachable) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := n.Kept(); got > oidc.MaxIssuers {
		t.Errorf("%d issuers are kept", got)
	}
}
