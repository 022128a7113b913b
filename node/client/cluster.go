package client

import (
	"context"
	"net/http"

	"github.com/writ-iam/writ/log/event"
)

// Member is a node of the cluster.
type Member struct {
	Name     string         `json:"name"`
	Role     string         `json:"role"`
	Region   string         `json:"region,omitempty"`
	State    string         `json:"state"`
	Position event.Position `json:"position"`
	Lag      event.Position `json:"lag"`
	Digest   string         `json:"digest,omitempty"`
	// Life tells the processes of one replica apart where it has several, each of which
	// is a member of its own here.
	Life      string `json:"life,omitempty"`
	MayHoldMS int64  `json:"may_hold_lease_ms,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Endpoint is the URL at which the node serves clients, if it says so.
	Endpoint string `json:"endpoint,omitempty"`
}

// Cluster is what a node knows of its cluster.
type Cluster struct {
	ID          string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"`
	Leader      string         `json:"leader"`
	Term        uint64         `json:"term"`
	Position    event.Position `json:"position"`
	Hash        string         `json:"hash"`
	Digest      string         `json:"digest"`
	Floor       event.Position `json:"floor"`
	Members     []Member       `json:"members"`
	// WithoutLease is what the node that says so admits while it holds no lease and
	// has not read the head of the log: "nothing", "questions" or "reads".
	WithoutLease string `json:"without_lease"`
}

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
