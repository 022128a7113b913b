// Package signed lets services in Go take requests that are signed as those to AWS are, by the
// access keys and sessions of a Writ cluster. A [Guard] stands before a handler: it verifies the
// signature, by asking the cluster about each request or by signing keys that the cluster gives for
// a while, and what the signature says of the body while the handler reads that, also in signed
// chunks and with trailing checksums.
//
// A body is verified when it was read to io.EOF, and not before: a handler must keep nothing of one
// whose reading ended with another error.
//
// That a request was seen before is not noticed: a signature is good for 15 minutes, or in a
// presigned URL for as long as its signer said, as often as it is sent.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
)

// DefaultMaxBody is how long a body may be that is hashed before its signature can be verified, in
// bytes: in style aws.
const DefaultMaxBody = 1 << 20

// maxHandedOn is how many values of headers are handed on, at most.
const maxHandedOn = 200

// Authority says who signed: a *client.Client, as the service's own principal. All methods may be
// called by any number of goroutines; errors are those of client.Client.
type Authority interface {
	Authenticate(context.Context, *client.Received, client.Freshness) (*client.Authentication, error)
	SigningKey(context.Context, client.SigningKeyOf, client.Freshness) (*client.SigningKey, error)
}

// Asker says what requests need permission for. Its method may be called by any number of goroutines.
type Asker interface {
	// Ask gives the action and the resource of a request, and condition keys of it such as
	// aws:SourceIp. An empty action needs no permission. The body is not to be read.
	Ask(*http.Request) (action, resource string, more shape.Context)
}

// Refuser answers requests that are refused. Its method may be called by any number of goroutines.
type Refuser interface {
	Refuse(http.ResponseWriter, *http.Request, *sigv4.Error)
}

// Config is what a Guard is made of. Authority and Service are required.
type Config struct {
	Authority Authority
	Service   string // that signatures must be for
	Region    string // the same; any if empty
	// Style is shape.StyleS3 or shape.StyleAWS; empty means the first for the service s3, the second
	// for others.
	Style string
	// Keys has the guard verify by signing keys, which it keeps for as long as the cluster says.
	// That costs no question a request; but an access key that was deleted is taken for up to a
	// lease (10 s) longer, whatever was said of "everywhere". Without it the cluster is asked about
	// each request.
	Keys bool
	// Asker, if set, says what whoever signed needs permission for: the cluster decides in the same
	// call, and a request that is not allowed is refused. It goes not with Keys.
	Asker Asker
	// Refuser answers a request that is refused; nil answers in XML, as S3 does.
	Refuser Refuser
	// MaxBody bounds bodies in style aws, in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	Now     func() time.Time // nil: time.Now
}

// Guard lets in what is signed. Safe for concurrent use.
type Guard struct {
	cfg   Config
	style sigv4.Style
	keys  *keys
}

// ErrConfig is returned where a guard cannot be made from what it was given.
var ErrConfig = errors.New("the guard's configuration is not complete")

// New returns a guard.
func New(cfg Config) (*Guard, error) {
	if cfg.Authority == nil || cfg.Service == "" {
		return nil, fmt.Errorf("%w: no authority or no service", ErrConfig)
	}
	if cfg.Keys && cfg.Asker != nil {
		return nil, fmt.Errorf("%w: by signing keys nothing is decided", ErrConfig)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Refuser == nil {
		cfg.Refuser = asS3{}
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Style == "" && cfg.Service == "s3" {
		cfg.Style = shape.StyleS3
	}
	g := &Guard{cfg: cfg, keys: &keys{from: cfg.Authority, now: cfg.Now, kept: make(map[keyOf]*kept)}}
	switch cfg.Style {
	case shape.StyleS3:
		g.style = sigv4.StyleS3
	case "", shape.StyleAWS:
	default:
		return nil, fmt.Errorf("%w: the style %q is none", ErrConfig, cfg.Style)
	}
	return g, nil
}

// Caller is who signed a request, and what of it.
type Caller struct {
	shape.Authenticated
	// Signed are the names of the headers that the signature covers, in lower case.
	Signed []string
	// Payload is what it covers of the body, as shape.SignatureFacts says it.
	Payload string
}

// callerKey is the key of the caller in a context.
type callerKey struct{}

// CallerOf is who signed a request that a guard let in; nil for another.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// Handler stands before next, which gets what was verified: the caller in its context ([CallerOf]),
// the body without its chunks, and trailers in Request.Trailer once the body was read.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := g.admit(r)
		if err != nil {
			g.cfg.Refuser.Refuse(w, r, g.wordsOf(r, err))
			return
		}
		next.ServeHTTP(w, in)
	})
}

// wordsOf is an error in AWS's words. What the cluster did not answer is no permission.
func (g *Guard) wordsOf(r *http.Request, err error) *sigv4.Error {
	var said *sigv4.Error
	if !errors.As(err, &said) {
		return sigv4.Refusal("ServiceUnavailable", http.StatusServiceUnavailable, "Who signed the request could not be found out. Reduce your request rate.")
	}
	return said.In(g.style, sigv4.Presigned(r), r.Header.Get("X-Amz-Security-Token") != "" || r.URL.Query().Has("X-Amz-Security-Token"))
}

// admit verifies a request. Refusals are of type *sigv4.Error.
func (g *Guard) admit(r *http.Request) (*http.Request, error) {
	sig, err := sigv4.ParseAs(r, g.cfg.Now(), g.style)
	if err != nil {
		return nil, err
	}
	if err := sig.CheckService(g.cfg.Service); err != nil {
		return nil, err
	}
	if err := sig.CheckRegion(g.cfg.Region); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	var sum [sha256.Size]byte
	if g.style == sigv4.StyleAWS {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, g.cfg.MaxBody))
		if err != nil {
			return nil, sigv4.Refusal("RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "The body is too long, or did not come.")
		}
		sum = sha256.Sum256(body)
		in.Body = io.NopCloser(bytes.NewReader(body))
	}
	caller, key, err := g.signer(r, sig, sum)
	if err != nil {
		return nil, err
	}
	if g.style == sigv4.StyleS3 {
		if err := g.body(in, sig, key); err != nil {
			return nil, err
		}
	}
	return in.WithContext(context.WithValue(in.Context(), callerKey{}, caller)), nil
}

// signer finds out who signed. The key is there where chunks are signed.
func (g *Guard) signer(r *http.Request, sig *sigv4.Signature, sum [sha256.Size]byte) (*Caller, *kept, error) {
	var key *kept
	var err error
	if g.cfg.Keys {
		if key, err = g.keys.find(r.Context(), sig); err != nil {
			return nil, nil, err
		}
		if err := sig.Verify(key.key, sum); err != nil {
			return nil, nil, err
		}
		return &Caller{Authenticated: key.told.Principal, Signed: sig.Names(), Payload: payloads[sig.Payload]}, key, nil
	}
	said, err := g.ask(r, sig, sum)
	if err != nil {
		return nil, nil, err
	}
	if sig.Payload.SignedChunks() {
		if key, err = g.keys.find(r.Context(), sig); err != nil {
			return nil, nil, err
		}
	}
	return &Caller{Authenticated: *said.Principal, Signed: said.Signature.Headers, Payload: said.Signature.Payload}, key, nil
}

var payloads = [...]string{shape.PayloadHashed, shape.PayloadUnsigned, shape.PayloadStreaming, shape.PayloadStreamingTrailer, shape.PayloadUnsignedTrailer}

// ask hands a request on to the cluster: of its headers those that are signed, and those of the
// signature.
func (g *Guard) ask(r *http.Request, sig *sigv4.Signature, sum [sha256.Size]byte) (*client.Authentication, error) {
	in := &client.Received{Service: g.cfg.Service, Region: g.cfg.Region, Style: g.cfg.Style, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Headers: shape.Headers{"Host": {r.Host}}}
	if r.ContentLength >= 0 {
		in.Headers["Content-Length"] = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	values := 0
	for name, list := range r.Header {
		low := strings.ToLower(name)
		if low != "authorization" && low != "date" && !strings.HasPrefix(low, "x-amz-") && !sig.Signs(low) || low == "host" || low == "content-length" {
			continue
		}
		if values += len(list); values > maxHandedOn {
			return nil, sigv4.Refusal("RequestHeaderSectionTooLarge", http.StatusBadRequest, "There are too many signed headers.")
		}
		in.Headers[name] = list
	}
	if g.style == sigv4.StyleAWS {
		in.PayloadHash = hex.EncodeToString(sum[:])
	}
	if g.cfg.Asker != nil {
		in.Action, in.Resource, in.Context = g.cfg.Asker.Ask(r)
	}
	said, err := g.cfg.Authority.Authenticate(r.Context(), in, client.Freshness{})
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask who signed: %w", err)
	case said.Error != nil:
		return nil, sigv4.Refusal(said.Error.Code, said.Error.Status, said.Error.Message)
	case said.Principal == nil || said.Signature == nil:
		return nil, errors.New("the node answered without a principal")
	case in.Action != "" && (said.Decision == nil || !said.Decision.Allowed()):
		return nil, sigv4.Refusal("AccessDenied", http.StatusForbidden, "User: "+said.Principal.ARN+" is not authorized to perform: "+in.Action+" on resource: "+in.Resource)
	}
	return said, nil
}

// body makes the body of a request in style s3 one that is verified as it is read.
func (g *Guard) body(in *http.Request, sig *sigv4.Signature, key *kept) error {
	if in.Body == nil {
		in.Body = http.NoBody
	}
	from := in.Body
	switch sig.Payload {
	case sigv4.PayloadUnsigned:
		return nil
	case sigv4.PayloadHashed:
		in.Body = readCloser{&hashed{from: from, sum: sha256.New(), want: sig.PayloadSHA256}, from}
		return nil
	}
	length, err := strconv.ParseInt(in.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || length < 0 || len(in.Header["X-Amz-Decoded-Content-Length"]) > 1 {
		return sigv4.Refusal("MissingContentLength", http.StatusLengthRequired, "You must provide the x-amz-decoded-content-length HTTP header.")
	}
	var c *chain
	if sig.Payload.SignedChunks() {
		c = newChain(sig, key.key)
	}
	in.Trailer = http.Header{}
	body, err := newChunked(from, c, sig.Payload != sigv4.PayloadStreaming, in.Header["X-Amz-Trailer"], length, in.Trailer)
	if err != nil {
		return err
	}
	in.Body, in.ContentLength = readCloser{body, from}, length
	in.Header.Set("Content-Length", strconv.FormatInt(length, 10))
	dropCoding(in.Header)
	return nil
}

// dropCoding takes aws-chunked off the codings of a body that has it no more.
func dropCoding(h http.Header) {
	var left []string
	for _, list := range h["Content-Encoding"] {
		for one := range strings.SplitSeq(list, ",") {
			if one = strings.TrimSpace(one); one != "" && !strings.EqualFold(one, "aws-chunked") {
				left = append(left, one)
			}
		}
	}
	delete(h, "Content-Encoding")
	if len(left) > 0 {
		h.Set("Content-Encoding", strings.Join(slices.Clip(left), ","))
	}
}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}
