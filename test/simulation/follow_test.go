package simulation

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/simulation/judge"
)

// follow is told of all changes, by one node after the other, going on where the one
// before ended.
func (c *crowd) follow(who *client) {
	w := c.world
	for after := event.Position(0); c.rest(within(who.rng, 10*time.Millisecond, time.Second)); {
		after = who.events(pick(who.rng, w.names), c.root, after, within(who.rng, time.Second, 30*time.Second), c.stop)
	}
}

// events listens to one node's stream of changes for a while, and returns the last
// position that it was told of.
func (c *client) events(node string, as key, after event.Position, d time.Duration, stop <-chan struct{}) event.Position {
	w := c.world
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v1/events?heartbeat=1s&after=%d", apiAddr(node), after), nil)
	if err != nil {
		panic(err) // it is made of constants
	}
	r.Header.Set("X-Writ-Consistency", "any")
	signer := sigv4.Signer{AccessKeyID: as.id, SecretAccessKey: as.secret, Service: "writ"}
	signer.Sign(r, sha256.Sum256(nil), time.Now())
	answer, err := c.http.Do(r)
	if err != nil {
		return after
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return after
	}
	kind, lines := "", bufio.NewScanner(answer.Body)
	for lines.Scan() { // until the time is up, or the stream ends
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "event":
			kind = value
		case name == "data" && (kind == "position" || kind == "gap"):
			told := judge.Told{Client: c.name, Node: node, After: after, Gap: kind == "gap"}
			var data struct {
				Position event.Position
				Token    string
				To       event.Position
			}
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				w.note("stream", "%s says %q: %v", node, value, err)
			}
			told.Position = max(data.Position, data.To)
			if !told.Gap {
				if told.Token, err = event.ParseToken(data.Token); err != nil {
					w.note("stream", "%s tells position %d without a token: %v", node, data.Position, err)
				}
			}
			after = told.Position
			w.record(func(h *judge.History) { h.Told = append(h.Told, told) })
		}
	}
	return after
}
