package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/log/event"
)

// RosterChange is a change of the roster that was committed.
type RosterChange struct {
	Replica  string         `json:"replica"`
	Position event.Position `json:"position"`
	Token    string         `json:"token"` // of Position
}

// Drain stops new leases for a replica that is about to go. Its last one still runs
// out, and "everywhere" waits for that.
func (c *Client) Drain(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodPost, replica, "/drain")
}

// Resume ends a replica's draining.
func (c *Client) Resume(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodPost, replica, "/resume")
}

// Remove takes a replica off the roster. If it runs, it stays out and answers
// without a lease until it is started again, which registers it.
func (c *Client) Remove(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodDelete, replica, "")
}

func (c *Client) changeRoster(ctx context.Context, method, replica, verb string) (*RosterChange, error) {
	var r RosterChange
	return &r, c.do(ctx, method, "/v1/replicas/"+url.PathEscape(replica)+verb, nil, Freshness{}, &r)
}
