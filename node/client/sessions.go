package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/writ-iam/writ/node/api/shape"
)

// SeenSessions are the sessions of the caller's account that a node saw last, and SeenSession
// is one of them.
type (
	SeenSessions = shape.SeenSessions
	SeenSession  = shape.SeenSession
)

// SeenSessions asks the node of the client's endpoint, or where it has several every node that
// it knows of, once, for the sessions that it saw. What some told is good though others fail,
// which the error then tells.
func (c *Client) SeenSessions(ctx context.Context) (told []SeenSessions, err error) {
	nodes := c.nodes.order(ctx, c, toLeader)
	answers, failed := make([]SeenSessions, len(nodes)), make([]error, len(nodes))
	var asking sync.WaitGroup
	for i, node := range nodes {
		asking.Go(func() {
			a, _, err := c.once(ctx, newCall(http.MethodGet, "/v1/sessions", nil, Freshness{}), node)
			if err == nil {
				err = a.decode(&answers[i])
			}
			if err != nil {
				failed[i] = fmt.Errorf("sessions that %s saw: %w", node.Host, err)
			}
		})
	}
	asking.Wait()
	names := map[string]bool{}
	for i := range answers {
		if failed[i] == nil && !names[answers[i].Node] { // a node may have two URLs
			names[answers[i].Node] = true
			told = append(told, answers[i])
		}
	}
	return told, errors.Join(failed...)
}
