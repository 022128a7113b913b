package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/node/api/shape"
)

// RosterChange is a change of the roster that was committed.
type RosterChange = shape.RosterChange

// Drain stops new leases for a replica that is about to go. Its last one still runs
// out, and "everywhere" waits for that.
func (c *Client) Drain(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodPost, replica, "/drain")
}

// Resume ends a replica's draining.
func (c *Client) Resume(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodPost, replica, "/resume")
}

// Remove takes a replica off the roster and bars its name: whoever comes under it is
// refused until Admit, and answers without a lease.
func (c *Client) Remove(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodDelete, replica, "")
}

// RemoveUnregistered is Remove also for a name that the roster does not have: that of
// a certificate which must not be used.
func (c *Client) RemoveUnregistered(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodDelete, replica, "?unregistered=true")
}

// Admit lets the name of a removed replica in again; the replica registers by itself.
func (c *Client) Admit(ctx context.Context, replica string) (*RosterChange, error) {
	return c.changeRoster(ctx, http.MethodPost, replica, "/admit")
}

func (c *Client) changeRoster(ctx context.Context, method, replica, verb string) (*RosterChange, error) {
	var r RosterChange
	return &r, c.do(ctx, method, "/v1/replicas/"+url.PathEscape(replica)+verb, nil, Freshness{}, &r)
}
