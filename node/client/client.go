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
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

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

// headerInvocation stays the same over all attempts of one call, so that a write
// takes effect at most once.
const headerInvocation = "Amz-Sdk-Invocation-Id"

// rand128 is 128 random bits, in hexadecimal.
func rand128() string {
	var b [16]byte
	crand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// do sends a request until an answer comes that is not temporary trouble. All
// requests of this API may be repeated.
func (c *Client) do(ctx context.Context, method, target string, body []byte, f Freshness, into any) error {
	pause, invocation := firstPause, rand128()
	for attempt := 1; ; attempt++ {
		again, err := c.once(ctx, invocation, method, target, body, f, into)
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
func (c *Client) once(ctx context.Context, invocation, method, target string, body []byte, f Freshness, into any) (again time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+target, bytes.NewReader(body))
	if err != nil {
		return never, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	f.set(r.Header)
	r.Header.Set(headerInvocation, invocation)
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
