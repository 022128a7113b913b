package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// Target names a position: by a write's token, by the id of the request that wrote,
// by the ARN of what was changed, or as the head of the log where all are empty.
type Target struct {
	Token string
	// RequestID is the x-amzn-RequestId of a write's answer. Requests are remembered
	// for five minutes.
	RequestID string
	ARN       string
}

// Scope restricts whom a propagation is about; the zero value is every replica.
type Scope struct {
	Replicas []string
	Region   string
	Count    int
}

// Propagation says how far a position has come, and PendingLife tells of a process of a
// replica that has several.
type (
	Propagation = shape.Propagation
	PendingLife = shape.PendingLife
)

// Propagation asks how far a position has come, and waits for at most wait until
// it is everywhere. Coming back early or late is not an error: see State.
func (c *Client) Propagation(ctx context.Context, t Target, s Scope, wait time.Duration) (*Propagation, error) {
	q := url.Values{}
	path := "/v1/propagation"
	switch {
	case t.Token != "":
		path += "/" + url.PathEscape(t.Token)
	case t.RequestID != "":
		q.Set("request_id", t.RequestID)
	case t.ARN != "":
		q.Set("arn", t.ARN)
	default:
		q.Set("head", "true")
	}
	if len(s.Replicas) > 0 {
		q.Set("replicas", strings.Join(s.Replicas, ","))
	}
	if s.Region != "" {
		q.Set("region", s.Region)
	}
	if s.Count > 0 {
		q.Set("count", strconv.Itoa(s.Count))
	}
	if wait > 0 {
		q.Set("wait", "everywhere")
		q.Set("timeout", wait.String())
	}
	var p Propagation
	return &p, c.hold(ctx, wait, http.MethodGet, path+"?"+q.Encode(), nil, &p)
}
