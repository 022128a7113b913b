package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// Verification is a comparison of all nodes with the leader's log, and Verified what it has
// found about one of them.
type (
	Verification = shape.Verification
	Verified     = shape.Verified
)

// What a verification finds about a node.
const (
	VerdictOK          = shape.VerdictOK
	VerdictDiffers     = shape.VerdictDiffers
	VerdictBroken      = shape.VerdictBroken
	VerdictUnfinished  = shape.VerdictUnfinished
	VerdictUnreachable = shape.VerdictUnreachable
)

// Verify lets every node check itself and the leader compare what they found: the
// chain of batches from a position on (1 is the beginning), and the state. It takes
// about timeout at most; a node that needs longer is "unfinished".
func (c *Client) Verify(ctx context.Context, from event.Position, timeout time.Duration) (*Verification, error) {
	q := url.Values{"from": {strconv.FormatUint(uint64(from), 10)}, "timeout": {timeout.String()}}
	var v Verification
	return &v, c.hold(ctx, timeout, http.MethodPost, "/v1/verify?"+q.Encode(), nil, &v)
}
