package wire

import "github.com/writ-iam/writ/log/identity"

func revokeNodeCertificates(c *coder, v *identity.RevokeNodeCertificates) {
	str(c, &v.Name)
	str(c, &v.Serial)
	num(c, &v.Until)
}

func nodeCertificatesRevoked(c *coder, v *identity.NodeCertificatesRevoked) {
	str(c, &v.Name)
	num(c, &v.Before)
	str(c, &v.Serial)
	num(c, &v.Until)
}

func nodeRevocation(c *coder, v *identity.NodeRevocation) {
	nodeCertificatesRevoked(c, (*identity.NodeCertificatesRevoked)(v))
}
