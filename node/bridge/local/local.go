// Package local serves the questions of the native API at doors, to callers that sign nothing:
// the services of the same host, at a Unix socket.
package local

import (
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/policy"
)

// answerSize is about what an answer to one question takes, in bytes.
const answerSize = 512

// New returns the protocol; it has no mapping.
func New(mapping string) (bridge.Protocol, error) {
	if mapping != "" {
		return nil, bridge.NoMapping("writ")
	}
	return protocol{}, nil
}

type protocol struct{}

// Routes adds POST /v1/authorize and POST /v1/authorize/batch.
func (protocol) Routes(mux bridge.Mux, d *bridge.Desk) {
	mux.Handle("POST /v1/authorize", d.Handler(policy.ActionAuthorize, question{}, bridge.OfCaller))
	mux.Handle("POST /v1/authorize/batch", d.Handler(policy.ActionAuthorize, question{many: true}, bridge.OfCaller))
}

// question is one, or many in one request.
type question struct{ many bool }

var contentType = []string{"application/json"}

// Serve answers a call.
func (q question) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForRead); err != nil {
		return err
	}
	answer := one
	if q.many {
		answer = many
	}
	body, err := answer(c)
	if err != nil {
		return err
	}
	c.Job.Rest() // the caller may read slowly
	free, err := c.Desk.HoldAnswer(&c.Request, len(body))
	if err != nil {
		return err
	}
	defer free()
	c.Tell()
	h := c.W.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.W.WriteHeader(http.StatusOK)
	_, err = c.W.Write(body)
	return err
}

// Refuse answers with problem details.
func (question) Refuse(c *bridge.Call, f *fault.Fault) { fault.WriteProblem(&c.W, c.ID, f) }

func one(c *bridge.Call) ([]byte, error) {
	q, err := decision.Parse(c.Payload)
	if err != nil {
		return nil, err
	}
	return c.Asker.Answer(make([]byte, 0, answerSize), &q)
}

func many(c *bridge.Call) ([]byte, error) {
	batch, err := decision.ParseBatch(c.Payload)
	if err != nil {
		return nil, err
	}
	body, err := c.Asker.Batch([]byte(`{"answers":`), &batch)
	return append(body, '}'), err
}
