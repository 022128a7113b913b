package password

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/node/admission"
)

// Limits of hashing on one node.
const (
	// MaxHashes is how many hashes are made at once, which bounds their memory: each takes
	// 19 MiB. Shifts bound the processors.
	MaxHashes = 4
	// MaxRequests is how many requests may hash or wait for it, MaxRequestsOne those of one
	// caller.
	MaxRequests    = 32
	MaxRequestsOne = 2
	// MaxStrangersHashes is how many more are made at once for those who have proved nothing,
	// such as whoever signs in: they take no place from callers who are known. As many of
	// their requests hash or wait for it.
	MaxStrangersHashes = 2
)

// Limits of guessing at a user's password on one node.
const (
	// MaxWrong is how often a user's password may be told wrong, until WrongTime is over.
	MaxWrong = 5
	// WrongTime is after how long one more may be.
	WrongTime = time.Minute
)

// Hasher hashes for all requests of a node. Safe for concurrent use.
type Hasher struct {
	cost   Cost
	hashes *admission.Workshop
	wrong  *admission.Tries
	made   atomic.Uint64
}

// NewHasher returns a hasher whose new hashes have that cost.
func NewHasher(cost Cost) *Hasher { return newHasher(cost, "passwords", MaxHashes) }

// NewStrangersHasher is NewHasher for requests of those who have proved nothing.
func NewStrangersHasher(cost Cost) *Hasher { return newHasher(cost, signIns, MaxStrangersHashes) }

func newHasher(cost Cost, name string, atOnce int) *Hasher {
	if cost == (Cost{}) {
		cost = Cost{Memory: memory, Passes: passes, Threads: threads}
	}
	return &Hasher{cost: cost, hashes: admission.NewWorkshop(name, MaxRequests, MaxRequestsOne, atOnce), wrong: admission.NewTries(MaxWrong, WrongTime)}
}

// Requests are the places of requests that hash or wait for it.
func (h *Hasher) Requests() *admission.Slots { return h.hashes.Requests() }

// Made is how many hashes were made, to store or to compare.
func (h *Hasher) Made() uint64 { return h.made.Load() }

// Decoy returns the hash of no password, of the cost of new ones: to verify a password by it
// takes the work that it takes for a user who is there.
func (h *Hasher) Decoy(random io.Reader) (string, error) {
	d := hash{cost: h.cost, salt: make([]byte, saltSize), sum: make([]byte, sumSize)}
	for _, b := range [...][]byte{d.salt, d.sum} {
		if _, err := io.ReadFull(random, b); err != nil {
			return "", fmt.Errorf("read a decoy: %w", err)
		}
	}
	return d.String(), nil
}

// Checker is the hashing of one request. Its zero value belongs to no hasher and fails. One
// goroutine may use it.
type Checker struct {
	hasher *Hasher
	in     *admission.Workshop // the hasher's, by the name that its caller is to be told
	ctx    context.Context
	job    *admission.Job
	who    string
	now    time.Time

	made  map[string]string // hash by password; nil before the first
	found map[guess]answer  // what was found out; nil before the first
}

// guess is whether a hash is that of a password.
type guess struct{ hash, password string }

type answer struct{ right bool }

// ErrNoHasher is returned where nothing hashes.
var ErrNoHasher = errors.New("nothing hashes passwords here")

// Begin makes a checker ready for a request of a caller, unless it is: a request that is
// authorized anew goes on with what it has found out.
func (h *Hasher) Begin(t *Checker, ctx context.Context, job *admission.Job, who string, now time.Time) {
	if t.hasher == nil {
		*t = Checker{hasher: h, in: h.hashes, ctx: ctx, job: job, who: who, now: now}
	}
}

// SignIn is Begin for a sign-in, which is told nothing of which hasher it has come to: where
// that is busy, it is so with sign-ins, and that is the sign-in's to count.
func (h *Hasher) SignIn(t *Checker, ctx context.Context, job *admission.Job, who string, now time.Time) {
	*t = Checker{hasher: h, in: h.hashes.As(signIns), ctx: ctx, job: job, who: who, now: now}
}

// SignIns is the workshop of the hasher, as sign-ins see it.
func (h *Hasher) SignIns() *admission.Workshop { return h.hashes.As(signIns) }

// signIns is what keeps a hasher busy, for whoever signs in.
const signIns = "sign-ins"

// Hash returns the hash of a password, under a new salt; the same one when it is asked
// again. Where too many requests hash the error is a *fault.Fault to be tried again.
func (t *Checker) Hash(random io.Reader, password string) (string, error) {
	if text, ok := t.made[password]; ok {
		return text, nil
	}
	leave, err := t.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	h, err := newHash(t.hasher.cost, random, password)
	if err != nil {
		return "", err
	}
	if t.made == nil {
		t.made = map[string]string{}
	}
	t.made[password] = h.String()
	return h.String(), nil
}

// Matches tells whether a hash is that of a password. Errors are as Hash's, or ErrHash.
func (t *Checker) Matches(hash, password string) (bool, error) {
	q := guess{hash, password}
	if a, ok := t.found[q]; ok {
		return a.right, nil
	}
	h, err := parse(hash)
	if err != nil {
		return false, err
	}
	leave, err := t.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	right := h.matches(password)
	if t.found == nil {
		t.found = map[guess]answer{}
	}
	t.found[q] = answer{right}
	return right, nil
}

// Guess is Matches for a password that somebody claims to know of a user: the user's wrong
// ones are counted, and bounded by admission.ErrTries.
func (t *Checker) Guess(user, hash, password string) (bool, error) {
	if a, ok := t.found[guess{hash, password}]; ok {
		return a.right, nil
	}
	if t.hasher == nil {
		return false, ErrNoHasher
	}
	if err := t.hasher.wrong.Take(user, t.now); err != nil {
		return false, err
	}
	right, err := t.Matches(hash, password)
	if right || err != nil { // what could not be found out tells a guesser nothing
		t.hasher.wrong.Return(user, t.now)
	}
	return right, err
}

// enter waits until a hash may be made, and returns how to say that it is.
func (t *Checker) enter() (leave func(), err error) {
	if t.hasher == nil {
		return nil, ErrNoHasher
	}
	leave, err = t.in.Enter(t.ctx, t.job, t.who)
	if err == nil {
		t.hasher.made.Add(1)
	}
	return leave, err
}
