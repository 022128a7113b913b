package node

import (
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
)

// dialNATS connects to the outside NATS, or to the writers' brokers. Without NATS
// there is no link, and no error.
func (n *Node) dialNATS(cfg replication.LinkConfig) (*replication.Link, error) {
	urls, err := setup.NATSURLs(n.cfg.Cluster.NATS)
	if err != nil || n.cfg.Cluster.NATS == setup.NoNATS {
		return nil, err
	}
	if len(urls) > 0 {
		if cfg, err = n.cfg.NATS.Link(urls); err != nil {
			return nil, err
		}
	} else if cfg.InProcess == nil {
		for _, w := range n.cfg.Cluster.Writers {
			cfg.URLs = append(cfg.URLs, "tls://"+w.Broker)
		}
		cfg.TLS = n.tls.TLS(peer.ID{Role: setup.RoleWriter})
	}
	cfg.Name, cfg.Logger = n.cfg.Name, n.logger
	return replication.Dial(cfg)
}
