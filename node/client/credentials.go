package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of temporary credentials.
const (
	// RefreshBefore is how long before their end temporary credentials are fetched anew, and
	// refreshAgain how long after that failed.
	RefreshBefore = 5 * time.Minute
	refreshAgain  = 10 * time.Second
	// maxToken is how long a web identity token is at most, in bytes.
	maxToken = 20_000
)

// WebIdentity says how a client that has no access key gets temporary credentials: those of a
// role, for a token of an OpenID Connect provider that a file has. The file is read whenever
// they are fetched: whoever issues tokens replaces it.
type WebIdentity struct {
	TokenFile, RoleARN string
	// SessionName is the name of the sessions; empty for one of the client's own.
	SessionName string
}

// WebIdentityFromEnv is what the variables of AWS's SDKs say: AWS_WEB_IDENTITY_TOKEN_FILE,
// AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME. It is nil without the first.
func WebIdentityFromEnv() *WebIdentity {
	file := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	if file == "" {
		return nil
	}
	return &WebIdentity{TokenFile: file, RoleARN: os.Getenv("AWS_ROLE_ARN"), SessionName: os.Getenv("AWS_ROLE_SESSION_NAME")}
}

// credentials are by what a client signs.
type credentials struct {
	region string
	web    *WebIdentity  // nil for an access key of its own
	turn   chan struct{} // of capacity 1: taken by whoever fetches

	mu      sync.Mutex
	signers map[string]*sigv4.Signer // by service; guarded by mu, as is the rest
	expires time.Time                // zero for never
	again   time.Time                // before it they are not fetched
	failed  error                    // why not
}

// keyError is why there is nothing to sign by.
type keyError struct{ error }

// Unwrap gives the reason.
func (e *keyError) Unwrap() error { return e.error }

func newCredentials(c *Config) *credentials {
	k := &credentials{region: c.Region, turn: make(chan struct{}, 1)}
	if c.AccessKeyID != "" {
		k.set(temporaryKey{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken})
		return k
	}
	own := *c.WebIdentity
	if own.SessionName == "" {
		own.SessionName = "writ-" + rand128()
	}
	k.web = &own
	return k
}

// temporaryKey is an access key, that of a session or without an end.
type temporaryKey struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// set has the client sign by a key, and tells how by service.
func (k *credentials) set(key temporaryKey) map[string]*sigv4.Signer {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.signers, k.expires = make(map[string]*sigv4.Signer), key.Expiration
	for _, service := range []string{serviceWrit, serviceIAM, serviceSTS} {
		k.signers[service] = &sigv4.Signer{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken, Region: k.region, Service: service}
	}
	return k.signers
}

// current is the signer of a service, nil for none; due says that the credentials are to be
// fetched, and failed why there are none just after that failed.
func (k *credentials) current(service string) (s *sigv4.Signer, due bool, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.expires.IsZero() || now.Before(k.expires) {
		s = k.signers[service]
	}
	switch {
	case s != nil && (k.expires.IsZero() || now.Before(k.expires.Add(-RefreshBefore))):
		return s, false, nil
	case !now.Before(k.again):
		return s, true, nil
	case s == nil:
		return nil, false, k.failed
	}
	return s, false, nil
}

// signer is what signs for a service. Credentials that are about to end are fetched anew: by
// one call, while others go on with what there is.
func (c *Client) signer(ctx context.Context, service string) (*sigv4.Signer, error) {
	k := c.keys
	s, due, err := k.current(service)
	if !due {
		return s, err
	}
	if s != nil {
		select {
		case k.turn <- struct{}{}:
		default:
			return s, nil
		}
	} else {
		select {
		case k.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, &keyError{ctx.Err()}
		}
	}
	defer func() { <-k.turn }()
	if s, due, err = k.current(service); !due {
		return s, err
	}
	key, err := c.assume(ctx, k.web)
	if err == nil {
		return k.set(*key)[service], nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() == nil { // else it is no fault but the caller's patience
		k.again = time.Now().Add(refreshAgain)
	}
	k.failed = &keyError{fmt.Errorf("get credentials for the token in %s: %w", k.web.TokenFile, err)}
	if s != nil { // they have not ended
		return s, nil
	}
	return nil, k.failed
}

// assume gets credentials for a web identity.
func (c *Client) assume(ctx context.Context, w *WebIdentity) (*temporaryKey, error) {
	token, err := readToken(w.TokenFile)
	if err != nil {
		return nil, err
	}
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {versions[serviceSTS]}, "RoleArn": {w.RoleARN},
		"RoleSessionName": {w.SessionName}, "WebIdentityToken": {token}}
	q := newCall(http.MethodPost, "/", []byte(form.Encode()), Freshness{})
	q.service, q.unsigned, q.route = serviceSTS, true, toAnybody
	q.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Credentials temporaryKey `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	if err := xml.Unmarshal(a.body, &answer); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", a.from.Host, err)
	}
	if k := &answer.Credentials; k.AccessKeyID == "" || k.SecretAccessKey == "" || k.SessionToken == "" || k.Expiration.IsZero() {
		return nil, fmt.Errorf("%s gave no credentials: it is no node of Writ", a.from.Host)
	}
	return &answer.Credentials, nil
}

// errToken is returned for a file that has no token.
var errToken = errors.New("it has no web identity token")

func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the web identity token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+2))
	if err != nil {
		return "", fmt.Errorf("read the web identity token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(token) > maxToken {
		return "", fmt.Errorf("read the web identity token in %s: %w", file, errToken)
	}
	return token, nil
}
