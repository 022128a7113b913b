package bearer

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
)

// The form of presigned tokens: pkg/token/token.go of kubernetes-sigs/aws-iam-authenticator.
const (
	// Prefix begins a presigned token; the rest is its URL in base64url without padding.
	Prefix = "k8s-aws-v1."
	// HeaderID is the header, signed, with the identifier of the service that the token is for.
	HeaderID = "X-K8s-Aws-Id"
	// MaxLife is for how long a token is good after it was signed, and what it is unless a mapping
	// says otherwise. X-Amz-Expires does not count, as STS has it: clients write 60 seconds there, or
	// 0, and keep the token for 14 minutes.
	MaxLife = 15 * time.Minute

	action, version = "GetCallerIdentity", "2011-06-15"
)

// parameters are those that the query of a token may have, and needed those that it must.
var (
	parameters = []string{"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders"}
	needed     = []string{"Action", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature", "X-Amz-SignedHeaders"}
)

// Presigned says which presigned tokens are taken.
type Presigned struct {
	// ID is the identifier of the service: the cluster's name for a token of Kubernetes.
	ID bridge.Text `yaml:"id"`
	// Endpoints are the URLs of STS at which clients sign: https://HOST, or http://HOST.
	Endpoints []bridge.Text `yaml:"endpoints"`
	// Life is for how long a token is good, as 15m; MaxLife at most, and if nothing is said.
	Life bridge.Text `yaml:"life,omitempty"`

	life time.Duration
}

func (p *Presigned) complete(file string) error {
	if !plain(p.ID.Value) {
		return At(file, p.ID.Line, "presigned needs `id`: up to 100 letters, digits, hyphens, underscores and dots, which the token must sign as %s", HeaderID)
	}
	if len(p.Endpoints) == 0 || len(p.Endpoints) > MaxSources {
		return At(file, p.ID.Line, "presigned needs `endpoints`: the 1 to %d URLs of STS at which clients sign, such as https://sts.example.com", MaxSources)
	}
	for i, e := range p.Endpoints {
		u, err := url.Parse(e.Value)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || e.Value != u.Scheme+"://"+u.Host {
			return At(file, e.Line, "presigned: the endpoint %q is not https://HOST or http://HOST", e.Value)
		}
		if slices.ContainsFunc(p.Endpoints[:i], func(o bridge.Text) bool { return o.Value == e.Value }) {
			return At(file, e.Line, "presigned: the endpoint is named before")
		}
	}
	p.life = MaxLife
	if p.Life.Given() {
		life, err := time.ParseDuration(p.Life.Value)
		if err != nil || life < time.Second || life > MaxLife {
			return At(file, p.Life.Line, "presigned: `life` is a duration of 1s to %s", MaxLife)
		}
		p.life = life
	}
	return nil
}

// plain tells whether a text is one that clients and header lines carry as it is.
func plain(id string) bool {
	return id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// request is the request that a token signs.
func (p *Presigned) request(token string) (*http.Request, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(token, Prefix))
	if err != nil {
		return nil, refuse("the token is not base64url without padding")
	}
	u, err := url.Parse(string(raw))
	switch {
	case err != nil || u.Opaque != "" || u.User != nil || u.Fragment != "":
		return nil, refuse("the token holds no URL of a request")
	case !slices.ContainsFunc(p.Endpoints, func(e bridge.Text) bool { return e.Value == u.Scheme+"://"+u.Host }):
		return nil, refuse("the token is signed for another endpoint than those of the mapping")
	case u.Path != "/" || u.RawPath != "":
		return nil, refuse("the token is signed for another path than /")
	}
	query, err := once(u.RawQuery)
	if err != nil {
		return nil, err
	}
	expires, err := strconv.Atoi(query["X-Amz-Expires"])
	if err != nil || expires < 0 || expires > int(MaxLife/time.Second) {
		return nil, refuse("the token's X-Amz-Expires is not 0 to %d", int(MaxLife/time.Second))
	}
	return &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{HeaderID: {p.ID.Value}}, Body: http.NoBody,
	}, nil
}

// once reads a query that has each parameter once, and no others than a token has.
func once(raw string) (map[string]string, error) {
	list, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse("the token's query is malformed")
	}
	query := map[string]string{}
	for name, values := range list {
		if !slices.Contains(parameters, name) {
			return nil, refuse("the token's query has a parameter that GetCallerIdentity has not")
		}
		if len(values) != 1 {
			return nil, refuse("the token's query gives %s %d times", name, len(values))
		}
		query[name] = values[0]
	}
	for _, name := range needed {
		if query[name] == "" {
			return nil, refuse("the token's query lacks %s", name)
		}
	}
	if v, given := query["Version"]; query["Action"] != action || given && v != version {
		return nil, refuse("the token is for another action than %s", action)
	}
	return query, nil
}

// identify verifies a token as the request that it is.
func (p *Presigned) identify(c *bridge.Call, token string) (Identity, error) {
	r, err := p.request(token)
	if err != nil {
		return Identity{}, err
	}
	sig, err := sigv4.ParseFor(r, c.Now, p.life)
	if err == nil {
		err = sig.CheckService("sts")
	}
	if err == nil && !sig.Signs("x-k8s-aws-id") {
		return Identity{}, refuse("the token does not sign %s: it would be good for every service", HeaderID)
	}
	if err != nil {
		return Identity{}, refused(err)
	}
	// What it takes of the node it takes on account of the door's caller, and it proves nothing of
	// any connection or address.
	q := c.Request.Received(r, sha256.Sum256(nil))
	if sig.SessionToken != "" {
		if err := reach(c, &q, sig); err != nil {
			return Identity{}, err
		}
	}
	by, _, err := c.Desk.Authenticate(&q, sig, c.Seen.View)
	if err != nil {
		return Identity{}, refused(err)
	}
	return told(c, &by)
}

// refused is an error of a signature as a refusal.
func refused(err error) error {
	var why *sigv4.Error
	if errors.As(err, &why) {
		return refuse("%s", why.Message)
	}
	return err
}

// reach finds the view anew where a session was made later than what the node shows, since its role
// may be as new, or is sealed by a key that the node may yet have to hear of. Anybody can make up
// such, so that these take few places.
func reach(c *bridge.Call, q *admission.Request, sig *sigv4.Signature) error {
	known, err := c.Desk.Recognize(q, sig)
	if err != nil {
		return refused(err)
	}
	if known && q.MintedAt() <= c.Seen.View.Head.Position {
		return nil
	}
	place := admission.Waiting
	if !known {
		place = admission.Strangers
	}
	free, err := c.Desk.Take(place, &c.Request)
	if err != nil {
		return err
	}
	defer free()
	c.Request.Header.Set(shape.HeaderConsistency, "strict")
	return c.Begin(freshness.ForSession)
}

// told is whom credentials are of, if a later question can be about them.
func told(c *bridge.Call, by *admission.Caller) (Identity, error) {
	is, _, err := named(c, by.ARN)
	switch {
	case by.Kind == admission.KindFederatedUser || by.Kind == admission.KindRoot || errors.Is(err, errOther):
		return Identity{}, refuse("the token is of a root or a federated user, whom nothing is told about")
	case err != nil:
		return Identity{}, err
	case is.ID != by.ID:
		return Identity{}, refuse("the token is of a principal that was made anew since")
	}
	is.AccessKey = by.AccessKey
	if s := by.Claims; s != nil {
		if s.Policy != "" || len(s.Managed) > 0 || len(s.Tags) > 0 || s.SourceIdentity != "" {
			return Identity{}, refuse("the token is of a session with session policies, session tags or a source identity, which later questions would not heed: use one without")
		}
		is.Expires = s.Expires
	}
	return is, nil
}
