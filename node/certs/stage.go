package certs

import (
	"crypto/x509"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// stage is how near the end of a certificate is.
type stage int

const (
	good stage = iota
	expiring
	urgent
	last
	ended
)

const day = 24 * time.Hour

// ahead is how long before the end each stage begins, or which part of the life is left, if
// that is later: one that lasts 30 days and is renewed in time never comes to any.
var ahead = [...]struct {
	stage stage
	left  time.Duration
	part  time.Duration
}{{last, day, 16}, {urgent, 7 * day, 8}, {expiring, 30 * day, 4}}

func stageOf(c *x509.Certificate, now time.Time) stage {
	return stageBetween(c.NotBefore, c.NotAfter, now)
}

func stageBetween(begin, end, now time.Time) stage {
	left := end.Sub(now)
	if left <= 0 {
		return ended
	}
	for _, a := range ahead {
		if left <= min(a.left, end.Sub(begin)/a.part) {
			return a.stage
		}
	}
	return good
}

func (s stage) state() string {
	switch s {
	case good:
		return shape.CertificateGood
	case expiring:
		return shape.CertificateExpiring
	case ended:
		return shape.CertificateExpired
	}
	return shape.CertificateUrgent
}

// Due tells whether it is time to renew a certificate: two thirds of its life are over.
func Due(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3))
}
