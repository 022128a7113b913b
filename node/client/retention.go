package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// Retention is how much of the history the cluster keeps, RetentionToSet a change of that, and
// RetentionChange one that was committed. StoredHistory is what a writer has of it.
type (
	Retention       = shape.Retention
	RetentionToSet  = shape.RetentionToSet
	RetentionChange = shape.RetentionChange
	StoredHistory   = shape.StoredHistory
)

// Retention asks how much of the history the cluster keeps.
func (c *Client) Retention(ctx context.Context, f Freshness) (*Retention, error) {
	var found Retention
	return &found, c.do(ctx, http.MethodGet, "/v1/retention", nil, f, &found)
}

// SetRetention changes how much of the history stays. A Problem with the code InvalidInput says
// which rule cannot be, or that a floor comes too late.
func (c *Client) SetRetention(ctx context.Context, set RetentionToSet) (*RetentionChange, error) {
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode the retention: %w", err)
	}
	var change RetentionChange
	return &change, c.do(ctx, http.MethodPut, "/v1/retention", body, Freshness{}, &change)
}
