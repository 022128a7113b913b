package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/node/admission"
)

// Limits of keeping keys.
const (
	// FreshFor is how long keys are used before they are fetched anew, and so how long one is
	// good at most that its issuer took back. MaxStale is the same while the issuer does not answer.
	FreshFor = 5 * time.Minute
	MaxStale = time.Hour
	// RefreshEvery is how often keys are fetched for tokens by keys that are not among them, in
	// the long run, and RefreshBurst how often at once.
	RefreshEvery = 10 * time.Second
	RefreshBurst = 8
	// RetryAfter is how long after it failed a fetch is tried again.
	RetryAfter = 5 * time.Second
	// MaxWaiting is how many requests wait for issuers, and MaxWaitingOne how many for one.
	MaxWaiting    = 128
	MaxWaitingOne = 32
	// MaxFetches is how many issuers are asked at once, and MaxFetchesOne how many of those are
	// asked for tokens that one account's providers would take.
	MaxFetches    = 64
	MaxFetchesOne = 16
	// MaxIssuers is of how many issuers keys are kept.
	MaxIssuers = 256
)

var (
	// ErrUnreachable is returned where an issuer does not give its keys, in time or at all.
	ErrUnreachable = errors.New("the issuer does not give its keys")
	// ErrBusy is returned where too many requests wait for issuers.
	ErrBusy = errors.New("too many requests wait for keys of issuers")
)

// Issuer is whose tokens an account trusts.
type Issuer struct {
	URL         string // https://HOST, with a path or without
	Account     string
	Thumbprints []string // as AWS has them: SHA-1 in hexadecimal, lower case
	// Keys are those that were given for it, as GivenKeys wrote them; empty for those that it
	// publishes.
	Keys string
}

// Verifier finds the keys of issuers. It is safe for concurrent use.
type Verifier struct {
	reach   Reach
	now     func() time.Time
	logger  *slog.Logger
	fetches *admission.Slots // by account
	waiting *admission.Slots // by issuer
	// accounts are the same requests by account: one has half of them at most, however many
	// issuers it has.
	accounts *admission.Slots

	mu     sync.Mutex
	kept   map[string]*source // by what its keys depend on; guarded by mu
	parsed map[string]Keys    // that were given, by their text; guarded by mu
}

// New returns a verifier.
func New(reach Reach, now func() time.Time, logger *slog.Logger) *Verifier {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Verifier{reach: reach, now: now, logger: logger, fetches: admission.NewShares(MaxFetches, MaxFetchesOne), waiting: admission.NewShares(MaxWaiting, MaxWaitingOne), accounts: admission.NewShares(MaxWaiting, MaxWaiting/2),
		kept: map[string]*source{}, parsed: map[string]Keys{}}
}

// source is one issuer, as it answers those who know it by the same thumbprints. The lock of
// the verifier guards it.
type source struct {
	keys    Keys
	fetched time.Time // when the keys came; zero for never
	failed  time.Time // when the latest fetch failed; zero where it did not
	used    time.Time
	refresh *rate.Limiter
	pending *fetch // nil while none is under way
}

// fetch is under way until done is closed; err is set before that.
type fetch struct {
	done chan struct{}
	err  error
}

// Keys are those by which a token of an issuer can be, as new as they have to be. It waits for
// the issuer for FetchTimeout at most. Errors wrap ErrUnreachable or ErrBusy, or are the context's.
func (v *Verifier) Keys(ctx context.Context, by *Issuer, t *Token) (Keys, error) {
	if by.Keys != "" {
		return v.given(by.Keys)
	}
	v.mu.Lock()
	s := v.source(by)
	now := v.now()
	s.used = now
	age, failing, resting := now.Sub(s.fetched), !s.failed.IsZero(), now.Sub(s.failed) < RetryAfter
	known, fresh := len(s.keys.of(t)) > 0, age < FreshFor
	switch {
	case fresh && known, fresh && s.pending == nil && (resting || !s.refresh.AllowN(now, 1)):
		defer v.mu.Unlock()
		return s.keys, nil
	case known && failing && age < MaxStale: // nobody waits for an issuer that was silent
		defer v.mu.Unlock()
		if !resting {
			_ = v.begin(s, by) // else another request does
		}
		return s.keys, nil
	case resting:
		v.mu.Unlock()
		return nil, fmt.Errorf("%w: it did not a moment ago", ErrUnreachable)
	}
	if err := v.mayWait(s, by); err != nil {
		defer v.mu.Unlock()
		if known && age < MaxStale { // others keep it from asking
			return s.keys, nil
		}
		return nil, err
	}
	defer v.waiting.Free(by.URL, 1)
	defer v.accounts.Free(by.Account, 1)
	return v.wait(ctx, s, s.pending)
}

// mayWait takes a place among those that wait for the issuer, and among those of the account,
// and begins a fetch. The lock is held.
func (v *Verifier) mayWait(s *source, by *Issuer) error {
	if err := v.accounts.Take(by.Account, 1); err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	err := v.waiting.Take(by.URL, 1)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	} else if err = v.begin(s, by); err != nil {
		v.waiting.Free(by.URL, 1)
	}
	if err != nil {
		v.accounts.Free(by.Account, 1)
	}
	return err
}

// begin begins a fetch, unless one is under way. The lock is held.
func (v *Verifier) begin(s *source, by *Issuer) error {
	if s.pending != nil {
		return nil
	}
	if err := v.fetches.Take(by.Account, 1); err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	s.pending = &fetch{done: make(chan struct{})}
	go v.fetch(s, s.pending, *by)
	return nil
}

// wait waits for a fetch. The lock is held, and given back.
func (v *Verifier) wait(ctx context.Context, s *source, f *fetch) (Keys, error) {
	v.mu.Unlock()
	var err error
	select {
	case <-f.done:
		err = f.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil && (ctx.Err() != nil || v.now().Sub(s.fetched) >= MaxStale) {
		return nil, err
	}
	return s.keys, nil
}

// source is that of an issuer. The lock is held.
func (v *Verifier) source(by *Issuer) *source {
	key := by.URL + "\n" + strings.Join(by.Thumbprints, ",")
	s, ok := v.kept[key]
	if ok {
		return s
	}
	if len(v.kept) >= MaxIssuers {
		oldest := ""
		for k, other := range v.kept {
			if other.pending == nil && (oldest == "" || other.used.Before(v.kept[oldest].used)) {
				oldest = k
			}
		}
		delete(v.kept, oldest) // there is one: fewer are asked at once
	}
	s = &source{refresh: rate.NewLimiter(rate.Every(RefreshEvery), RefreshBurst)}
	v.kept[key] = s
	return s
}

// given are keys that were given, read once.
func (v *Verifier) given(text string) (Keys, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if keys, ok := v.parsed[text]; ok {
		return keys, nil
	}
	keys, err := ParseKeys([]byte(text))
	if err != nil {
		return nil, err
	}
	if len(v.parsed) >= MaxIssuers {
		clear(v.parsed)
	}
	v.parsed[text] = keys
	return keys, nil
}

// fetch has the issuer give its keys, for all who wait. Nobody who goes away ends it.
func (v *Verifier) fetch(s *source, f *fetch, by Issuer) {
	ctx, cancel := context.WithTimeout(context.Background(), FetchTimeout)
	defer cancel()
	keys, err := (&visit{reach: &v.reach, issuer: by.URL, thumbprints: by.Thumbprints, now: v.now()}).keys(ctx)
	if err != nil {
		v.logger.Warn("an issuer of web identity tokens does not give its keys", "issuer", by.URL, "error", short(err))
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fetches.Free(by.Account, 1)
	now := v.now()
	if err == nil {
		s.keys, s.fetched, s.failed = keys, now, time.Time{}
	} else {
		s.failed = now
	}
	s.pending, f.err = nil, err
	close(f.done)
}

// short is the beginning of an error's text: some quote what an issuer sent.
func short(err error) string {
	const most = 256
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// keys reads the issuer's discovery document and the key set that it names.
func (v *visit) keys(ctx context.Context) (Keys, error) {
	client := v.client()
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, client), v.issuer)
	if err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	var document struct {
		KeySet string `json:"jwks_uri"`
	}
	if err := p.Claims(&document); err != nil {
		return nil, fmt.Errorf("read the discovery document: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, document.KeySet, nil)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	got, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the keys: the answer is %s", got.Status)
	}
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return ParseKeys(text)
}
