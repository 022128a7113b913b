package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Signer signs requests in their headers. Its fields must not change after the
// first Sign. Safe for concurrent use.
type Signer struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // of temporary credentials; else empty
	Region          string // any, may be empty
	Service         string // iam, sts, writ

	mu   sync.Mutex
	date string     // guarded by mu; the day of key
	key  SigningKey // guarded by mu
}

// Sign adds X-Amz-Date, Authorization and, for temporary credentials,
// X-Amz-Security-Token to r, whose body has the given SHA-256. It signs Host,
// Content-Type and every header whose name begins with X-Amz- or X-Writ-; these
// must not change afterwards. The request is not otherwise read.
func (s *Signer) Sign(r *http.Request, bodyHash [sha256.Size]byte, now time.Time) {
	timestamp := now.UTC().Format(timeLayout)
	r.Header.Set(headerAmzDate, timestamp)
	if s.SessionToken != "" {
		r.Header.Set(headerSecurityToken, s.SessionToken)
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	signedHeaders := headersToSign(r.Header)
	canonical := appendCanonicalRequest(make([]byte, 0, 1024), canonicalInput{
		method:        r.Method,
		path:          r.URL.EscapedPath(),
		query:         r.URL.RawQuery,
		host:          host,
		header:        r.Header,
		contentLength: r.ContentLength,
		signedHeaders: signedHeaders,
		bodyHash:      bodyHash,
	})
	scope := Scope{Date: timestamp[:dateLen], Region: s.Region, Service: s.Service}
	key := s.keyFor(scope)
	signature := key.sign(timestamp, scope, sha256.Sum256(canonical))
	r.Header.Set(headerAuthorization, algorithm+" Credential="+s.AccessKeyID+"/"+scope.Date+"/"+scope.Region+"/"+
		scope.Service+"/"+terminator+", SignedHeaders="+signedHeaders+", Signature="+hex.EncodeToString(signature[:]))
}

func (s *Signer) keyFor(scope Scope) SigningKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.date != scope.Date {
		s.key, s.date = DeriveKey([]byte(s.SecretAccessKey), scope), scope.Date
	}
	return s.key
}

func headersToSign(header http.Header) string {
	names := make([]string, 1, 8)
	names[0] = "host"
	for name := range header {
		name = strings.ToLower(name)
		if name == "content-type" || strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-writ-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}
