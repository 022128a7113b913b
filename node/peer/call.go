package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Post sends JSON to the leader and decodes the JSON that it answers.
func (f *Finder) Post(ctx context.Context, path string, question, answer any) error {
	return f.PostHeld(ctx, 0, path, question, answer)
}

// PostHeld is Post for what the leader may hold back for a while.
func (f *Finder) PostHeld(ctx context.Context, hold time.Duration, path string, question, answer any) error {
	return f.postOver(ctx, f.client, hold, path, question, answer)
}

// PostForClient is Post for what a client of the node asks, over the connections that
// are for that.
func (f *Finder) PostForClient(ctx context.Context, path string, question, answer any) error {
	return f.postOver(ctx, f.forwards, 0, path, question, answer)
}

// StatusError is returned when a node answers with another status than 200.
type StatusError struct {
	Status int
	Text   string // what it says
}

// Error is what the node says.
func (e *StatusError) Error() string { return fmt.Sprintf("it answers %d: %.512s", e.Status, e.Text) }

// Get asks the writer at addr, whoever leads, and decodes the JSON that it answers. Errors are
// those of this node's standing, a StatusError, or that the writer is not reached.
func (f *Finder) Get(ctx context.Context, addr, path string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	got, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer discard(got)
	if got.StatusCode != http.StatusOK {
		if not, _ := standing(got); not != nil {
			return not
		}
		return &StatusError{Status: got.StatusCode}
	}
	return Decode(io.LimitReader(got.Body, MaxAnswer), answer)
}

// postOver is PostHeld over the connections of one of the clients.
func (f *Finder) postOver(ctx context.Context, client *http.Client, hold time.Duration, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode a question to the leader: %w", err)
	}
	got, err := f.send(ctx, client, hold, func(ctx context.Context, addr string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+path, bytes.NewReader(body))
	})
	if err != nil {
		return err
	}
	defer discard(got)
	text, err := io.ReadAll(io.LimitReader(got.Body, MaxAnswer))
	if err != nil {
		return fmt.Errorf("read the leader's answer: %w", err)
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the leader: %w", &StatusError{got.StatusCode, strings.TrimSpace(string(text))})
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("decode the leader's answer: %w", err)
	}
	return nil
}

// Reply answers with the JSON of a value of our own.
func Reply(rw http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil { // of our own types
		panic(err)
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.Write(body) // an error here means that the caller has gone
}

// Decode reads one JSON value.
func Decode(r io.Reader, into any) error {
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}

// MaxAnswer bounds what is read of an answer that is not passed on, in bytes.
const MaxAnswer = 1 << 20

// discard reads what is left of an answer, so that its connection serves again.
func discard(answer *http.Response) {
	_, _ = io.CopyN(io.Discard, answer.Body, MaxAnswer) // the answer is not wanted
	answer.Body.Close()
}
