package certs

import (
	"crypto/x509"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// Revoked tells whether the log revoked a certificate.
func Revoked(s *identity.State, cert *x509.Certificate) bool {
	origin := setup.OriginOf(cert)
	return s.NodeCertificateRevoked(cert.Subject.CommonName, setup.Serial(cert), origin.Serial, identity.Time(origin.Issued.UnixMilli()))
}
