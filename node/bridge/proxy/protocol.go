package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/fault"
)

// Paths at a door.
const (
	// PathAuth answers proxies that tell of a request by headers: X-Forwarded-Method, -Host, -Uri
	// and -Proto.
	PathAuth = "/auth"
	// PrefixEnvoy is before the path of the request itself, whose method and host it has: Envoy's
	// ext_authz over HTTP.
	PrefixEnvoy = "/envoy"
)

// New reads a mapping and returns the protocol. What is wrong in it wraps bridge.ErrConfig.
func New(mapping string) (bridge.Protocol, error) {
	m, err := Load(mapping)
	if err != nil {
		return nil, err
	}
	if c := m.needsHeader(); c != nil {
		return nil, fmt.Errorf("%w: %s:%d: certificate needs `header`: only Envoy over gRPC tells a subject without one", bridge.ErrConfig, mapping, max(c.Principal.Line, 1))
	}
	return &protocol{m}, nil
}

type protocol struct{ mapping *Mapping }

// Routes adds PathAuth, and what is below PrefixEnvoy.
func (p *protocol) Routes(mux bridge.Mux, d *bridge.Desk) {
	mux.Handle(PathAuth, d.Handler("proxy:Authorize", operation{p.mapping, forwarded{}}, bridge.OfStrangers))
	envoy := d.Handler("proxy:Authorize", operation{p.mapping, itself{}}, bridge.OfStrangers)
	for _, pattern := range []string{PrefixEnvoy, PrefixEnvoy + "/"} {
		mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL = &url.URL{Path: PrefixEnvoy} // the query is the request's, and not for the node
			envoy.ServeHTTP(w, r)
		}))
	}
}

// teller reads what a proxy tells of a request.
type teller interface {
	asked(*http.Request) (Asked, error)
}

type operation struct {
	mapping *Mapping
	teller  teller
}

// Serve answers a call.
func (o operation) Serve(c *bridge.Call) error {
	asked, err := o.teller.asked(c.Request.Request)
	if err != nil {
		return err
	}
	outcome, err := o.mapping.Decide(c, &asked)
	if err != nil {
		return err
	}
	tell(c, &outcome)
	return nil
}

// Refuse answers with a fault.
func (o operation) Refuse(c *bridge.Call, f *fault.Fault) {
	outcome := o.mapping.Refused(f)
	tell(c, &outcome)
}

// tell writes an answer. Its body says nothing of policies: some proxies give it to the client.
func tell(c *bridge.Call, o *Outcome) {
	c.Tell()
	h := c.W.Header()
	for name, value := range map[string]string{HeaderPrincipal: o.Principal, HeaderReason: o.Reason, "Www-Authenticate": o.Challenge} {
		if value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Cache-Control", "no-store")
	body := ""
	if !o.Allowed() {
		body = http.StatusText(o.Status) + "\n"
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	c.W.WriteHeader(o.Status)
	_, _ = io.WriteString(&c.W, body) // or who asked is gone
}

// forwarded is the request that headers tell of.
type forwarded struct{}

func (forwarded) asked(r *http.Request) (a Asked, err error) {
	a = Asked{Header: r.Header}
	for name, into := range map[string]*string{"X-Forwarded-Method": &a.Method, "X-Forwarded-Host": &a.Host, "X-Forwarded-Uri": &a.Target, "X-Forwarded-Proto": &a.Scheme} {
		list := r.Header[name]
		if len(list) != 1 || list[0] == "" || strings.Contains(list[0], ",") && name != "X-Forwarded-Uri" {
			return a, fault.BadRequest("Have the proxy set X-Forwarded-Method, -Host, -Uri and -Proto, each once.", "The header %s is there %d times, or is empty or a list.", name, len(list))
		}
		*into = list[0]
	}
	return a, nil
}

// itself is the request with the prefix before its path.
type itself struct{}

func (itself) asked(r *http.Request) (a Asked, err error) {
	a = Asked{Header: r.Header, Method: r.Method, Host: r.Host, Target: strings.TrimPrefix(r.RequestURI, PrefixEnvoy)}
	a.Scheme, err = lookup(r.Header, "X-Forwarded-Proto")
	return a, err
}
