package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// backupSilence is how long a writer may send nothing of an archive.
const backupSilence = time.Minute

// Backup asks a writer for an archive, as package node/archive of the server writes it: the
// whole state and history, the batches behind a position, or the state alone. The caller
// reads it, and closes it; only one that was read to its end, and found whole, is one. The
// answer is in the clear, but for secrets that the log seals: ask over https.
func (c *Client) Backup(ctx context.Context, since event.Position, stateOnly bool) (io.ReadCloser, error) {
	q := url.Values{}
	if since > 0 {
		q.Set("since", strconv.FormatUint(uint64(since), 10))
	}
	if stateOnly {
		q.Set("state_only", "true")
	}
	asked := newCall(http.MethodGet, "/v1/backup?"+q.Encode(), nil, Freshness{})
	looking := c.lookOut(ctx)
	body, err := c.backupAround(ctx, asked)
	return body, looking.end(err)
}

// backupAround asks one node after the other, each once.
func (c *Client) backupAround(ctx context.Context, asked *call) (io.ReadCloser, error) {
	var last error
	for _, node := range c.nodes.order(ctx, c, toLeader) {
		body, err := c.backup(ctx, asked, node)
		if err == nil {
			return body, nil
		}
		last = err
		var p *Problem
		if errors.As(err, &p) && !p.Temporary() {
			break
		}
		c.nodes.failed(node)
	}
	return nil, last
}

func (c *Client) backup(ctx context.Context, q *call, node *url.URL) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	silent := time.AfterFunc(backupSilence, func() { cancel(fmt.Errorf("%s is silent", node.Host)) })
	got, err := c.stream(ctx, q, node) //nolint:bodyclose // whoever reads the backup closes it
	if err != nil {
		silent.Stop()
		cancel(nil)
		return nil, err
	}
	return &lively{got.Body, silent, cancel}, nil
}

// lively is a body that is given up when nothing comes for too long.
type lively struct {
	io.ReadCloser
	silent *time.Timer
	cancel context.CancelCauseFunc
}

func (l *lively) Read(p []byte) (int, error) {
	l.silent.Reset(backupSilence)
	return l.ReadCloser.Read(p)
}

func (l *lively) Close() error {
	l.silent.Stop()
	l.cancel(nil)
	return l.ReadCloser.Close()
}
