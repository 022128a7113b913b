package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/node/api/shape"
)

// Quorum is who votes in the log, and how many failures that survives.
type Quorum = shape.Quorum

// RemoveWriter takes a member away from the log that cluster.yaml does not have, by its
// address (host:port) or its id. A Problem with the code DeleteConflict says that the member
// is one of cluster.yaml's, or that the rest could not commit; NoSuchEntity that there is none.
func (c *Client) RemoveWriter(ctx context.Context, called string) error {
	var changed shape.VotersChange
	return c.do(ctx, http.MethodDelete, "/v1/writers/"+url.PathEscape(called), nil, Freshness{}, &changed)
}

// TransferLeadership hands leadership to a writer, by its name, address or id; to the one
// that is furthest ahead if called is empty.
func (c *Client) TransferLeadership(ctx context.Context, called string) error {
	q := ""
	if called != "" {
		q = "?" + url.Values{"to": {called}}.Encode()
	}
	var changed shape.VotersChange
	return c.do(ctx, http.MethodPost, "/v1/leader"+q, nil, Freshness{}, &changed)
}
