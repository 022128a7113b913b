package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/log/event"
)

// Member is a node of the cluster.
type Member struct {
	Name      string         `json:"name"`
	Role      string         `json:"role"`
	Region    string         `json:"region,omitempty"`
	State     string         `json:"state"`
	Position  event.Position `json:"position"`
	Lag       event.Position `json:"lag"`
	Digest    string         `json:"digest,omitempty"`
	MayHoldMS int64          `json:"may_hold_lease_ms,omitempty"`
	Detail    string         `json:"detail,omitempty"`
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
}

// Cluster asks who leads, who lags, and where.
func (c *Client) Cluster(ctx context.Context) (*Cluster, error) {
	var s Cluster
	return &s, c.do(ctx, http.MethodGet, "/v1/cluster", nil, Freshness{Consistency: "any"}, &s)
}

// Local asks what the node itself has, whether or not anybody leads.
func (c *Client) Local(ctx context.Context) (*Cluster, error) {
	var s Cluster
	return &s, c.do(ctx, http.MethodGet, "/v1/cluster?local", nil, Freshness{Consistency: "any"}, &s)
}

func decodeCluster(a *answer) (*Cluster, error) {
	var s Cluster
	if err := json.Unmarshal(a.body, &s); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", a.from.Host, err)
	}
	return &s, nil
}
