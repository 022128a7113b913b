package node

import (
	"crypto/x509"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/certs"
	"github.com/writ-iam/writ/node/peer"
)

// keepCertificates begins to look after the node's certificates.
func (n *Node) keepCertificates() (err error) {
	n.certs = &certs.Keeper{Identity: n.tls, Now: n.cfg.Machine.Now, Logger: n.logger, Leader: n.finder, Renewed: n.cfg.Files.Renewed}
	if n.cfg.Files.APICert != "" {
		if n.apiCert, err = api.LoadCertificate(n.cfg.Files.APICert, n.cfg.Files.APIKey); err != nil {
			return err
		}
		n.certs.Client = n.apiCert
	}
	n.certs.Observe(n.registry)
	return nil
}

// What nodes know of revoked certificates: a writer by its log, a replica by its view.
var (
	_ peer.Revocations = (*writer)(nil)
	_ peer.Revocations = (*replica)(nil)
)

// Revoked tells whether a certificate was revoked.
func (w *writer) Revoked(cert *x509.Certificate) bool {
	return certs.Revoked(w.log.Applied().State, cert)
}

// Revoked tells whether a certificate was revoked.
func (r *replica) Revoked(cert *x509.Certificate) bool {
	return certs.Revoked(r.node.projection.View().State, cert)
}

// expel closes what is connected by revoked certificates, if any were revoked since the last
// call. It is of one goroutine.
func (n *Node) expel(s *identity.State) {
	now := s.NodeRevocationsSum()
	if now == n.expelled {
		return
	}
	n.expelled = now
	if err := n.tls.Expel(); err != nil {
		n.logger.Error("the node's own certificate was revoked, and no other one is there", "error", err)
	}
}

// signer renews certificates of nodes, while this writer leads.
func (n *Node) signer() *certs.Signer {
	return &certs.Signer{CA: n.cfg.Files.CA, Key: n.cfg.Files.CAKey, Cluster: n.cfg.Cluster.ID, Identity: n.tls, Now: n.cfg.Machine.Now, Logger: n.logger}
}

// certified is how a part fares, and its node's certificates and build.
type certified struct {
	api.Condition
	node *Node
}

// Checks are the lines of /readyz.
func (c certified) Checks() []api.Check {
	check := api.Check{Name: "certificates"}
	check.Detail, check.Err = c.node.certs.Condition()
	runs := api.Check{Name: "build"}
	runs.Detail, runs.Err = build.Condition(&c.node.build, c.node.projection.View().Cluster().FeatureLevel)
	return append(c.Condition.Checks(), check, runs)
}
