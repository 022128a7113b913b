package client

import (
	"context"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// Cluster is what a node knows of its cluster, and Member a node of it.
type (
	Cluster = shape.Cluster
	Member  = shape.Member
)

// Build is one that a node runs, FeatureLevel the one in force with who keeps it from rising, and
// Backups are those that a writer makes by itself.
type (
	Build        = shape.Build
	FeatureLevel = shape.FeatureLevel
	Backups      = shape.Backups
)

// Certificate is one that a node uses, as it says itself.
type Certificate = shape.Certificate

// Which certificate one is, and its states.
const (
	CertificateOfNode      = shape.CertificateNode
	CertificateOfAuthority = shape.CertificateAuthority
	CertificateGood        = shape.CertificateGood
	CertificateExpiring    = shape.CertificateExpiring
	CertificateRevoked     = shape.CertificateRevoked
)

// Cluster asks who leads, who lags, and where. What it is told, the client itself
// goes by.
func (c *Client) Cluster(ctx context.Context) (*Cluster, error) {
	q := newCall(http.MethodGet, "/v1/cluster", nil, Freshness{Consistency: "any"})
	q.route = toAnybody
	var s Cluster
	if err := c.ask(ctx, q, &s); err != nil {
		return nil, err
	}
	c.nodes.refresh(&s)
	return &s, nil
}

// Local asks what the node itself has, whether or not anybody leads.
func (c *Client) Local(ctx context.Context) (*Cluster, error) {
	var s Cluster
	return &s, c.do(ctx, http.MethodGet, "/v1/cluster?local", nil, Freshness{Consistency: "any"}, &s)
}
