package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/webidentity"
)

// Mapping says who the end user of a request is and which question it becomes. It is immutable
// once it was read.
type Mapping struct {
	// TellReason has answers that are no allow say why, for the proxy's log: the proxy must keep
	// the header from its clients.
	TellReason bool `yaml:"tell_reason,omitempty"`
	// NoPrincipal is the status for requests without a principal: 401, or 403.
	NoPrincipal int `yaml:"no_principal,omitempty"`
	// SourceIP is where the client's address is; without it questions have none.
	SourceIP *SourceIP `yaml:"source_ip,omitempty"`
	// Principals are the ways in which the end user is known. A request that has more than one is
	// refused.
	Principals []Source `yaml:"principals"`
	Rules      []Rule   `yaml:"rules"`

	verifier *webidentity.Verifier
	reads    map[string]string // the canonical names of the headers that it looks at, by those in lower case
}

// SourceIP is where the client's address is.
type SourceIP struct {
	// Header has addresses, separated by commas.
	Header bridge.Text `yaml:"header"`
	// FromRight says which one counts, 1 for the last: as many proxies as add to the header.
	FromRight int `yaml:"from_right"`
}

// Limits of a mapping.
const (
	maxSources = 16
	maxTrusted = 64
	maxHops    = 16
	// identitiesAtOnce is how many web identity tokens are verified at once.
	identitiesAtOnce = 8
)

// Load reads a mapping from a file. What is wrong in it wraps bridge.ErrConfig and says where.
func Load(path string) (*Mapping, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: it needs a mapping: write `proxy: FILE`", bridge.ErrConfig)
	}
	m := new(Mapping)
	if err := bridge.ReadFile(path, m); err != nil {
		return nil, err
	}
	return m, m.complete(path)
}

// ParseMapping is Load for a text; name is what errors call it.
func ParseMapping(name string, text []byte) (*Mapping, error) {
	m := new(Mapping)
	if err := bridge.Parse(name, text, m); err != nil {
		return nil, err
	}
	return m, m.complete(name)
}

// complete checks a mapping and makes it ready.
func (m *Mapping) complete(name string) error {
	if err := m.compile(); err != nil {
		var w *wrong
		if errors.As(err, &w) {
			return fmt.Errorf("%w: %s:%d: %s", bridge.ErrConfig, name, w.line, w.why)
		}
		return fmt.Errorf("%w: %s: %w", bridge.ErrConfig, name, err)
	}
	return nil
}

func (m *Mapping) compile() error {
	m.verifier = webidentity.New(identitiesAtOnce)
	switch m.NoPrincipal {
	case 0:
		m.NoPrincipal = http.StatusUnauthorized
	case http.StatusUnauthorized, http.StatusForbidden:
	default:
		return errors.New("`no_principal` is 401 or 403")
	}
	if s := m.SourceIP; s != nil && (!isHeader(s.Header.Value) || s.FromRight < 1 || s.FromRight > maxHops) {
		return at(max(s.Header.Line, 1), "`source_ip` needs a header, and from_right: 1 to %d", maxHops)
	}
	if len(m.Principals) == 0 || len(m.Principals) > maxSources {
		return fmt.Errorf("there are %d `principals`: give 1 to %d ways in which the end user is known", len(m.Principals), maxSources)
	}
	for i := range m.Principals {
		if err := m.Principals[i].compile(); err != nil {
			return err
		}
		for j := range i {
			if m.Principals[i].clashes(&m.Principals[j]) {
				return at(m.Principals[i].line(), "two of `principals` go by one header, and not by tokens of two issuers")
			}
		}
	}
	if len(m.Rules) == 0 || len(m.Rules) > MaxRules {
		return fmt.Errorf("there are %d `rules`: give 1 to %d", len(m.Rules), MaxRules)
	}
	for i := range m.Rules {
		if err := m.Rules[i].compile(); err != nil {
			return err
		}
	}
	m.readsOf()
	return order(m.Rules)
}

// readsOf notes which headers the mapping looks at.
func (m *Mapping) readsOf() {
	m.reads = map[string]string{}
	note := func(name string) {
		if name != "" {
			m.reads[casefold.Key(name)] = http.CanonicalHeaderKey(name)
		}
	}
	for _, name := range overrides {
		note(name)
	}
	if m.SourceIP != nil {
		note(m.SourceIP.Header.Value)
	}
	for i := range m.Principals {
		note(m.Principals[i].header())
	}
	for i := range m.Rules {
		for name := range m.Rules[i].headers {
			note(name)
		}
	}
}

// Reads is the canonical name of a header that the mapping looks at; "" for another.
func (m *Mapping) Reads(name string) string { return m.reads[casefold.Key(name)] }

// source is the client's address; "" where nothing says it, or what says it is no address.
func (m *Mapping) source(a *Asked) string {
	if m.SourceIP == nil {
		return ""
	}
	lines := a.Header[http.CanonicalHeaderKey(m.SourceIP.Header.Value)]
	list := strings.Split(strings.Join(lines, ","), ",")
	if len(lines) == 0 || len(list) < m.SourceIP.FromRight {
		return ""
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-m.SourceIP.FromRight]))
	if err != nil || addr.Zone() != "" {
		return ""
	}
	return addr.Unmap().String()
}
