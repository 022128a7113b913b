package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/sigv4"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// plainHTTP sends one request once. Connections are few and short-lived enough that
// none outlives a node by much.
var plainHTTP = &http.Client{Transport: transport()}

func transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     10 * time.Second,
	}
}

// caller sends signed requests of the native API, each exactly once: the instant at
// which a question left must be known, so nothing is sent again behind its back.
type caller struct {
	signer *sigv4.Signer
	token  string // of a session; empty for none
}

func newCaller(id, secret string) *caller {
	return callerOf(id, secret, "writ")
}

func callerOf(id, secret, service string) *caller {
	return &caller{signer: &sigv4.Signer{AccessKeyID: id, SecretAccessKey: secret, Region: "us-east-1", Service: service}}
}

// answer is what came back.
type answer struct {
	status int
	body   []byte
	header http.Header
}

// problem is the body of a refusal.
type problem struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Hint      string `json:"hint"`
	RequestID string `json:"request_id"`
}

func (a *answer) problem() (p problem) {
	_ = json.Unmarshal(a.body, &p) // a code that is missing tells
	return p
}

func (c *caller) get(ctx context.Context, url, consistency string) (*answer, error) {
	return c.do(ctx, http.MethodGet, url, nil, map[string]string{"X-Writ-Consistency": consistency})
}

func (c *caller) do(ctx context.Context, method, url string, body []byte, headers map[string]string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if c.token != "" {
		r.Header.Set("X-Amz-Security-Token", c.token)
	}
	c.signer.Sign(r, sha256.Sum256(body), time.Now())
	got, err := plainHTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read an answer: %w", err)
	}
	return &answer{status: got.StatusCode, body: text, header: got.Header}, nil
}

// decision is the answer to a question, as far as the judge reads it.
type decision struct {
	Decision    string         `json:"decision"`
	Incarnation string         `json:"incarnation"`
	Position    event.Position `json:"position"`
	Hash        string         `json:"hash"`
	KnownHead   event.Position `json:"known_head"`
	Freshness   string         `json:"freshness"`
	LeaseMS     int64          `json:"lease_remaining_ms"`
	StalenessMS *int64         `json:"staleness_bound_ms"`
	Node        string         `json:"node"`
}

func readText(r io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
