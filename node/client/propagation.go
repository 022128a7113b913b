package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
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

// Propagation says how far a position has come.
type Propagation struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Position    event.Position `json:"position"`
	Token       string         `json:"token,omitempty"`
	// State is "unknown", "committed", "partial" or "everywhere".
	State     string   `json:"state"`
	VisibleOn []string `json:"visible_on"`
	Fenced    []string `json:"fenced"`
	Pending   []string `json:"pending"`
	// PendingLives are the processes that replicas in Pending are pending for, where one
	// has several.
	PendingLives []PendingLife `json:"pending_lives,omitempty"`
	// WorstCaseMS is how long it takes at most until nobody is pending; nil when
	// there is no bound.
	WorstCaseMS *int64         `json:"worst_case_ms"`
	Roster      event.Position `json:"roster_position"`
	Floor       event.Position `json:"floor"`
}

// PendingLife is one process of a replica that has several.
type PendingLife struct {
	Replica   string         `json:"replica"`
	Life      string         `json:"life"`
	Position  event.Position `json:"position"`
	MayHoldMS int64          `json:"may_hold_lease_ms"`
	// HeardMS is how long ago the leader heard of it, or took over.
	HeardMS int64 `json:"heard_ms_ago"`
}

// Everywhere tells whether the position is in force at every replica in scope.
func (p *Propagation) Everywhere() bool { return p.State == "everywhere" }

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
