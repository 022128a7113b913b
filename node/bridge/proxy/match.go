package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/projection/policy"
)

// Asked is a request of a stranger that a proxy asks about, as the proxy tells it.
type Asked struct {
	Method string
	Scheme string // http or https; "" where the proxy does not tell
	Host   string // with a port or without
	Target string // path and query, as they came
	Header http.Header
	// Peer is what the proxy itself says of the client's certificate, where the protocol has a
	// place for it.
	Peer string
	// Source is the client's address, where the protocol has a place for it.
	Source string
}

// Errors of requests that become no question.
var (
	// errUnmapped is returned where no rule matches.
	errUnmapped = errors.New("no rule of the mapping matches the request")
	errTwice    = errors.New("a header or parameter is given twice, or has a comma")
	errEmpty    = errors.New("what the rule makes a question of is empty, or too long")
	errMethod   = errors.New("the request has no method that can be mapped")
	errHost     = errors.New("the request has no host that can be mapped")
	errScheme   = errors.New("the request is of no scheme that can be mapped")
	errOverride = errors.New("the request has a header by which some services take another method or path")
)

// overrides are headers by which some frameworks take another path, or method, than the request's.
var overrides = [...]string{"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// lookup is the one value of a header; errTwice where there are more.
func lookup(h http.Header, name string) (string, error) {
	switch list := h[name]; {
	case len(list) == 0:
		return "", nil
	case len(list) > 1:
		return "", errTwice
	default:
		return list[0], nil
	}
}

// found is a rule that matches a request, with the values of its variables.
type found struct {
	rule   *Rule
	asked  *Asked
	host   string
	target Target
	query  map[string]string
}

// match finds the rule of a request. Errors say why there is none.
func (m *Mapping) match(a *Asked) (f found, err error) {
	f.asked = a
	if !isMethod(a.Method) {
		return f, errMethod
	}
	if f.host = hostOf(a.Host); f.host == "" {
		return f, errHost
	}
	if a.Scheme != "" && a.Scheme != "http" && a.Scheme != "https" {
		return f, errScheme
	}
	for _, name := range overrides {
		for _, value := range a.Header[name] {
			if value != a.Target && value != a.Method {
				return f, errOverride
			}
		}
	}
	if f.target, err = ParseTarget(a.Target); err != nil {
		return f, err
	}
	if f.target.Query != "" {
		f.query = parameters(f.target.Query)
	}
	for i := range m.Rules {
		r := &m.Rules[i]
		ok, err := r.matches(&f)
		if err != nil {
			return f, err
		}
		if ok {
			f.rule = r
			return f, nil
		}
	}
	return f, errUnmapped
}

// matches tells whether the rule is that of a request.
func (r *Rule) matches(f *found) (bool, error) {
	if _, ok := r.Actions[f.asked.Method]; !ok || !hostWithin(f.host, r.Host.Value) || !r.fits(&f.target) || !r.asks(f) {
		return false, nil
	}
	for name, want := range r.headers {
		value, err := lookup(f.asked.Header, name)
		if err != nil {
			return false, err
		}
		if value == "" && len(f.asked.Header[name]) > 0 {
			return false, errEmpty
		}
		if value == "" || want != "*" && value != want {
			return false, nil
		}
	}
	return true, nil
}

// fits tells whether a path is one of the pattern.
func (r *Rule) fits(t *Target) bool {
	if n := len(t.Segments); r.slash != t.Slash || n < r.least() || r.rest == "" && n != r.least() {
		return false
	}
	for i, s := range r.segments {
		if s.literal != "" && s.literal != t.Segments[i] {
			return false
		}
	}
	return true
}

// asks tells whether the query is as the rule says.
func (r *Rule) asks(f *found) bool {
	switch {
	case r.Query.any():
		return true
	case len(r.Query.names) == 0:
		return !f.target.HasQuery
	case len(f.query) != len(r.Query.names):
		return false
	}
	for _, name := range r.Query.names {
		if _, ok := f.query[name]; !ok {
			return false
		}
	}
	return true
}

// value is that of a variable; "" for none.
func (f *found) value(name string) string {
	kind, of, _ := strings.Cut(name, ".")
	switch kind {
	case "host":
		return f.host
	case "method":
		return f.asked.Method
	case "scheme":
		return f.asked.Scheme
	case "header":
		value, err := lookup(f.asked.Header, http.CanonicalHeaderKey(of))
		if err != nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' }) {
			return ""
		}
		return value
	case "query":
		return f.query[of]
	case "path":
		if f.rule.rest == of {
			return strings.Join(f.target.Segments[len(f.rule.segments):], "/")
		}
		for i, s := range f.rule.segments {
			if s.variable == of {
				return f.target.Segments[i]
			}
		}
	}
	return ""
}

// question is what the request becomes, but for its principal.
func (f *found) question() (q decision.Question, err error) {
	q.Context = make([]policy.Entry, 0, len(f.rule.context)+2)
	q.Action = f.rule.Actions[f.asked.Method].Value
	ok := false
	if q.Resource, ok = f.rule.resource.expand(f.value); !ok {
		return q, errEmpty
	}
	for i := range f.rule.context {
		e := &f.rule.context[i]
		value, ok := e.value.expand(f.value)
		if !ok {
			return q, errEmpty
		}
		q.Context = append(q.Context, policy.Single(e.key, value))
	}
	if f.asked.Scheme != "" {
		q.Context = append(q.Context, policy.Single(keySecure, strconv.FormatBool(f.asked.Scheme == "https")))
	}
	return q, nil
}

// Condition keys that a question has where the proxy tells.
var (
	keySecure = policy.NewKey("aws:SecureTransport")
	keySource = policy.NewKey("aws:SourceIp")
)
