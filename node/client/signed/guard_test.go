package signed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
)

// authority has the keys of one access key, as long as it is in force. It stands for a cluster where
// a test is about time or a failure; test/s3style asks a real one.
type authority struct {
	mu       sync.Mutex
	secret   string
	gone     bool  // the access key was deleted
	down     error // nobody answers
	asked    int
	decision string
}

func (a *authority) SigningKey(_ context.Context, of client.SigningKeyOf, _ client.Freshness) (*client.SigningKey, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.down != nil {
		return nil, a.down
	}
	if a.gone {
		return nil, &client.Problem{Code: "NoSuchEntity", Status: 404}
	}
	key := sigv4.DeriveKey([]byte(a.secret), sigv4.Scope{Date: of.Date, Region: of.Region, Service: of.Service})
	return &client.SigningKey{Key: hex.EncodeToString(key[:]), Principal: shape.Authenticated{ARN: "alice", AccessKeyID: of.AccessKeyID}, GoodMS: 9900, RefreshMS: 4950}, nil
}

func (a *authority) Authenticate(_ context.Context, in *client.Received, _ client.Freshness) (*client.Authentication, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.down != nil {
		return nil, a.down
	}
	said := &client.Authentication{Principal: &shape.Authenticated{ARN: "alice"}, Signature: &shape.SignatureFacts{Payload: shape.PayloadHashed}}
	if in.Action != "" && a.decision != "" {
		said.Decision = &shape.Decision{Decision: a.decision}
	}
	return said, nil
}

func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// signedFor makes a request that is signed for a service, by the signer of this repository: with
// X-Amz-Content-Sha256 it is as S3's where the path needs no encoding.
func signedFor(service, id, secret, target, content string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "http://b.test"+target, body)
	sum, err := hex.DecodeString(content)
	if err != nil {
		panic(err)
	}
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", content)
	}
	(&sigv4.Signer{AccessKeyID: id, SecretAccessKey: secret, Region: "eu-west-1", Service: service}).Sign(r, [32]byte(sum), time.Now())
	return r
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// echo answers with who called and the body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var said *sigv4.Error
		errors.As(err, &said)
		RefuseXML(w, r, said)
		return
	}
	fmt.Fprintf(w, "%s %d %s", CallerOf(r.Context()).ARN, r.ContentLength, body)
})

func guarded(t *testing.T, cfg Config) func(*http.Request) *httptest.ResponseRecorder {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := g.Handler(echo)
	return func(r *http.Request) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
}

func expect(t *testing.T, name string, rec *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	if rec.Code != status || !strings.Contains(rec.Body.String(), text) {
		t.Errorf("%s: %d %s, not %d %s", name, rec.Code, rec.Body, status, text)
	}
}

// A key is gone by for as long as its answer said, counted from before the question, and asked for
// anew before that; without an answer nobody is let in. A key that was deleted goes with the answer.
func TestKeysEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{secret: "secret"}
		serve := guarded(t, Config{Authority: a, Service: "s3", Keys: true})
		put := func(secret string) *httptest.ResponseRecorder {
			return serve(signedFor("s3", "AKIA", secret, "/k", hashOf("x"), strings.NewReader("x")))
		}
		expect(t, "first", put("secret"), 200, "alice 1 x")
		expect(t, "second", put("secret"), 200, "alice")
		expect(t, "wrong", put("other"), 403, "SignatureDoesNotMatch")
		if n := a.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(5 * time.Second)
		expect(t, "stale", put("secret"), 200, "alice")
		synctest.Wait()
		if n := a.times(); n != 2 {
			t.Errorf("asked %d times, not anew", n)
		}
		a.set(func() { a.down = errors.New("nobody") })
		time.Sleep(9 * time.Second)
		expect(t, "while it is good", put("secret"), 200, "alice")
		time.Sleep(time.Second)
		expect(t, "when it is not", put("secret"), 503, "ServiceUnavailable")
		a.set(func() { a.down = nil })
		expect(t, "again", put("secret"), 200, "alice")
		a.set(func() { a.gone = true })
		time.Sleep(6 * time.Second)
		put("secret") // asks beside it
		synctest.Wait()
		expect(t, "deleted", put("secret"), 403, "InvalidAccessKeyId")
	})
}

func TestKeysAreBounded(t *testing.T) {
	a := &authority{secret: "secret"}
	k := &keys{from: a, now: time.Now, kept: map[keyOf]*kept{}}
	for i := range MaxKeys + 10 {
		if _, err := k.find(t.Context(), &sigv4.Signature{AccessKeyID: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
		if len(k.kept) > MaxKeys {
			t.Fatalf("%d keys are kept", len(k.kept))
		}
	}
	a.gone = true
	n := len(k.kept)
	if _, err := k.find(t.Context(), &sigv4.Signature{AccessKeyID: "nobody"}); !errors.Is(err, sigv4.ErrInvalidClientTokenID) || len(k.kept) != n {
		t.Errorf("%v, %d keys", err, len(k.kept))
	}
}

func TestBodies(t *testing.T) {
	a := &authority{secret: "secret"}
	s3 := guarded(t, Config{Authority: a, Service: "s3", Keys: true})
	expect(t, "another body", s3(signedFor("s3", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("y"))), 400, "XAmzContentSHA256Mismatch")
	orders := guarded(t, Config{Authority: a, Service: "orders", Keys: true, MaxBody: 4})
	expect(t, "hashed", orders(signedFor("orders", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("x"))), 200, "alice 1 x")
	expect(t, "another body", orders(signedFor("orders", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("y"))), 403, "SignatureDoesNotMatch")
	expect(t, "too long", orders(signedFor("orders", "AKIA", "secret", "/k", hashOf("12345"), strings.NewReader("12345"))), 413, "RequestEntityTooLarge")
	expect(t, "another service", orders(signedFor("sqs", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("x"))), 403, "SignatureDoesNotMatch")
	elsewhere := guarded(t, Config{Authority: a, Service: "orders", Region: "us-east-1", Keys: true})
	expect(t, "another region", elsewhere(signedFor("orders", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("x"))), 403, "region")
	expect(t, "unsigned", s3(httptest.NewRequest("GET", "/k", nil)), 403, "AccessDenied")
}

// asks is what every request needs permission for.
type asks string

func (a asks) Ask(*http.Request) (action, resource string, more shape.Context) {
	return string(a), "*", nil
}

// Only a plain allow lets anybody do what needs permission.
func TestAskDecides(t *testing.T) {
	for decision, status := range map[string]int{"allow": 200, "implicitDeny": 403, "explicitDeny": 403, "indeterminate": 403, "": 403} {
		a := &authority{decision: decision}
		serve := guarded(t, Config{Authority: a, Service: "s3", Asker: asks("s3:PutObject")})
		if rec := serve(signedFor("s3", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("x"))); rec.Code != status {
			t.Errorf("%q: %d %s", decision, rec.Code, rec.Body)
		}
	}
	a := &authority{down: errors.New("nobody")}
	serve := guarded(t, Config{Authority: a, Service: "s3"})
	expect(t, "nobody answers", serve(signedFor("s3", "AKIA", "secret", "/k", hashOf("x"), strings.NewReader("x"))), 503, "ServiceUnavailable")
	for name, cfg := range map[string]Config{
		"nothing": {}, "no service": {Authority: a}, "no style": {Authority: a, Service: "s3", Style: "S3"},
		"keys decide nothing": {Authority: a, Service: "s3", Keys: true, Asker: asks("")},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Chunks are taken off, with their coding and length; trailers are told.
func TestChunksAreTakenOff(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "/k", bytes.NewReader([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n")))
	r.Header.Set("X-Amz-Decoded-Content-Length", "5")
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	r.Header.Set("Content-Encoding", "gzip,aws-chunked")
	g := &Guard{style: sigv4.StyleS3}
	if err := g.body(r, &sigv4.Signature{Payload: sigv4.PayloadUnsignedTrailer}, nil); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || string(data) != "hello" || r.ContentLength != 5 || r.Header.Get("Content-Encoding") != "gzip" || r.Trailer.Get("X-Amz-Checksum-Crc32") != "NhCmhg==" {
		t.Errorf("%q %v: %d, %v, %v", data, err, r.ContentLength, r.Header, r.Trailer)
	}
	for _, length := range []string{"", "-1", "x"} {
		r.Header.Set("X-Amz-Decoded-Content-Length", length)
		var said *sigv4.Error
		if err := g.body(r, &sigv4.Signature{Payload: sigv4.PayloadUnsignedTrailer}, nil); !errors.As(err, &said) || said.Status != http.StatusLengthRequired {
			t.Errorf("%q: %v", length, err)
		}
	}
}
