package native

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// leaderPatience is how long a node looks for the leader before it tells of the
// cluster what it knows itself.
const leaderPatience = 3 * time.Second

// getCluster answers GET /v1/cluster. Without a leader the node tells what it knows, if
// it admits the caller then.
type getCluster struct{ *API }

func (s getCluster) serve(c *call) error {
	if !s.cfg.Dispatcher.Leads() && !c.Forwarded && !c.URL.Query().Has("local") {
		ctx, cancel := context.WithTimeout(c.Context(), leaderPatience)
		defer cancel()
		whole := c.Request.Request
		c.Request.Request = whole.WithContext(ctx)
		if err := c.HandOn(0); err == nil || fault.Of(err).Native().Status == http.StatusForbidden {
			return err
		}
		if c.Request.Request = whole; s.cfg.Votes && !s.cfg.WithoutLease.Admits(freshness.ForRead) {
			return fault.Later("No node that leads was reached, without which a writer cannot prove that it is current.", nil)
		}
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(admission.Access{Action: actionGetCluster, Resource: "*"}); err != nil {
		return err
	}
	status := s.cfg.Cluster.Status(c.Context())
	status.WithoutLease = s.cfg.WithoutLease.String()
	r := c.Right("", admission.Access{Action: actionGetCluster, Resource: "*"})
	if err := r.Still(c.Context(), status.Position); err != nil {
		return err
	}
	status.Members = append([]shape.Member{}, status.Members...) // so that JSON shows []
	body, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encode the cluster's status: %w", err)
	}
	return c.answer(body)
}
