package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
)

// Verified is what a verification has found about one node.
type Verified struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// Verdict is "ok"; "differs" or "broken", for what was proved wrong; or
	// "unfinished" or "unreachable", for what was not looked at.
	Verdict  string         `json:"verdict"`
	Detail   string         `json:"detail,omitempty"`
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	Digest   digest.Sum     `json:"digest"`
	Batches  int            `json:"batches"` // walked in a writer's event store
	Records  int            `json:"records"` // recounted
	TookMS   int64          `json:"took_ms"`
}

// Verification is a comparison of all nodes with the leader's log.
type Verification struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"` // the leader
	From        event.Position `json:"from"`
	Nodes       []Verified     `json:"nodes"`
	TookMS      int64          `json:"took_ms"`
}

// Verify lets every node check itself and the leader compare what they found: the
// chain of batches from a position on (1 is the beginning), and the state. It takes
// about timeout at most; a node that needs longer is "unfinished".
func (c *Client) Verify(ctx context.Context, from event.Position, timeout time.Duration) (*Verification, error) {
	q := url.Values{"from": {strconv.FormatUint(uint64(from), 10)}, "timeout": {timeout.String()}}
	var v Verification
	return &v, c.hold(ctx, timeout, http.MethodPost, "/v1/verify?"+q.Encode(), nil, &v)
}
