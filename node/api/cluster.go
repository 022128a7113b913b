package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// Status describes a cluster as one node knows it.
type Status struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"`   // who says so
	Leader      string         `json:"leader"` // empty: none is known
	Term        uint64         `json:"term"`
	Position    event.Position `json:"position"`
	Hash        string         `json:"hash"`   // of the batch at Position, hexadecimal
	Digest      string         `json:"digest"` // of the state at Position, hexadecimal
	Floor       event.Position `json:"floor"`
	Members     []Member       `json:"members"`
	// WithoutLease is what the node that says so admits without a lease.
	WithoutLease freshness.WithoutLease `json:"without_lease"`
}

// Member is a node as the leader knows it.
type Member struct {
	Name     string         `json:"name"`
	Role     string         `json:"role"` // "writer" or "replica"
	Region   string         `json:"region,omitempty"`
	State    string         `json:"state"`
	Position event.Position `json:"position"`
	// Lag is how many positions the member is behind the head.
	Lag    event.Position `json:"lag"`
	Digest string         `json:"digest,omitempty"`
	// Life tells the processes of one replica apart where it has several, each of which
	// is a member of its own here.
	Life string `json:"life,omitempty"`
	// MayHoldMS is for how long a replica may still answer under a lease.
	MayHoldMS int64  `json:"may_hold_lease_ms,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Endpoint is the URL at which the node serves clients, if it says so.
	Endpoint string `json:"endpoint,omitempty"`
}

// leaderPatience is how long a node looks for the leader before it tells of the
// cluster what it knows itself.
const leaderPatience = 3 * time.Second

// getCluster answers GET /v1/cluster. Without a leader the node tells what it knows, if
// it admits the caller then.
type getCluster struct{ *Server }

func (s getCluster) serve(c *nativeCall) error {
	if !s.dispatcher.Leads() && !c.Forwarded && !c.URL.Query().Has("local") {
		ctx, cancel := context.WithTimeout(c.Context(), leaderPatience)
		defer cancel()
		whole := c.Request.Request
		c.Request.Request = whole.WithContext(ctx)
		if c.HandOn(0) == nil {
			return nil
		}
		if c.Request.Request = whole; s.cfg.Node.votes() && !s.cfg.WithoutLease.Admits(freshness.ForRead) {
			return fault.Later("No node that leads was reached, without which a writer cannot prove that it is current.", nil)
		}
	}
	if err := c.Verify(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(admission.Access{Action: actionGetCluster, Resource: "*"}); err != nil {
		return err
	}
	status := s.cfg.Node.Condition.Status(c.Context())
	status.WithoutLease = s.cfg.WithoutLease
	r := c.Right("", admission.Access{Action: actionGetCluster, Resource: "*"})
	if err := r.Still(c.Context(), status.Position); err != nil {
		return err
	}
	status.Members = append([]Member{}, status.Members...) // so that JSON shows []
	body, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encode the cluster's status: %w", err)
	}
	return c.answer(body)
}

//go:embed openapi.json
var openAPIDocument []byte

// OpenAPI answers with the description of the native API.
func OpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(openAPIDocument) // an error here means that the caller has gone
}
