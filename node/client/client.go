// Package client is the Go client of Writ. It signs requests, tries again what
// failed for now, at another node if it knows one, and gives typed errors.
//
// The native API is spoken by methods of their own: decisions at a position, waiting
// until a change is in force everywhere, watching, the roster. IAM and STS are
// spoken by Query, and by any AWS SDK pointed at the same endpoints.
package client

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// Limits of a client.
const (
	// MaxAnswer bounds what is read of an answer, in bytes.
	MaxAnswer = 16 << 20
	// Attempts is how often a request is sent to each node at most, and MaxAttempts
	// how often to all of them together.
	Attempts    = 4
	MaxAttempts = 16
	firstPause  = 100 * time.Millisecond
	maxPause    = 2 * time.Second
	// slack is how much longer than the server a client waits for an answer that
	// the server holds back.
	slack = 15 * time.Second
	// silence is how long a node may take to answer, beyond what it was asked to
	// wait, before another one is asked: longer than a node looks for a leader.
	silence = 20 * time.Second
	// decisionSilence is the same for decisions, for which nodes wait a shorter time.
	decisionSilence = 6 * time.Second
)

// The services that requests are signed for.
const (
	serviceWrit = "writ"
	serviceIAM  = "iam"
	serviceSTS  = "sts"
)

// Config says where the cluster is and who calls.
type Config struct {
	// Endpoint is the URL of a node, such as http://127.0.0.1:8420. The client asks
	// this node and no other.
	Endpoint string
	// Endpoints, in its place, are URLs of some nodes of one cluster. The client finds
	// the others, asks the one that suits the question, and the next when it fails.
	// Where all of these are https, no other is asked.
	Endpoints []string
	// Near is the region whose replicas are preferred for decisions.
	Near            string
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken is that of temporary credentials; else empty.
	SessionToken string
	// WebIdentity, where there is no access key, is how the client gets temporary credentials.
	WebIdentity *WebIdentity
	// Region enters the signature; any will do. Empty means us-east-1.
	Region string
	// HTTP is the client to use; nil for http.DefaultTransport without a time limit
	// of its own: contexts bound requests.
	HTTP *http.Client
	// Waiter, if set, is told of calls that wait for a leader, and those that fail for want of
	// one give a *NoLeader.
	Waiter Waiter
}

// Waiter is told, once a call, of a call that has had no answer for 2 s while no writer leads:
// the cause, in words, and when the call's context ends, zero for never. It is called beside the
// call, by several at once.
type Waiter interface {
	Waiting(cause string, until time.Time)
}

// ErrConfig is returned when a client cannot be made from what it was given.
var ErrConfig = errors.New("the client's configuration is not complete")

// Client speaks to a node, or to a cluster. It is safe for concurrent use, and
// remembers its own latest write: see Freshness.
type Client struct {
	nodes  *directory
	keys   *credentials
	http   *http.Client
	waiter Waiter // nil: nobody wants to know

	mu      sync.Mutex
	own     event.Token // of the latest write; guarded by mu
	bleak   *NoLeader   // by the latest look, at bleakAt; nil: somebody leads. Guarded by mu
	bleakAt time.Time
}

// New returns a client.
func New(c Config) (*Client, error) {
	pinned := c.Endpoint != "" || len(c.Endpoints) == 0
	if pinned {
		c.Endpoints = []string{c.Endpoint}
	}
	var seeds []*url.URL
	for _, text := range c.Endpoints {
		if text == "" {
			return nil, fmt.Errorf("%w: no endpoint; set WRIT_ENDPOINT", ErrConfig)
		}
		base, err := parseEndpoint(text)
		if err != nil {
			return nil, fmt.Errorf("%w: the endpoint %q is no http or https URL; set WRIT_ENDPOINT", ErrConfig, text)
		}
		seeds = append(seeds, base)
	}
	switch {
	case c.AccessKeyID == "" && c.WebIdentity != nil && (c.WebIdentity.TokenFile == "" || c.WebIdentity.RoleARN == ""):
		return nil, fmt.Errorf("%w: no token or no role for it; set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN", ErrConfig)
	case c.AccessKeyID == "" && c.WebIdentity != nil:
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return nil, fmt.Errorf("%w: no access key; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ErrConfig)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	return &Client{nodes: newDirectory(seeds, c.Near, pinned), keys: newCredentials(&c), http: direct(c.HTTP), waiter: c.Waiter}, nil
}

// call is one question to the cluster, over all its attempts. All of them may be
// repeated: reads by their nature, writes because of the invocation id.
type call struct {
	service, method, target string
	header                  http.Header // without what is signed
	body                    []byte
	route                   route
	rounds                  int           // how often each node is asked at most
	silence                 time.Duration // how long one may take
	unsigned                bool
}

// failure makes an error of an answer that is not one of success.
func (q *call) failure(from *url.URL, status int, header http.Header, body []byte) error {
	if q.service == serviceWrit {
		return problemOf(from, status, header, body)
	}
	return queryErrorOf(from, status, header, body)
}

// temporary is an error that says whether the same request may succeed later.
type temporary interface {
	error
	Temporary() bool
}

// newCall is a call of the native API. What needs a leader or can be asked of
// anybody goes to the leader, if it is known.
func newCall(method, target string, body []byte, f Freshness) *call {
	q := &call{
		service: serviceWrit, method: method, target: target, header: http.Header{}, body: body,
		route: toLeader, rounds: Attempts, silence: silence,
	}
	if body != nil {
		q.header.Set("Content-Type", "application/json")
	}
	f.set(q.header)
	return q
}

// do asks a question of the native API and decodes the answer.
func (c *Client) do(ctx context.Context, method, target string, body []byte, f Freshness, into any) error {
	return c.ask(ctx, newCall(method, target, body, f), into)
}

// hold is do for a question whose answer may take as long as wait by its nature.
func (c *Client) hold(ctx context.Context, wait time.Duration, method, target string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, wait+slack)
	defer cancel()
	q := newCall(method, target, body, Freshness{})
	q.silence = wait + slack
	return c.ask(ctx, q, into)
}

// ask sends a call and decodes the JSON of its answer.
func (c *Client) ask(ctx context.Context, q *call, into any) error {
	a, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	return a.decode(into)
}

// answer is an answer of success.
type answer struct {
	from   *url.URL
	header http.Header
	body   []byte
}

// decode reads the JSON of an answer.
func (a *answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("decode the answer of %s: %w", a.from.Host, err)
	}
	return nil
}

// headerInvocation stays the same over all attempts of one call, so that a write
// takes effect at most once.
const headerInvocation = "Amz-Sdk-Invocation-Id"

// rand128 is 128 random bits, in hexadecimal.
func rand128() string {
	var b [16]byte
	crand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// send asks until an answer comes, and finds out meanwhile whether nobody leads.
func (c *Client) send(ctx context.Context, q *call) (*answer, error) {
	looking := c.lookOut(ctx)
	a, err := c.sendAround(ctx, q)
	return a, looking.end(err)
}

// sendAround asks one node after the other until an answer comes that is not temporary
// trouble. It pauses when it has asked all of them.
func (c *Client) sendAround(ctx context.Context, q *call) (*answer, error) {
	q.header.Set(headerInvocation, rand128())
	pause, tries := firstPause, 0
	var last error
	for round := 1; ; round++ {
		again := time.Duration(0)
		for _, node := range c.nodes.order(ctx, c, q.route) {
			a, wait, err := c.once(ctx, q, node)
			if err == nil {
				c.nodes.answered(node)
				c.remember(a.header)
				return a, nil
			}
			if last != nil && ctx.Err() != nil { // of which the time that was up is the lesser part
				err = fmt.Errorf("%w; before that: %w", err, last)
			}
			last = err
			if wait < 0 || ctx.Err() != nil {
				return nil, last
			}
			c.nodes.failed(node)
			again = max(again, wait)
			if tries++; tries == MaxAttempts {
				return nil, last
			}
		}
		if round == q.rounds {
			return nil, last
		}
		select {
		case <-time.After(max(again, pause/2+rand.N(pause/2))):
			pause = min(2*pause, maxPause)
		case <-ctx.Done():
			return nil, last
		}
	}
}

// never is once's word that another try is of no use.
const never time.Duration = -1

// once asks one node. With an error it tells how long to wait at least before the
// same node is asked again.
func (c *Client) once(ctx context.Context, q *call, node *url.URL) (*answer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, q.silence)
	defer cancel()
	got, err := c.open(ctx, q, node)
	var unsigned *keyError
	switch {
	case errors.As(err, &unsigned):
		return nil, never, err
	case err != nil:
		return nil, 0, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, MaxAnswer+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read the answer of %s: %w", node.Host, err)
	}
	if len(text) > MaxAnswer {
		return nil, never, fmt.Errorf("read the answer of %s: it is longer than %d bytes", node.Host, MaxAnswer)
	}
	if got.StatusCode != http.StatusOK {
		err := q.failure(node, got.StatusCode, got.Header, text)
		var t temporary
		if !errors.As(err, &t) || !t.Temporary() {
			return nil, never, err
		}
		return nil, retryAfter(got.Header), err
	}
	return &answer{node, got.Header, text}, 0, nil
}

// open signs and sends one attempt. The caller closes the answer's body.
func (c *Client) open(ctx context.Context, q *call, node *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, node.String()+q.target, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header = q.header.Clone()
	if !q.unsigned {
		s, err := c.signer(ctx, q.service)
		if err != nil {
			return nil, err
		}
		s.Sign(r, sha256.Sum256(q.body), time.Now())
	}
	got, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", node.Host, Unreached(node, err))
	}
	return got, nil
}

// Unreached adds to the error of a request that had no answer what to do about it, where its
// kind tells.
func Unreached(node *url.URL, err error) error {
	var unknown x509.UnknownAuthorityError
	var dial *net.OpError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: the node serves clients without TLS, at http://%s", err, node.Host)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: --ca-file names the certificates to trust", err)
	case errors.Is(err, syscall.ECONNREFUSED) && errors.As(err, &dial):
		return fmt.Errorf("%w: start the node, or set the endpoint to one that runs", err)
	}
	return err
}

// remember keeps the token of a write that was answered, if it is the latest.
func (c *Client) remember(h http.Header) {
	t, err := event.ParseToken(h.Get(shape.HeaderToken))
	if err != nil {
		return // not a write
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Position > c.own.Position || t.Check(c.own.Cluster, c.own.Incarnation) != nil {
		c.own = t
	}
}

// latest is the token of this client's latest write; empty if there was none.
func (c *Client) latest() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == (event.Token{}) {
		return ""
	}
	return c.own.String()
}

// forget drops a token that the cluster does not take: it has another history now.
func (c *Client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own.String() == token {
		c.own = event.Token{}
	}
}

// direct is an HTTP client that goes where it is sent and nowhere else: what it sends has
// signatures, tokens and passwords.
func direct(hc *http.Client) *http.Client {
	own := *hc
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}
