package proxy

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/projection/authz"
)

// Source is one way in which the end user is known: exactly one of its fields.
type Source struct {
	Bearer      *Bearer      `yaml:"bearer,omitempty"`
	Certificate *Certificate `yaml:"certificate,omitempty"`
	Header      *Header      `yaml:"header,omitempty"`
	// SigV4 is refused: see compile.
	SigV4 *struct{} `yaml:"sigv4,omitempty"`
}

// Bearer knows the end user by a web identity token of an OpenID Connect provider of the cluster.
type Bearer struct {
	// Header has the token behind "Bearer "; "" is Authorization.
	Header bridge.Text `yaml:"header,omitempty"`
	// Issuer is the token's, and Audience whom it must be for, of the provider's client ids.
	Issuer   bridge.Text `yaml:"issuer"`
	Audience bridge.Text `yaml:"audience"`
	// Principal is the template of the ARN of a user, a role, or a role's session, with
	// ${claim.NAME}. Its account is that whose provider the issuer is. A role's trust policy must
	// let the token in.
	Principal bridge.Text `yaml:"principal"`

	principal template
}

// Certificate knows the end user by the client certificate that the proxy has verified.
type Certificate struct {
	// Header has the subject. Envoy over gRPC tells it without a header.
	Header bridge.Text `yaml:"header,omitempty"`
	// Trusted are the principals as whom proxies ask that may say so.
	Trusted []bridge.Text `yaml:"trusted"`
	// Subjects are subjects, to the letter, each with the ARN of a user or role.
	Subjects map[string]bridge.Text `yaml:"subjects,omitempty"`
	// Principal is the template of an ARN with ${cn}, the common name of a subject as RFC 2253
	// writes it.
	Principal bridge.Text `yaml:"principal,omitempty"`

	principal template
}

// Header knows the end user by the name in a header.
type Header struct {
	Header bridge.Text `yaml:"header"`
	// Trusted are the principals as whom proxies ask that may say so.
	Trusted []bridge.Text `yaml:"trusted"`
	// Principal is the template of an ARN with ${value}.
	Principal bridge.Text `yaml:"principal"`

	principal template
}

// maxSubjects is how many subjects a mapping names, and maxSubject how long one is.
const maxSubjects, maxSubject = 1024, 1024

func (s *Source) compile() error {
	ways := 0
	for _, is := range []bool{s.Bearer != nil, s.Certificate != nil, s.Header != nil, s.SigV4 != nil} {
		if is {
			ways++
		}
	}
	switch {
	case s.SigV4 != nil:
		return at(max(s.line(), 1), "this build knows no end users by their signatures (`sigv4`) at proxies")
	case ways != 1:
		return at(max(s.line(), 1), "each of `principals` is exactly one of bearer, certificate and header")
	case s.Bearer != nil:
		return s.Bearer.compile()
	case s.Certificate != nil:
		return s.Certificate.compile()
	}
	return s.Header.compile()
}

func (s *Source) line() int {
	switch {
	case s.Bearer != nil:
		return max(s.Bearer.Principal.Line, s.Bearer.Issuer.Line)
	case s.Certificate != nil:
		return max(s.Certificate.Principal.Line, s.Certificate.Header.Line)
	case s.Header != nil:
		return max(s.Header.Principal.Line, s.Header.Header.Line)
	}
	return 0
}

// header is the canonical name of that which it goes by; "" for the place that a protocol has.
func (s *Source) header() string {
	switch {
	case s.Bearer != nil && s.Bearer.Header.Value == "":
		return "Authorization"
	case s.Bearer != nil:
		return http.CanonicalHeaderKey(s.Bearer.Header.Value)
	case s.Certificate != nil:
		return http.CanonicalHeaderKey(s.Certificate.Header.Value)
	}
	return http.CanonicalHeaderKey(s.Header.Header.Value)
}

func (s *Source) clashes(o *Source) bool {
	return s.header() == o.header() && (s.Bearer == nil || o.Bearer == nil || s.Bearer.Issuer.Value == o.Bearer.Issuer.Value)
}

// needsHeader tells that the source goes by the place that a protocol has.
func (m *Mapping) needsHeader() *Certificate {
	for i := range m.Principals {
		if c := m.Principals[i].Certificate; c != nil && c.Header.Value == "" {
			return c
		}
	}
	return nil
}

func (b *Bearer) compile() (err error) {
	switch line := max(b.Issuer.Line, b.Principal.Line, b.Audience.Line, 1); {
	case b.Header.Given() && !isHeader(b.Header.Value):
		return at(b.Header.Line, "bearer: %q is no name of a header", b.Header.Value)
	case !strings.HasPrefix(b.Issuer.Value, "https://"):
		return at(line, "bearer needs `issuer`: https://HOST, with a path or without")
	case b.Audience.Value == "":
		return at(line, "bearer needs `audience`: whom tokens must be for")
	}
	b.principal, err = principalTemplate("bearer", b.Principal, max(b.Issuer.Line, 1), func(name string) bool {
		claim, ok := strings.CutPrefix(name, "claim.")
		return ok && claim != ""
	})
	return err
}

func (s *Certificate) compile() (err error) {
	line := max(s.Header.Line, s.Principal.Line, 1)
	if s.Header.Given() && !isHeader(s.Header.Value) {
		return at(s.Header.Line, "certificate: %q is no name of a header", s.Header.Value)
	}
	if err := trusted("certificate", s.Trusted, line); err != nil {
		return err
	}
	if s.Principal.Given() == (len(s.Subjects) > 0) || len(s.Subjects) > maxSubjects {
		return at(line, "certificate needs either `principal` or `subjects` (at most %d)", maxSubjects)
	}
	for _, subject := range slices.Sorted(maps.Keys(s.Subjects)) {
		arn := s.Subjects[subject]
		if subject == "" || len(subject) > maxSubject {
			return at(arn.Line, "certificate: a subject is empty, or longer than %d bytes", maxSubject)
		}
		if t, err := principalTemplate("certificate", arn, line, func(string) bool { return false }); err != nil || len(t.variables) > 0 {
			return err
		}
	}
	if !s.Principal.Given() {
		return nil
	}
	s.principal, err = principalTemplate("certificate", s.Principal, line, func(name string) bool { return name == "cn" })
	return err
}

func (h *Header) compile() (err error) {
	line := max(h.Header.Line, h.Principal.Line, 1)
	if !isHeader(h.Header.Value) {
		return at(max(h.Header.Line, 1), "header: %q is no name of a header", h.Header.Value)
	}
	if err := trusted("header", h.Trusted, line); err != nil {
		return err
	}
	h.principal, err = principalTemplate("header", h.Principal, line, func(name string) bool { return name == "value" })
	return err
}

// trusted checks who may say who the end user is.
func trusted(what string, list []bridge.Text, line int) error {
	if len(list) == 0 || len(list) > maxTrusted {
		return at(line, "%s needs `trusted`: the 1 to %d ARNs as which proxies ask that may say who the end user is", what, maxTrusted)
	}
	for _, arn := range list {
		if p, err := authz.ParsePrincipal(arn.Value); err != nil || p.Type != authz.User && p.Type != authz.Role {
			return at(arn.Line, "%s: trusted: %q is no ARN of a user or role", what, arn.Value)
		}
	}
	return nil
}

// principalTemplate reads the template of an ARN. The account and what stands before it are the
// mapping's, and no request's, to say.
func principalTemplate(what string, text bridge.Text, line int, known func(string) bool) (t template, err error) {
	if text.Value == "" {
		return t, at(max(text.Line, line), "%s needs `principal`: the template of an ARN", what)
	}
	if t, err = parseTemplate(text.Value); err != nil {
		return t, at(text.Line, "%s: %v", what, err)
	}
	for _, name := range t.variables {
		if !known(name) {
			return t, at(text.Line, "%s: there is no variable ${%s}", what, name)
		}
	}
	sample := t.sample()
	if err := authz.CheckPrincipal(sample); err != nil {
		return t, at(text.Line, "%s: %v", what, err)
	}
	p, err := authz.ParsePrincipal(sample)
	if err != nil || p.Type != authz.User && p.Type != authz.Role && p.Type != authz.RoleSession || strings.Count(t.literals[0], ":") < resourceField {
		return t, at(text.Line, "%s: the principal is a user, a role or a role's session, with its account", what)
	}
	if head, _, _ := strings.Cut(text.Value, "${"); p.Type == authz.RoleSession && len(t.variables) > 0 && strings.Count(head, "/") < 2 {
		return t, at(text.Line, "%s: the role of a session is the mapping's to name, not a request's", what)
	}
	return t, nil
}

// name is how a name is spelled that becomes a part of a principal's: as names of users are (IAM
// User Guide: "IAM and AWS STS quotas"), but for the comma, by which proxies join headers.
var name = regexp.MustCompile(`^[\w+=.@-]{1,64}$`)

// commonName is that of a subject as RFC 2253 writes it, without escapes; "" where there is not
// exactly one.
func commonName(subject string) (cn string) {
	if len(subject) > maxSubject || strings.ContainsAny(subject, "\\\"+#;<>\x00") {
		return ""
	}
	for part := range strings.SplitSeq(subject, ",") {
		kind, value, ok := strings.Cut(strings.TrimLeft(part, " "), "=")
		switch {
		case !ok || kind == "" || strings.Contains(value, "="):
			return ""
		case kind != "CN" && kind != "cn":
		case cn != "" || value == "":
			return ""
		default:
			cn = value
		}
	}
	return cn
}
