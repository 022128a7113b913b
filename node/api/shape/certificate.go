package shape

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// States of a certificate.
const (
	CertificateGood     = "good"
	CertificateExpiring = "expiring" // within 30 days, or the last quarter of its life
	CertificateUrgent   = "urgent"   // within 7 days, or the last eighth
	CertificateExpired  = "expired"
	CertificateRevoked  = "revoked"
)

// Which certificate of a node one is.
const (
	CertificateNode      = "node"      // by which other nodes know it
	CertificateAuthority = "authority" // the cluster's, which issued that
	CertificateClient    = "client"    // that it shows clients
)

// Certificate is one that a node uses, as the node itself says.
type Certificate struct {
	Which  string `json:"which"`  // "node", "authority" or "client"
	State  string `json:"state"`  // "good", "expiring", "urgent", "expired" or "revoked"
	Serial string `json:"serial"` // Hexadecimal.
	// Origin is the serial number of the certificate made by hand from which this one came by
	// renewal: its own, if it was made by hand.
	Origin string `json:"origin,omitempty"`
	// Issuer is the serial number of the authority that issued it, of those that the node trusts.
	Issuer    string    `json:"issuer,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

// CertificatesToRevoke names certificates by which nodes know each other, to end: one of Name
// and Serial.
type CertificatesToRevoke struct {
	Name   string `json:"name,omitempty"`   // Of a node: all of its certificates that were issued by now, and those that came of them by renewal.
	Serial string `json:"serial,omitempty"` // Of one certificate, hexadecimal; those that came of it by renewal end with it.
}

// CertificateRevocation is a revocation of certificates that was committed.
type CertificateRevocation struct {
	Name     string         `json:"name,omitempty"`
	Serial   string         `json:"serial,omitempty"`
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // Of Position.
}
