package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/writ-iam/writ/log/event"
)

// The clients that write.
const (
	// toggles is how many principals have their policy attached and detached, each
	// by a client of its own.
	toggles = 4
	// makers is how many clients create, tag and delete users.
	makers    = 4
	writeRest = 150 * time.Millisecond // of each client between two writes, on average
	// writeLimit bounds a write with all its retries, attemptLimit one of them.
	writeLimit   = 75 * time.Second
	attemptLimit = 12 * time.Second
	// lostLife is how long an attempt that got no answer may be under way: a node waits so
	// long for a leader, and the network may hold back what it has sent.
	lostLife = 40 * time.Second
	// maxTokens is how many tokens of recent writes readers and waiters choose from.
	maxTokens = 256
)

// balancer sends each attempt of an SDK to another node, as a load balancer does. The
// signature covers the name of the balancer, not of the node.
type balancer struct {
	members []*member
	next    atomic.Uint64
	inner   http.RoundTripper
}

// endpoint is the name that the SDK knows.
const endpoint = "http://writ.example:8420"

// RoundTrip sends r to the next node.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	m := b.members[b.next.Add(1)%uint64(len(b.members))]
	out := r.Clone(r.Context())
	out.Host = r.URL.Host
	out.URL.Host = m.addr + ":" + strconv.Itoa(portAPI)
	t, traced := r.Context().Value(trailKey{}).(*trail)
	if !traced {
		return b.inner.RoundTrip(out)
	}
	begun := t.judge.now()
	answer, err := b.inner.RoundTrip(out)
	told := ""
	if err != nil {
		told = err.Error()
		t.lose()
	} else {
		told = answer.Status + " " + answer.Header.Get("X-Amzn-RequestId")
	}
	t.add(fmt.Sprintf("%s at %.3fs to %.3fs: %s", m.name, begun.Seconds(), t.judge.now().Seconds(), told))
	return answer, err
}

// trail is what became of each attempt at one write.
type trail struct {
	judge *judge
	mu    sync.Mutex // guards the rest
	lines []string
	lost  bool // an attempt got no answer, and may yet arrive
}

type trailKey struct{}

func (t *trail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
}

func (t *trail) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = true
}

// open tells whether an attempt may yet arrive. One that took effect takes no other.
func (t *trail) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// String is one line for each attempt.
func (t *trail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "\n            " + strings.Join(t.lines, "\n            ")
}

// sdk returns an IAM client of the whole cluster, with retries as an application
// has them that means it.
func (w *workload) sdk(id, secret string, seed uint64) *iam.Client {
	return w.sdkOf(session{id: id, secret: secret}, seed)
}

// sdkOf is sdk for credentials of any kind.
func (w *workload) sdkOf(s session, seed uint64) *iam.Client {
	t := transport()
	t.ResponseHeaderTimeout = attemptLimit
	b := &balancer{members: w.lab.members, inner: t}
	b.next.Store(seed)
	return iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: b, Timeout: attemptLimit},
		Credentials: credentials.NewStaticCredentialsProvider(s.id, s.secret, s.token),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = 60, time.Second
			o.RateLimiter = unlimited{}
		}),
	})
}

// unlimited lets a client retry as often as its attempts allow.
type unlimited struct{}

// GetToken always has one.
func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}

// AddTokens does nothing.
func (unlimited) AddTokens(uint) error { return nil }

// Outcomes of a write.
const (
	outcomeDone    = "done"
	outcomeRefused = "refused"
	outcomeUnknown = "unknown"
	outcomeLost    = "done, and lost with an incarnation"
)

// write is one write as its client saw it.
type write struct {
	action    string
	subject   string // user name, or access key id
	value     string // of a toggle: "on" or "off"
	id        string // that a creation returned
	sent, got time.Duration
	outcome   string
	code      string // of a refusal
	message   string // likewise
	trail     *trail
	position  event.Position
	fresh     bool // it surely changed something, if it was done
}

// workload is all clients.
type workload struct {
	lab   *lab
	judge *judge
	rng   func() *rand.Rand // a new one for each client
	api   *iam.Client

	policy     string   // ARN that is attached and detached
	principals []string // user names of the toggles
	keys       keyPair  // of the credential that is switched on and off
	outsider   string   // access key of who is denied what is set apart
	outside    *iam.Client
	broker     session      // who asks for sessions
	keyEnds    atomic.Int64 // how often session keys were revoked, or may have been
	keysEnding atomic.Int64 // how many revocations of session keys are under way

	mu     sync.Mutex // guards all below
	writes []write
	tokens []token // of recent writes, a ring
	turn   int
	waits  chan token
	secret []string // that no file may hold
	latest session  // that was made
	// incarnations is how many have ended by restores.
	incarnations int
	// sessions is how many were made, ended where those ended that did.
	sessions int
	ended    map[string]event.Position
	// shownEnd is the latest end that was acknowledged.
	shownEnd token
}

// token is a write's.
type token struct {
	text     string
	position event.Position
	acked    time.Duration
}

// keyPair is an access key of a user.
type keyPair struct{ user, id, secret string }

func newWorkload(l *lab, j *judge, seed uint64) *workload {
	var n atomic.Uint64
	w := &workload{lab: l, judge: j, waits: make(chan token, 8), secret: []string{l.root.SecretAccessKey}}
	w.rng = func() *rand.Rand { return rand.New(rand.NewPCG(seed, 1000+n.Add(1))) }
	w.api = w.sdk(l.root.AccessKeyID, l.root.SecretAccessKey, seed)
	return w
}

// prepare makes the principals, the policy and the access key.
func (w *workload) prepare(ctx context.Context) error {
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","iam:CreateUser","iam:ListUsers","writ:*"],"Resource":"*"}]}`
	made, err := w.api.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("toggled"), PolicyDocument: aws.String(document)})
	if err != nil {
		return fmt.Errorf("make the policy: %w", err)
	}
	w.policy = aws.ToString(made.Policy.Arn)
	for i := range toggles {
		name := fmt.Sprintf("principal-%d", i)
		if out := w.createUser(ctx, name); out.outcome != outcomeDone {
			return fmt.Errorf("make %s: %s", name, out.code)
		}
		w.principals = append(w.principals, name)
	}
	w.keys.user = "key-holder"
	if out := w.createUser(ctx, w.keys.user); out.outcome != outcomeDone {
		return fmt.Errorf("make the holder of the key: %s", out.code)
	}
	if out := w.setAttached(ctx, w.keys.user, true, true); out.outcome != outcomeDone {
		return fmt.Errorf("attach its policy: %s", out.code)
	}
	key, err := w.api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &w.keys.user})
	if err != nil {
		return fmt.Errorf("make its key: %w", err)
	}
	w.keys.id, w.keys.secret = aws.ToString(key.AccessKey.AccessKeyId), aws.ToString(key.AccessKey.SecretAccessKey)
	w.secret = append(w.secret, w.keys.secret)
	if err := w.prepareDuels(ctx); err != nil {
		return err
	}
	return w.prepareSessions(ctx)
}

// run runs all clients until ctx ends, and returns when their last requests have.
func (w *workload) run(ctx context.Context) {
	if w.incarnations > 0 {
		w.again(ctx)
	}
	var wg sync.WaitGroup
	for i := range w.principals {
		rng := w.rng()
		wg.Go(func() { w.toggle(ctx, i, rng) })
	}
	for i := range makers {
		rng := w.rng()
		wg.Go(func() { w.makeUsers(ctx, i, rng) })
	}
	wg.Go(func() { w.switchKey(ctx) })
	duelling := w.rng()
	wg.Go(func() { w.duels(ctx, duelling) })
	for i := range enders {
		rng := w.rng()
		wg.Go(func() { w.endSessions(ctx, i, rng) })
	}
	for _, m := range w.lab.places() {
		for _, mode := range []string{"leased", "any", "at_least", "strict"} {
			rng := w.rng()
			wg.Go(func() { w.read(ctx, m, mode, rng) })
		}
	}
	for range waiters {
		rng := w.rng()
		wg.Go(func() { w.waiting(ctx, rng) })
	}
	wg.Wait()
}

// rest is a client's pause between two writes; false says that it is over.
func rest(ctx context.Context, rng *rand.Rand, mean time.Duration) bool {
	return pause(ctx, mean/2+rand.N(mean)+time.Duration(rng.Int64N(int64(time.Millisecond))))
}

// do sends a write with all retries that it takes and writes down what came of it.
func (w *workload) do(ctx context.Context, r write, call func(ctx context.Context) (middleware.Metadata, error)) write {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	r.trail = &trail{judge: w.judge}
	r.sent = w.judge.now()
	meta, err := call(context.WithValue(ctx, trailKey{}, r.trail))
	r.got = w.judge.now()
	var refused smithy.APIError
	var answered *smithyhttp.ResponseError
	switch {
	case err == nil:
		r.outcome = outcomeDone
		w.acknowledged(&r, meta)
	case errors.As(err, &refused) && errors.As(err, &answered) && answered.HTTPStatusCode() < 500:
		r.outcome, r.code, r.message = outcomeRefused, refused.ErrorCode(), refused.ErrorMessage()
	default:
		r.outcome, r.code = outcomeUnknown, err.Error()
	}
	kept := r
	if r.outcome == outcomeDone {
		kept.trail = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, kept)
	return r
}

// acknowledged takes in where a write took effect.
func (w *workload) acknowledged(r *write, meta middleware.Metadata) {
	raw, ok := awsmiddleware.GetRawResponse(meta).(*smithyhttp.Response)
	if !ok {
		w.judge.violate("a write without a position", "%s %s: no answer to read it from", r.action, r.subject)
		return
	}
	text := raw.Header.Get("X-Writ-Token")
	t, err := event.ParseToken(text)
	if err != nil {
		w.judge.violate("a write without a position", "%s %s: token %q", r.action, r.subject, text)
		return
	}
	r.position = t.Position
	w.judge.ack(t.Position)
	w.remember(token{text, t.Position, r.got})
}

func (w *workload) remember(t token) {
	w.mu.Lock()
	if len(w.tokens) < maxTokens {
		w.tokens = append(w.tokens, t)
	} else {
		w.tokens[w.turn%maxTokens] = t
	}
	w.turn++
	w.mu.Unlock()
	select {
	case w.waits <- t: // a waiter is free
	default:
	}
}

// someToken chooses among the tokens of recent writes.
func (w *workload) someToken(rng *rand.Rand) (token, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tokens) == 0 {
		return token{}, false
	}
	return w.tokens[rng.IntN(len(w.tokens))], true
}

func (w *workload) createUser(ctx context.Context, name string) write {
	var id string
	r := w.do(ctx, write{action: "CreateUser", subject: name, fresh: true}, func(ctx context.Context) (middleware.Metadata, error) {
		out, err := w.api.CreateUser(ctx, &iam.CreateUserInput{UserName: &name, Tags: []types.Tag{{Key: aws.String("made-by"), Value: aws.String("rig")}}})
		if err != nil {
			return middleware.Metadata{}, err
		}
		id = aws.ToString(out.User.UserId)
		return out.ResultMetadata, nil
	})
	r.id = id
	w.expect(r)
	return r
}

// expect finds fault with a refusal that the client's own history rules out.
func (w *workload) expect(r write) {
	if r.outcome != outcomeRefused {
		return
	}
	switch r.code {
	case "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidClientTokenId", "Throttling":
		// the clocks of the node that answered may be wrong
		w.judge.moment("a write refused with " + r.code)
		return
	}
	if r.fresh {
		w.judge.violate("I15 a refusal that the history rules out", "%s of %s, sent at %.3fs, is refused at %.3fs with %s: %s%s",
			r.action, r.subject, r.sent.Seconds(), r.got.Seconds(), r.code, r.message, r.trail)
	}
}

// makeUsers creates users, tags them, and deletes some.
func (w *workload) makeUsers(ctx context.Context, who int, rng *rand.Rand) {
	var mine []string
	for n := 0; rest(ctx, rng, writeRest); n++ {
		switch k := rng.IntN(10); {
		case k < 6 || len(mine) == 0:
			name := w.called("user-%d-%d", who, n)
			if w.createUser(ctx, name).outcome == outcomeDone {
				mine = append(mine, name)
			}
		case k < 8:
			name := mine[rng.IntN(len(mine))]
			w.expect(w.do(ctx, write{action: "TagUser", subject: name, fresh: true}, func(ctx context.Context) (middleware.Metadata, error) {
				out, err := w.api.TagUser(ctx, &iam.TagUserInput{UserName: &name, Tags: []types.Tag{{Key: aws.String("n"), Value: aws.String(strconv.Itoa(n))}}})
				if err != nil {
					return middleware.Metadata{}, err
				}
				return out.ResultMetadata, nil
			}))
		default:
			i := rng.IntN(len(mine))
			name := mine[i]
			mine = slices.Delete(mine, i, i+1) // whatever comes of it
			w.expect(w.do(ctx, write{action: "DeleteUser", subject: name, fresh: true}, func(ctx context.Context) (middleware.Metadata, error) {
				out, err := w.api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &name})
				if err != nil {
					return middleware.Metadata{}, err
				}
				return out.ResultMetadata, nil
			}))
		}
	}
}

// called is a name that no user, group or write had in an earlier incarnation.
func (w *workload) called(format string, args ...any) string {
	name := fmt.Sprintf(format, args...)
	if w.incarnations > 0 {
		name += fmt.Sprintf("-again-%d", w.incarnations)
	}
	return name
}

// toggle attaches and detaches a principal's policy in turn. Nobody else does, so
// the client knows what each write finds, unless it got no answer to one before.
func (w *workload) toggle(ctx context.Context, who int, rng *rand.Rand) {
	name := w.principals[who]
	on, sure := false, true
	if w.incarnations > 0 { // there is what the backup has
		on, sure = true, false
	}
	for rest(ctx, rng, writeRest) {
		on = !on
		r := w.setAttached(ctx, name, on, sure)
		// A refusal because of clocks, and an unknown outcome, leave it open what is
		// there now; detaching what is not attached tells, unless an attempt before it was
		// lost, which the network may deliver later.
		sure = r.outcome == outcomeDone || r.code == "NoSuchEntity" && !r.trail.open()
		if r.outcome != outcomeDone && r.trail.open() {
			pause(ctx, lostLife)
		}
		if !sure {
			on = true // detach next: both outcomes of that tell
		}
	}
}

// setAttached attaches or detaches the toggled policy; sure says that the other is
// known to be the case now.
func (w *workload) setAttached(ctx context.Context, name string, on, sure bool) write {
	r := write{action: "DetachUserPolicy", subject: name, value: "off", fresh: sure}
	if on {
		r.action, r.value = "AttachUserPolicy", "on"
	}
	r = w.do(ctx, r, func(ctx context.Context) (middleware.Metadata, error) {
		if on {
			out, err := w.api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &name, PolicyArn: &w.policy})
			if err != nil {
				return middleware.Metadata{}, err
			}
			return out.ResultMetadata, nil
		}
		out, err := w.api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: &name, PolicyArn: &w.policy})
		if err != nil {
			return middleware.Metadata{}, err
		}
		return out.ResultMetadata, nil
	})
	w.expect(r)
	return r
}
