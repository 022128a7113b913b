package sigv4

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Style is how a service makes the canonical request.
type Style uint8

// The styles.
const (
	// StyleAWS is that of all services but S3: the path is normalised and encoded once
	// more, and the body is hashed.
	StyleAWS Style = iota
	// StyleS3 is that of S3: the path is encoded once and otherwise left as it is, and the
	// signer says what is signed of the body, in X-Amz-Content-Sha256. Every header whose name
	// begins with x-amz- must be signed.
	StyleS3
)

// Payload is what a signature in [StyleS3] covers of the body.
type Payload uint8

// The payloads.
const (
	// PayloadHashed is a body of the given SHA-256.
	PayloadHashed Payload = iota
	// PayloadUnsigned is any body.
	PayloadUnsigned
	// PayloadStreaming is a body in chunks, each signed after the one before it; the first one
	// after the request.
	PayloadStreaming
	// PayloadStreamingTrailer is the same with signed trailers.
	PayloadStreamingTrailer
	// PayloadUnsignedTrailer is a body in chunks that nobody signed, with trailers.
	PayloadUnsignedTrailer
)

// payloads are what a signer says instead of a SHA-256 (Amazon S3 API Reference,
// "Authenticating Requests").
var payloads = [...]string{
	PayloadUnsigned:         "UNSIGNED-PAYLOAD",
	PayloadStreaming:        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	PayloadStreamingTrailer: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	PayloadUnsignedTrailer:  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}

// headerContent is where a signer says what is signed of the body.
const headerContent = "X-Amz-Content-Sha256"

// Streaming tells whether the body comes in chunks.
func (p Payload) Streaming() bool { return p >= PayloadStreaming }

// SignedChunks tells whether each chunk is signed.
func (p Payload) SignedChunks() bool {
	return p == PayloadStreaming || p == PayloadStreamingTrailer
}

// ParseAs is [Parse] for a service of a style. Of [StyleS3], [Signature.Verify] takes no hash
// of the body: whoever has verified compares the body with [Signature.Payload].
func ParseAs(r *http.Request, now time.Time, style Style) (*Signature, error) {
	s, err := Parse(r, now)
	if err != nil || style != StyleS3 {
		return s, err
	}
	if s.content, err = contentOf(r, s.Presigned); err != nil {
		return nil, err
	}
	if s.Payload, s.PayloadSHA256, err = payloadOf(s.content); err != nil {
		return nil, err
	}
	for name := range r.Header {
		// What is signed of the body is in the canonical request by itself.
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && name != "x-amz-content-sha256" && !s.Signs(name) {
			return nil, mismatch(notSigned + shortened(name))
		}
	}
	return s, nil
}

// contentOf is what the signer says of the body. A presigned request that says nothing is good
// with any body.
func contentOf(r *http.Request, presigned bool) (string, error) {
	said := r.Header[headerContent]
	if presigned {
		for query := r.URL.RawQuery; query != ""; {
			var pair string
			pair, query, _ = strings.Cut(query, "&")
			if parameterName(pair) == headerContent {
				_, value, _ := strings.Cut(pair, "=")
				said = append(slices.Clone(said), decodeParameter(value))
			}
		}
	}
	switch {
	case len(said) == 1:
		return said[0], nil
	case len(said) > 1:
		return "", incomplete(headerContent + " must be given once.")
	case presigned:
		return payloads[PayloadUnsigned], nil
	}
	return "", incomplete("Missing required header for this request: x-amz-content-sha256")
}

// payloadOf reads what the signer says of the body.
func payloadOf(content string) (p Payload, sum [32]byte, err error) {
	if i := slices.Index(payloads[:], content); i > 0 {
		return Payload(i), sum, nil
	}
	if len(content) == 2*len(sum) {
		if _, err := hex.Decode(sum[:], []byte(content)); err == nil && hex.EncodeToString(sum[:]) == content { // in lower case
			return PayloadHashed, sum, nil
		}
	}
	return 0, sum, incomplete("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, " +
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.")
}

// appendPathOnce appends the path of a request in StyleS3: decoded and encoded again, with
// every segment as it is.
func appendPathOnce(b []byte, path string) []byte {
	if path == "" {
		return append(b, '/')
	}
	for i := 0; i < len(path); {
		c, n := path[i], 1
		if c != '+' { // which stands for a blank in queries alone
			c, n = decodedByte(path[i:])
		}
		if n == 1 && c == '/' { // and not an encoded one
			b = append(b, c)
		} else {
			b = appendEncodedByte(b, c)
		}
		i += n
	}
	return b
}

// Text is the signature as it was sent, in hexadecimal: what the first of signed chunks is
// signed after.
func (s *Signature) Text() string { return s.signature }

// Timestamp is the time of the request as it was signed.
func (s *Signature) Timestamp() string { return s.timestamp }

// MAC is the HMAC-SHA256 of a text by the key: the signature of a chunk, of its string to sign.
func (k *SigningKey) MAC(text []byte) [32]byte { return mac(k[:], text) }

// Names are the names of the headers that the signature covers, in lower case.
func (s *Signature) Names() []string { return strings.Split(s.SignedHeaders, ";") }

// In is the refusal in the words of a service of a style, for a request that was presigned, and
// for one by temporary credentials. S3's are of "Error responses" in its API Reference.
func (e *Error) In(style Style, presigned, temporary bool) *Error {
	if style != StyleS3 || e.worded {
		return e
	}
	malformed := "AuthorizationHeaderMalformed"
	if presigned {
		malformed = "AuthorizationQueryParametersError"
	}
	switch {
	case e.Code == CodeMissingAuthenticationToken:
		return Refusal("AccessDenied", http.StatusForbidden, "Access Denied")
	case e.Code == CodeIncompleteSignature:
		return Refusal(malformed, http.StatusBadRequest, e.Message)
	case e.Code == CodeInvalidClientTokenID && temporary:
		return Refusal("InvalidToken", http.StatusBadRequest, "The provided token is malformed or otherwise invalid.")
	case e.Code == CodeInvalidClientTokenID:
		return Refusal("InvalidAccessKeyId", http.StatusForbidden, "The AWS Access Key Id you provided does not exist in our records.")
	case e.Code == CodeExpiredToken:
		return Refusal(CodeExpiredToken, http.StatusBadRequest, "The provided token has expired.")
	case e.Untimely && presigned && strings.HasPrefix(e.Message, expired):
		return Refusal("AccessDenied", http.StatusForbidden, "Request has expired")
	case e.Untimely && presigned:
		return Refusal("AccessDenied", http.StatusForbidden, "Request is not yet valid")
	case e.Untimely:
		return Refusal("RequestTimeTooSkewed", http.StatusForbidden, "The difference between the request time and the current time is too large.")
	case strings.HasPrefix(e.Message, notSigned):
		return Refusal("AccessDenied", http.StatusForbidden, e.Message)
	case e.Code == CodeSignatureDoesNotMatch && e.Message == ErrSignatureDoesNotMatch.Message:
		return Refusal(e.Code, http.StatusForbidden, "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	case e.Code == CodeSignatureDoesNotMatch: // of the scope
		return Refusal(malformed, http.StatusBadRequest, e.Message)
	}
	return e
}

// Refusal is one in the words of a service: [Error.In] leaves it as it is.
func Refusal(code string, status int, message string) *Error {
	return &Error{Code: code, Status: status, Message: message, worded: true}
}

// ErrContentMismatch is returned where a body is another one than its signer said, in S3's words.
var ErrContentMismatch = Refusal("XAmzContentSHA256Mismatch", http.StatusBadRequest,
	"The provided 'x-amz-content-sha256' header does not match what was computed.")

// CheckRegion refuses a scope of another region; an empty one is any.
func (s *Signature) CheckRegion(region string) error {
	if region == "" || s.Scope.Region == region {
		return nil
	}
	return mismatch("Credential should be scoped to a valid region; the region '" + s.Scope.Region + "' is wrong; expecting '" + region + "'.")
}

// Presigned tells whether a request carries a signature in its query.
func Presigned(r *http.Request) bool { return carriesSignature(r.URL.RawQuery) }
