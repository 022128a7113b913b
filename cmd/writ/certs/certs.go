// Package certs has the verbs on the certificates by which nodes know each other.
package certs

import (
	"fmt"
	"time"

	"github.com/writ-iam/writ/node/client"
)

const day = 24 * time.Hour

// Ending are the certificates of a cluster that end soon or have ended, a line each, and those
// of them for which it is high time.
func Ending(s *client.Cluster, now time.Time) (lines, urgent []string) {
	for _, m := range s.Members {
		for _, c := range used(m) {
			if c.State == client.CertificateGood {
				continue
			}
			line := fmt.Sprintf("the %s certificate of %s %s", c.Which, m.Name, ends(c, now))
			lines = append(lines, line)
			if c.State != client.CertificateExpiring {
				urgent = append(urgent, line)
			}
		}
	}
	return lines, urgent
}

// used are the certificates of a member without authorities that issued none of them.
func used(m client.Member) (list []client.Certificate) {
	issuer := ""
	for _, c := range m.Certificates {
		if c.Which == client.CertificateOfNode {
			issuer = c.Issuer
		}
		if c.Which != client.CertificateOfAuthority || c.Serial == issuer {
			list = append(list, c)
		}
	}
	return list
}

// ends tells when a certificate ends.
func ends(c client.Certificate, now time.Time) string {
	at := c.NotAfter.UTC().Format(time.RFC3339)
	switch left := c.NotAfter.Sub(now); {
	case c.State == client.CertificateRevoked:
		return "was revoked"
	case left <= 0:
		return "ended at " + at
	case left < 2*day:
		return fmt.Sprintf("ends in %d hours, at %s", int(left/time.Hour), at)
	default:
		return fmt.Sprintf("ends in %d days, at %s", int(left/day), at)
	}
}
