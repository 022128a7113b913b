package identity

import (
	"fmt"
	"testing"
)

func TestNodeRevocations(t *testing.T) { run(t, nodeRevocationSpecs()) }

func nodeRevocationSpecs() []spec {
	const year = 365 * 24 * 60 * 60 * 1000
	full := make([]Event, MaxNodeRevocations)
	for i := range full {
		full[i] = &NodeCertificatesRevoked{Serial: fmt.Sprintf("%x", i+1), Until: now + year}
	}
	over := make([]Event, MaxNodeRevocations)
	for i := range over {
		over[i] = &NodeCertificatesRevoked{Serial: fmt.Sprintf("%x", i+1), Until: now - 1}
	}
	revoked := func(want bool, name, serial, origin string, issued Time) func(*spying) {
		return func(s *spying) {
			if got := s.NodeCertificateRevoked(name, serial, origin, issued); got != want {
				s.T.Errorf("certificate %s of %s, of %s at %d: revoked %t", serial, name, origin, issued, got)
			}
		}
	}
	all := func(checks ...func(*spying)) func(*spying) {
		return func(s *spying) {
			for _, check := range checks {
				check(s)
			}
		}
	}
	serial := &NodeCertificatesRevoked{Serial: "ab", Until: now + year}
	name := &NodeCertificatesRevoked{Name: "one", Before: now, Until: now + year}
	return []spec{
		{name: "a serial number", when: &RevokeNodeCertificates{Serial: "ab", Until: now + year}, then: []Event{serial},
			check: all(revoked(true, "one", "ab", "ab", now), revoked(true, "two", "cd", "ab", now+1), revoked(false, "one", "cd", "cd", 1), revoked(false, "ab", "cd", "ef", now))},
		{name: "a name", when: &RevokeNodeCertificates{Name: "one", Until: now + year}, then: []Event{name},
			check: all(revoked(true, "one", "ab", "ab", now), revoked(false, "one", "ab", "ab", now+1), revoked(false, "two", "ab", "ab", now))},
		{name: "again", given: []Event{serial}, when: &RevokeNodeCertificates{Serial: "ab", Until: now + 1}, then: []Event{&NodeCertificatesRevoked{Serial: "ab", Until: now + 1}},
			check: func(s *spying) {
				if all := s.NodeRevocations(); len(all) != 1 || all[0].Until != now+year {
					s.T.Errorf("there are %d", len(all))
				}
			}},
		{name: "by a clock that is behind", given: []Event{&NodeCertificatesRevoked{Name: "one", Before: now + 9, Until: now + year}}, when: &RevokeNodeCertificates{Name: "one", Until: now + year}, then: []Event{name},
			check: revoked(true, "one", "ab", "ab", now+9)},
		{name: "neither", when: &RevokeNodeCertificates{Until: now + year}, refused: "InvalidInput: Give either the name of a node or the serial number of a certificate."},
		{name: "both", when: &RevokeNodeCertificates{Name: "one", Serial: "ab", Until: now + year}, refused: "InvalidInput: Give either the name of a node or the serial number of a certificate."},
		{name: "one that has ended", when: &RevokeNodeCertificates{Serial: "ab", Until: now}, refused: "InvalidInput: The certificate has ended already."},
		{name: "too many", given: full, when: &RevokeNodeCertificates{Serial: "abcdef", Until: now + year}, refused: "LimitExceeded: Cannot exceed quota for NodeRevocations: 1000. Revoke the name of a node instead of single certificates."},
		{name: "as many as may be, again", given: full, when: &RevokeNodeCertificates{Serial: "1", Until: now + year}, then: []Event{&NodeCertificatesRevoked{Serial: "1", Until: now + year}}},
		{name: "those that are over make room", given: over, when: &RevokeNodeCertificates{Serial: "abcdef", Until: now + year}, then: []Event{&NodeCertificatesRevoked{Serial: "abcdef", Until: now + year}},
			check: func(s *spying) {
				if all := s.NodeRevocations(); len(all) != 1 {
					s.T.Errorf("%d are kept", len(all))
				}
			}},
	}
}
