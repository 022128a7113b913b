// Package client is the Go client of Writ's native API. It signs requests, tries
// again what is safe to repeat, and gives typed errors.
//
// IAM and STS are spoken by any AWS SDK pointed at the same endpoint; this package
// is for what AWS has no API for: decisions at a position, and waiting until a
// change is in force everywhere.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of a client.
const (
	// MaxAnswer bounds what is read of an answer, in bytes.
	MaxAnswer = 16 << 20
	// Attempts is how often a request is sent at most.
	Attempts   = 4
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	// slack is how much longer than the server a client waits for an answer that
	// the server holds back.
	slack = 15 * time.Second
)

// service is the name that requests are signed for.
const service = "writ"

// Config says where a node is and who calls.
type Config struct {
	// Endpoint is the URL of any node, such as http://127.0.0.1:8420.
	Endpoint        string
	AccessKeyID     string
	SecretAccessKey string
	// Region enters the signature; any will do. Empty means us-east-1.
	Region string
	// HTTP is the client to use; nil for http.DefaultTransport without a time limit
	// of its own: contexts bound requests.
	HTTP *http.Client
}

// ErrConfig is returned when a client cannot be made from what it was given.
var ErrConfig = errors.New("the client's configuration is not complete")

// Client speaks to one node. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	signer *sigv4.Signer
	http   *http.Client
}

// New returns a client for a node.
func New(c Config) (*Client, error) {
	base, err := url.Parse(c.Endpoint)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%w: the endpoint %q is no http or https URL; set WRIT_ENDPOINT", ErrConfig, c.Endpoint)
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return nil, fmt.Errorf("%w: no access key; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ErrConfig)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	return &Client{
		base:   base,
		signer: &sigv4.Signer{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Region: c.Region, Service: service},
		http:   c.HTTP,
	}, nil
}

// Problem is an error that the server gave: RFC 9457 problem details.
type Problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Hint      string `json:"hint"`
	RequestID string `json:"request_id"`
}

// Error says what is wrong, and what to do.
func (p *Problem) Error() string {
	text := p.Code
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Hint != "" {
		text += " " + p.Hint
	}
	return text
}

// Temporary tells whether the same request may succeed a little later.
func (p *Problem) Temporary() bool { return p.Status == http.StatusServiceUnavailable }

// Freshness says how fresh an answer must be. The zero value is the node's own
// rule: strict at a writer, leased at a replica.
type Freshness struct {
	Consistency  string        // "leased", "strict" or "any"
	AtLeast      string        // token of a write
	MaxStaleness time.Duration // positive: refuse an answer that could be older
}

func (f Freshness) set(h http.Header) {
	if f.Consistency != "" {
		h.Set("X-Writ-Consistency", f.Consistency)
	}
	if f.AtLeast != "" {
		h.Set("X-Writ-At-Least", f.AtLeast)
	}
	if f.MaxStaleness > 0 {
		h.Set("X-Writ-Max-Staleness", f.MaxStaleness.String())
	}
}

// Question asks whether a principal may do something.
type Question struct {
	Principal string              `json:"principal"` // ARN
	Action    string              `json:"action"`    // such as "s3:GetObject"
	Resource  string              `json:"resource"`  // ARN, or "*"
	Context   map[string][]string `json:"-"`         // condition keys; one value is a single value
	Explain   bool                `json:"explain,omitempty"`
}

// MarshalJSON writes keys with one value as a text, others as a list.
func (q Question) MarshalJSON() ([]byte, error) {
	type plain Question
	context := make(map[string]any, len(q.Context))
	for key, values := range q.Context {
		if len(values) == 1 {
			context[key] = values[0]
		} else {
			context[key] = values
		}
	}
	return json.Marshal(struct {
		plain
		Context map[string]any `json:"context,omitempty"`
	}{plain(q), context})
}

// Decision is the answer to a question.
type Decision struct {
	// Decision is "allow", "explicitDeny", "implicitDeny", or "indeterminate" for an
	// allow that is not known to be fresh.
	Decision    string          `json:"decision"`
	Reason      string          `json:"reason,omitempty"`
	Cluster     string          `json:"cluster"`
	Incarnation string          `json:"incarnation"`
	Position    event.Position  `json:"position"`
	Hash        string          `json:"hash"`
	KnownHead   event.Position  `json:"known_head"`
	Freshness   string          `json:"freshness"`
	LeaseMS     int64           `json:"lease_remaining_ms,omitempty"`
	StalenessMS *int64          `json:"staleness_bound_ms,omitempty"`
	Node        string          `json:"node"`
	ID          string          `json:"decision_id"`
	Explanation json.RawMessage `json:"explanation,omitempty"`
}

// Allowed tells whether the answer is a plain yes.
func (d *Decision) Allowed() bool { return d.Decision == "allow" }

// Authorize asks one question.
func (c *Client) Authorize(ctx context.Context, q Question, f Freshness) (*Decision, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	var d Decision
	return &d, c.do(ctx, http.MethodPost, "/v1/authorize", body, f, &d)
}

// Target names a position: by a write's token, by the ARN of what was changed, or
// as the head of the log where both are empty.
type Target struct {
	Token string
	ARN   string
}

// Scope restricts whom a propagation is about; the zero value is every replica.
type Scope struct {
	Replicas []string
	Region   string
	Count    int
}

// Propagation says how far a position has come.
type Propagation struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Position    event.Position `json:"position"`
	Token       string         `json:"token,omitempty"`
	// State is "unknown", "committed", "partial" or "everywhere".
	State     string   `json:"state"`
	VisibleOn []string `json:"visible_on"`
	Fenced    []string `json:"fenced"`
	Pending   []string `json:"pending"`
	// WorstCaseMS is how long it takes at most until nobody is pending; nil when
	// there is no bound.
	WorstCaseMS *int64         `json:"worst_case_ms"`
	Roster      event.Position `json:"roster_position"`
	Floor       event.Position `json:"floor"`
}

// Everywhere tells whether the position is in force at every replica in scope.
func (p *Propagation) Everywhere() bool { return p.State == "everywhere" }

// Propagation asks how far a position has come, and waits for at most wait until
// it is everywhere. Coming back early or late is not an error: see State.
func (c *Client) Propagation(ctx context.Context, t Target, s Scope, wait time.Duration) (*Propagation, error) {
	q := url.Values{}
	path := "/v1/propagation"
	switch {
	case t.Token != "":
		path += "/" + url.PathEscape(t.Token)
	case t.ARN != "":
		q.Set("arn", t.ARN)
	default:
		q.Set("head", "true")
	}
	if len(s.Replicas) > 0 {
		q.Set("replicas", strings.Join(s.Replicas, ","))
	}
	if s.Region != "" {
		q.Set("region", s.Region)
	}
	if s.Count > 0 {
		q.Set("count", strconv.Itoa(s.Count))
	}
	if wait > 0 {
		q.Set("wait", "everywhere")
		q.Set("timeout", wait.String())
	}
	ctx, cancel := context.WithTimeout(ctx, wait+slack)
	defer cancel()
	var p Propagation
	return &p, c.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, Freshness{}, &p)
}

// Member is a node of the cluster.
type Member struct {
	Name      string         `json:"name"`
	Role      string         `json:"role"`
	Region    string         `json:"region,omitempty"`
	State     string         `json:"state"`
	Position  event.Position `json:"position"`
	Lag       event.Position `json:"lag"`
	Digest    string         `json:"digest,omitempty"`
	MayHoldMS int64          `json:"may_hold_lease_ms,omitempty"`
	Detail    string         `json:"detail,omitempty"`
}

// Cluster is what a node knows of its cluster.
type Cluster struct {
	ID          string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"`
	Leader      string         `json:"leader"`
	Term        uint64         `json:"term"`
	Position    event.Position `json:"position"`
	Hash        string         `json:"hash"`
	Digest      string         `json:"digest"`
	Floor       event.Position `json:"floor"`
	Members     []Member       `json:"members"`
}

// Cluster asks who leads, who lags, and where.
func (c *Client) Cluster(ctx context.Context) (*Cluster, error) {
	var s Cluster
	return &s, c.do(ctx, http.MethodGet, "/v1/cluster", nil, Freshness{Consistency: "any"}, &s)
}

// Local asks what the node itself has, whether or not anybody leads.
func (c *Client) Local(ctx context.Context) (*Cluster, error) {
	var s Cluster
	return &s, c.do(ctx, http.MethodGet, "/v1/cluster?local", nil, Freshness{Consistency: "any"}, &s)
}

// do sends a request until an answer comes that is not temporary trouble. All
// requests of this API may be repeated.
func (c *Client) do(ctx context.Context, method, target string, body []byte, f Freshness, into any) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		again, err := c.once(ctx, method, target, body, f, into)
		if err == nil || again < 0 || ctx.Err() != nil || attempt == Attempts {
			return err
		}
		select {
		case <-time.After(max(again, pause/2+rand.N(pause/2))):
			pause = min(2*pause, maxPause)
		case <-ctx.Done():
			return err
		}
	}
}

// never is once's word that another try is of no use.
const never time.Duration = -1

// once sends a request. With an error it tells how long to wait at least before
// the next try.
func (c *Client) once(ctx context.Context, method, target string, body []byte, f Freshness, into any) (again time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+target, bytes.NewReader(body))
	if err != nil {
		return never, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	f.set(r.Header)
	c.signer.Sign(r, sha256.Sum256(body), time.Now())
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", c.base.Host, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return 0, fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	if len(text) > MaxAnswer {
		return never, fmt.Errorf("read the answer of %s: it is longer than %d bytes", c.base.Host, MaxAnswer)
	}
	if answer.StatusCode != http.StatusOK {
		return retryAfter(answer), c.problem(answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return never, fmt.Errorf("decode the answer of %s: %w", c.base.Host, err)
	}
	return 0, nil
}

// problem reads an answer that is not one of success.
func (c *Client) problem(status int, text []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Code == "" {
		p = &Problem{Code: http.StatusText(status), Detail: c.base.Host + " gave an answer that is not of Writ."}
	}
	p.Status = status
	return p
}

// retryAfter is how long a server in temporary trouble asks to be left alone.
func retryAfter(answer *http.Response) time.Duration {
	if answer.StatusCode != http.StatusServiceUnavailable {
		return never
	}
	seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}
