package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transport answers in place of a node.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func says(status int, body string, headers ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func problem(status int, code string) string {
	return fmt.Sprintf(`{"status":%d,"code":%q,"detail":"What is wrong.","hint":"What to do.","request_id":"r"}`, status, code)
}

func newClient(t *testing.T, f transport) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://writ.test/base/", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", HTTP: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfig(t *testing.T) {
	for _, c := range []client.Config{
		{}, {Endpoint: "writ.test", AccessKeyID: "a", SecretAccessKey: "b"}, {Endpoint: "ftp://writ.test", AccessKeyID: "a", SecretAccessKey: "b"},
		{Endpoint: "http://", AccessKeyID: "a", SecretAccessKey: "b"}, {Endpoint: "http://h", SecretAccessKey: "b"}, {Endpoint: "http://h", AccessKeyID: "a"},
	} {
		if _, err := client.New(c); !errors.Is(err, client.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Every request is signed for the service writ, with all that it says.
func TestRequests(t *testing.T) {
	var got *http.Request
	var body []byte
	c := newClient(t, func(r *http.Request) (*http.Response, error) {
		got = r
		body, _ = io.ReadAll(r.Body)
		return says(200, `{"decision":"allow","state":"everywhere","leader":"w1","position":7}`)
	})
	check := func(want string) {
		t.Helper()
		if text := got.Method + " " + got.URL.RequestURI(); text != want {
			t.Errorf("%s instead of %s", text, want)
		}
		got.Host = got.URL.Host
		s, err := sigv4.Parse(got, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.CheckService("writ"), s.Verify(sigv4.DeriveKey([]byte("sesame"), s.Scope), sha256.Sum256(body))); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	d, err := c.Authorize(t.Context(), client.Question{Principal: "p", Action: "a", Resource: "r", Explain: true, Context: map[string][]string{"one": {"1"}, "many": {"1", "2"}}},
		client.Freshness{Consistency: "strict", AtLeast: "t", MaxStaleness: time.Second})
	if err != nil || !d.Allowed() || d.Position != 7 {
		t.Errorf("%+v, %v", d, err)
	}
	check("POST /base/v1/authorize")
	if got.Header.Get("X-Writ-Consistency") != "strict" || got.Header.Get("X-Writ-At-Least") != "t" || got.Header.Get("X-Writ-Max-Staleness") != "1s" {
		t.Errorf("headers are %v", got.Header)
	}
	if want := `{"principal":"p","action":"a","resource":"r","explain":true,"context":{"many":["1","2"],"one":"1"}}`; string(body) != want {
		t.Errorf("the body is %s", body)
	}
	for _, x := range []struct {
		target client.Target
		scope  client.Scope
		wait   time.Duration
		want   string
	}{
		{client.Target{}, client.Scope{}, 0, "?head=true"},
		{client.Target{Token: "a/b"}, client.Scope{}, time.Second, "/a%2Fb?timeout=1s&wait=everywhere"},
		{client.Target{RequestID: "id"}, client.Scope{}, 0, "?request_id=id"},
		{client.Target{ARN: "arn:x"}, client.Scope{Replicas: []string{"r1", "r2"}, Region: "eu", Count: 2}, 0, "?arn=arn%3Ax&count=2&region=eu&replicas=r1%2Cr2"},
	} {
		if p, err := c.Propagation(t.Context(), x.target, x.scope, x.wait); err != nil || !p.Everywhere() {
			t.Errorf("%+v, %v", p, err)
		}
		check("GET /base/v1/propagation" + x.want)
	}
	e, err := c.Effect(t.Context(), client.Expectation{Question: client.Question{Principal: "p", Action: "a", Resource: "r", Context: map[string][]string{"one": {"1"}}}, Expect: "deny", AtLeast: "t"},
		client.Scope{Replicas: []string{"r1"}, Region: "eu", Count: 2}, time.Minute)
	if err != nil || !e.Everywhere() || e.Present() || e.Absent() || e.Decision != "allow" || e.Position != 7 {
		t.Errorf("%+v, %v", e, err)
	}
	check("POST /base/v1/propagation/effect")
	if want := `{"principal":"p","action":"a","resource":"r","context":{"one":"1"},"expect":"deny","replicas":["r1"],"region":"eu","count":2,"timeout":"1m0s","at_least":"t"}`; string(body) != want {
		t.Errorf("the body is %s", body)
	}
	if s, err := c.Cluster(t.Context()); err != nil || s.Leader != "w1" {
		t.Errorf("%+v, %v", s, err)
	}
	check("GET /base/v1/cluster")
	if _, err := c.Local(t.Context()); err != nil {
		t.Error(err)
	}
	check("GET /base/v1/cluster?local")
}

func TestRetries(t *testing.T) {
	refused := errors.New("connection refused")
	for name, x := range map[string]struct {
		answer   func() (*http.Response, error)
		requests int32
		text     string
	}{
		"temporary":         {func() (*http.Response, error) { return says(503, problem(503, "NotLeased")) }, client.Attempts, "NotLeased: What is wrong. What to do."},
		"refused":           {func() (*http.Response, error) { return says(403, problem(403, "AccessDenied")) }, 1, "AccessDenied: What is wrong. What to do."},
		"wrong token":       {func() (*http.Response, error) { return says(409, problem(409, "WrongToken")) }, 1, "WrongToken"},
		"inner failure":     {func() (*http.Response, error) { return says(500, problem(500, "InternalFailure")) }, 1, "InternalFailure"},
		"no connection":     {func() (*http.Response, error) { return nil, refused }, client.Attempts, "connection refused"},
		"a proxy's 503":     {func() (*http.Response, error) { return says(503, "<html>") }, client.Attempts, "not of Writ"},
		"another server":    {func() (*http.Response, error) { return says(404, "<html>") }, 1, "Not Found: writ.test gave an answer that is not of Writ."},
		"nonsense":          {func() (*http.Response, error) { return says(200, "<html>") }, 1, "decode the answer of writ.test"},
		"an endless answer": {func() (*http.Response, error) { return says(200, strings.Repeat(" ", client.MaxAnswer+1)) }, 1, "longer than"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var requests atomic.Int32
			c := newClient(t, func(*http.Request) (*http.Response, error) { requests.Add(1); return x.answer() })
			_, err := c.Cluster(t.Context())
			if err == nil || !strings.Contains(err.Error(), x.text) || requests.Load() != x.requests {
				t.Errorf("%s: %v after %d requests", name, err, requests.Load())
			}
			var p *client.Problem
			if errors.As(err, &p) && p.Temporary() != (p.Status == 503) {
				t.Errorf("%s: temporary is %v", name, p.Temporary())
			}
		})
	}
	// the server says when to come back
	synctest.Test(t, func(t *testing.T) {
		requests, begun := 0, time.Now()
		c := newClient(t, func(*http.Request) (*http.Response, error) {
			if requests++; requests == 1 {
				return says(503, problem(503, "Unavailable"), "Retry-After", "1")
			}
			return says(200, `{"leader":"w1"}`)
		})
		if s, err := c.Cluster(t.Context()); err != nil || s.Leader != "w1" || time.Since(begun) < time.Second {
			t.Errorf("%+v, %v after %v", s, err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		c = newClient(t, func(*http.Request) (*http.Response, error) { cancel(); return says(503, problem(503, "Unavailable")) })
		if _, err := c.Cluster(ctx); err == nil {
			t.Error("no error after the end of the context")
		}
		// when the time is up, what was answered before counts, too
		requests = 0
		c = newClient(t, func(r *http.Request) (*http.Response, error) {
			if requests++; requests == 1 {
				return says(503, problem(503, "Unavailable"))
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var p *client.Problem
		if _, err := c.Cluster(ctx); !errors.As(err, &p) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a node that fell silent: %v", err)
		}
	})
}

// What a client sends is what a server reads.
func TestOverTheWire(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sig, err := sigv4.Parse(r, time.Now())
		if err == nil {
			err = sig.Verify(sigv4.DeriveKey([]byte("sesame"), sig.Scope), sha256.Sum256(nil))
		}
		json.NewEncoder(w).Encode(map[string]string{"leader": fmt.Sprint(err)})
	}))
	defer s.Close()
	defer s.Client().CloseIdleConnections()
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Cluster(t.Context()); err != nil || got.Leader != "<nil>" {
		t.Errorf("%+v, %v", got, err)
	}
}
