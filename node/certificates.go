package node

import (
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/certs"
)

// keepCertificates begins to look after the node's certificates.
func (n *Node) keepCertificates() (err error) {
	n.certs = &certs.Keeper{Identity: n.tls, Now: n.cfg.Machine.Now, Logger: n.logger}
	if n.cfg.Files.APICert != "" {
		if n.apiCert, err = api.LoadCertificate(n.cfg.Files.APICert, n.cfg.Files.APIKey); err != nil {
			return err
		}
		n.certs.Client = n.apiCert
	}
	n.certs.Observe(n.registry)
	n.wg.Go(func() { n.certs.Run(n.ctx) })
	return nil
}

// certified is how a part fares, and its node's certificates.
type certified struct {
	api.Condition
	node *Node
}

// Checks are the lines of /readyz.
func (c certified) Checks() []api.Check {
	check := api.Check{Name: "certificates"}
	check.Detail, check.Err = c.node.certs.Condition()
	return append(c.Condition.Checks(), check)
}
