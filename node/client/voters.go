package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/node/api/shape"
)

// Quorum is who votes in the log, and how many failures that survives.
type Quorum = shape.Quorum

// Writer is where the other nodes reach a writer, and WritersChange a change of the writers.
type (
	Writer        = shape.Writer
	WritersChange = shape.VotersChange
)

// AddWriter adds a writer to the cluster, which may join from then on. A Problem with the code
// EntityAlreadyExists says that its name or an address is another's.
func (c *Client) AddWriter(ctx context.Context, w Writer) (*WritersChange, error) {
	return c.changeWriter(ctx, "/v1/writers", w)
}

// MoveWriter gives a writer other addresses, at which it may be started from then on.
func (c *Client) MoveWriter(ctx context.Context, w Writer) (*WritersChange, error) {
	return c.changeWriter(ctx, "/v1/writers/"+url.PathEscape(w.Name)+"/move", w)
}

func (c *Client) changeWriter(ctx context.Context, path string, w Writer) (*WritersChange, error) {
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode writer %s: %w", w.Name, err)
	}
	var done WritersChange
	return &done, c.do(ctx, http.MethodPost, path, body, Freshness{}, &done)
}

// RemoveWriter removes a writer from the cluster, by its name, or a member from Raft's log that
// the cluster does not have, by its address (host:port) or its id. A Problem with the code
// DeleteConflict says that the writer leads, or that the rest could not commit; NoSuchEntity
// that there is none.
func (c *Client) RemoveWriter(ctx context.Context, called string) (*WritersChange, error) {
	var done WritersChange
	return &done, c.do(ctx, http.MethodDelete, "/v1/writers/"+url.PathEscape(called), nil, Freshness{}, &done)
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
