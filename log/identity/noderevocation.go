package identity

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// MaxNodeRevocations is how many revocations of nodes' certificates are kept that may still
// matter. One of a name stands for all its certificates of before.
const MaxNodeRevocations = 1000

// MaxNodeCertificateLife is the longest that a node's certificate lasts, in milliseconds, with
// what it allows for clocks.
const MaxNodeCertificateLife Time = 732 * 24 * 60 * 60 * 1000

// NodeRevocation ends certificates by which nodes know each other: of a name, or of a serial
// number.
type NodeRevocation struct {
	// Name ends all certificates of a node whose origin was issued at Before or earlier; empty
	// for a serial number.
	Name   string
	Before Time
	// Serial ends the certificate of that number, in hexadecimal digits, and those that came
	// of it by renewal; empty for a name.
	Serial string
	// Until is when the last certificate that is meant has ended: it need not be known then.
	Until Time
}

// Handle makes a NodeRevocation a record of a table, by its key, as do Is and AppendDigest.
func (r *NodeRevocation) Handle() table.Handle { return table.HandleOf(r.key()) }

// Is tells whether the NodeRevocation has that key.
func (r *NodeRevocation) Is(key string) bool { return r.key() == key }

// AppendDigest appends all that the NodeRevocation has.
func (r *NodeRevocation) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "node-revocation")
	b = digest.AppendString(b, r.Name)
	b = digest.AppendInt(b, int64(r.Before))
	b = digest.AppendString(b, r.Serial)
	return digest.AppendInt(b, int64(r.Until))
}

// key is the subject: no name of a node has a colon in it.
func (r *NodeRevocation) key() string {
	if r.Serial != "" {
		return serialKey(r.Serial)
	}
	return r.Name
}

func serialKey(serial string) string { return "serial:" + serial }

// NodeRevocations are the revocations that may still matter, in order of name and serial number.
func (s *State) NodeRevocations() []*NodeRevocation {
	all := s.nodeRevocations.Rows.Values()
	slices.SortFunc(all, func(a, b *NodeRevocation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Serial, b.Serial))
	})
	return all
}

// NodeRevocationsSum is the same as long as nothing is revoked.
func (s *State) NodeRevocationsSum() digest.Sum { return s.nodeRevocations.Sum() }

// NodeCertificateRevoked tells whether a node's certificate was revoked: by its own serial number,
// by that of its origin, or by the node's name, if its origin was issued by then.
func (s *State) NodeCertificateRevoked(name, serial, origin string, issued Time) bool {
	for _, number := range []string{serial, origin} {
		if _, ok := s.nodeRevocations.Get(serialKey(number)); ok {
			return true
		}
	}
	r, ok := s.nodeRevocations.Get(name)
	return ok && issued <= r.Before
}

// RevokeNodeCertificates ends certificates by which nodes know each other: either those of a
// name that were issued by now, or that of a serial number.
type RevokeNodeCertificates struct {
	Name, Serial string
	Until        Time // when the last of them ends
}

// NodeCertificatesRevoked ended certificates by which nodes know each other.
type NodeCertificatesRevoked struct {
	Name   string
	Before Time // of a name
	Serial string
	Until  Time
}

func (c *RevokeNodeCertificates) decide(s *State, m Meta) ([]Event, error) {
	e := &NodeCertificatesRevoked{Name: c.Name, Serial: c.Serial, Until: c.Until}
	switch {
	case (c.Name == "") == (c.Serial == ""):
		return nil, refuse(InvalidInput, "Give either the name of a node or the serial number of a certificate.")
	case c.Until <= m.Time:
		return nil, refuse(InvalidInput, "The certificate has ended already.")
	case c.Name != "":
		e.Before = m.Time
	}
	is := NodeRevocation(*e)
	if old, taken := s.nodeRevocations.Rows.Get(is.Handle()); taken && !old.Is(is.key()) {
		return nil, refuse(EntityAlreadyExists, "%s cannot be told from %s, which was revoked.", is.key(), old.key())
	}
	if s.nodeRevocationsAt(m.Time, is.Handle()) >= MaxNodeRevocations {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for NodeRevocations: %d. Revoke the name of a node instead of single certificates.", MaxNodeRevocations)
	}
	return []Event{e}, nil
}

// nodeRevocationsAt counts the revocations that matter at a time, but for one.
func (s *State) nodeRevocationsAt(now Time, but table.Handle) (n int) {
	s.nodeRevocations.Rows.Scan(func(h table.Handle, r *NodeRevocation) bool {
		if r.Until > now && h != but {
			n++
		}
		return true
	})
	return n
}

func (e *NodeCertificatesRevoked) evolve(s *State) {
	var over []*NodeRevocation
	s.nodeRevocations.Rows.Scan(func(_ table.Handle, r *NodeRevocation) bool {
		if r.Until <= s.time {
			over = append(over, r)
		}
		return true
	})
	for _, r := range over {
		s.nodeRevocations.Delete(r)
	}
	r := NodeRevocation(*e)
	if old, ok := s.nodeRevocations.Get(r.key()); ok { // clocks differ, and nothing is let in again
		r.Before, r.Until = max(r.Before, old.Before), max(r.Until, old.Until)
	}
	s.nodeRevocations.Put(&r)
}
