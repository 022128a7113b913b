// Package sigv4 reads and checks AWS Signature Version 4, and signs with it.
//
// A server calls [Parse] on a request: it finds the signature in the
// Authorization header or in the query of a presigned URL and checks what the
// request alone can show: form, credential scope, clock. Then it finds the
// secret of [Signature.AccessKeyID], derives the signing key ([DeriveKey]) and calls
// [Signature.Verify]; [KeyCache.Verify] does both, and derives once a day what has
// verified before. Every refusal is
// an [*Error] with the code, status and text that IAM and STS give.
//
// Where AWS services differ, this package does as IAM and STS do, unless [ParseAs] is told otherwise:
//
//   - The body is always hashed. X-Amz-Content-Sha256 is a header like any
//     other, so UNSIGNED-PAYLOAD does not verify.
//   - The path is normalised and encoded once more than it was sent.
//   - Any region of up to [MaxRegion] letters, digits and hyphens is accepted in the
//     scope, the empty one too; the service is for the caller to check, with
//     [Signature.CheckService].
//   - The request time may be [MaxClockSkew] away from ours, both ways.
//
// One difference is deliberate: AWS STS lets every presigned request live for
// 15 minutes whatever X-Amz-Expires says. Here the signer's word counts: the
// request is good for X-Amz-Expires seconds after X-Amz-Date.
//
// The package does no I/O and has no clock; a Signature refers to its request
// and is used by one goroutine.
package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"time"
)

// Limits of what is read from a request before its signature is known to be
// good.
const (
	// MaxClockSkew is how far the time of a request may be from the server's.
	MaxClockSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned request.
	MaxExpires = 7 * 24 * time.Hour
	// MaxSignedHeaders bounds the names in SignedHeaders.
	MaxSignedHeaders = 100
	// MaxAccessKeyID, MaxRegion and MaxService bound the parts of a credential, in
	// bytes. They are letters, digits, hyphens, underscores and dots; an access key id
	// is never longer (IAM API Reference, AccessKey).
	MaxAccessKeyID = 128
	MaxRegion      = 64
	MaxService     = 32
	// MaxQueryPairs bounds the name=value pairs of a query.
	MaxQueryPairs = 4096
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeLayout = "20060102T150405Z"
	dateLen    = len("20060102")
)

// Scope is the part of a credential scope that the signing key depends on.
type Scope struct {
	Date    string // YYYYMMDD, UTC
	Region  string // may be empty
	Service string // signing name: iam, sts, writ
}

// Signature is the signature that a request carries, and what it claims.
type Signature struct {
	AccessKeyID   string
	Scope         Scope
	Time          time.Time // X-Amz-Date or Date, UTC
	SignedHeaders string    // lower case, separated by ";"
	SessionToken  string    // of temporary credentials; else empty
	Presigned     bool      // the signature is in the query
	Until         time.Time // the request is good until then
	// Payload is what it covers of the body, and PayloadSHA256 the body's hash where that is
	// PayloadHashed; of StyleS3 alone.
	Payload       Payload
	PayloadSHA256 [sha256.Size]byte

	request   *http.Request
	content   string // X-Amz-Content-Sha256, of StyleS3; else empty
	timestamp string // Time as it enters the string to sign
	signature string // hex
}

// Verify reports whether the request was signed with key and carried the body
// with the given SHA-256. The error is [ErrSignatureDoesNotMatch] when not. The
// comparison takes constant time.
//
// The query may have been signed in canonical form, or just as it was sent: curl
// 7.88 does not sort it. So may the path in [StyleS3], where the Go SDK's signer leaves what
// it is given.
func (s *Signature) Verify(key SigningKey, bodyHash [sha256.Size]byte) error {
	in := s.input(bodyHash)
	if s.matches(key, in) {
		return nil
	}
	if in.asSent() && s.matches(key, in) {
		return nil
	}
	return ErrSignatureDoesNotMatch
}

// input is what the signature covers.
func (s *Signature) input(bodyHash [sha256.Size]byte) canonicalInput {
	r := s.request
	return canonicalInput{
		method:        r.Method,
		path:          wirePath(r),
		query:         r.URL.RawQuery,
		host:          r.Host,
		header:        r.Header,
		contentLength: r.ContentLength,
		signedHeaders: s.SignedHeaders,
		bodyHash:      bodyHash,
		presigned:     s.Presigned,
		content:       s.content,
	}
}

func (s *Signature) matches(key SigningKey, in canonicalInput) bool {
	return key.signed(s.timestamp, s.Scope, sha256.Sum256(appendCanonicalRequest(make([]byte, 0, 1024), in)), s.signature)
}

// signed says, in constant time, whether a signature is that of a canonical request,
// which is given by its hash.
func (k *SigningKey) signed(timestamp string, scope Scope, canonical [sha256.Size]byte, signature string) bool {
	want := k.sign(timestamp, scope, canonical)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], want[:])
	return subtle.ConstantTimeCompare(text[:], []byte(signature)) == 1
}

// ID identifies the signature, and with it what it covers: requests with one ID ask
// for the same by the same access key at the same second. It is a SHA-256 and tells
// nobody the signature.
func (s *Signature) ID() [sha256.Size]byte {
	return sha256.Sum256([]byte(s.AccessKeyID + "/" + s.signature))
}

// Signs reports whether the header of that name, in lower case, is among those
// that the signature covers.
func (s *Signature) Signs(header string) bool {
	return containsHeader(s.SignedHeaders, header)
}

// SigningKey is a secret access key bound to one scope. It is a secret.
type SigningKey [sha256.Size]byte

// DeriveKey binds a secret access key to a scope, as AWS's "Create a signed AWS
// API request" says. It costs four HMACs; [KeyCache] remembers those that verified.
func DeriveKey(secret []byte, scope Scope) SigningKey {
	seed := make([]byte, 0, 64)
	seed = append(seed, "AWS4"...)
	seed = append(seed, secret...)
	key := mac(seed, scope.Date)
	key = mac(key[:], scope.Region)
	key = mac(key[:], scope.Service)
	return mac(key[:], terminator)
}

// sign returns the signature of a canonical request, given by its hash.
func (k *SigningKey) sign(timestamp string, scope Scope, canonical [sha256.Size]byte) [sha256.Size]byte {
	b := make([]byte, 0, 384)
	b = append(b, algorithm+"\n"...)
	b = append(b, timestamp...)
	b = append(b, '\n')
	b = append(b, scope.Date...)
	b = append(b, '/')
	b = append(b, scope.Region...)
	b = append(b, '/')
	b = append(b, scope.Service...)
	b = append(b, '/')
	b = append(b, terminator+"\n"...)
	b = hex.AppendEncode(b, canonical[:])
	return mac(k[:], b)
}

// mac is HMAC-SHA256 (RFC 2104) of a short message. crypto/hmac would do, but it
// allocates its state, which costs as much as the hashing of a signature does.
// Keys of a block or less, which all but seeds of absurd secrets are, enter as
// they are.
func mac[T string | []byte](key []byte, message T) [sha256.Size]byte {
	const block = 64 // bytes, of SHA-256
	if len(key) > block {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	outer := make([]byte, block, block+sha256.Size)
	inner := make([]byte, block, 512)
	copy(outer, key)
	copy(inner, key)
	for i := range block {
		outer[i] ^= 0x5c
		inner[i] ^= 0x36
	}
	sum := sha256.Sum256(append(inner, message...))
	return sha256.Sum256(append(outer, sum[:]...))
}
