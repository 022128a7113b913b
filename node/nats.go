package node

import (
	"crypto/tls"

	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
)

// dialNATS connects to NATS as nats.Outside does.
func (n *Node) dialNATS(cfg replication.LinkConfig) (*replication.Link, error) {
	cfg.Name, cfg.Logger = n.cfg.Name, n.logger
	return n.cfg.NATS.Dial(cfg, &n.cfg.Cluster, func() *tls.Config { return n.tls.TLS(peer.ID{Role: setup.RoleWriter}) })
}
