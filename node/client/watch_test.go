package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
)

func tokenAt(at int) string {
	return event.TokenOf("c", "i", event.Head{Position: event.Position(at)}).String()
}

func positions(from, to int) string {
	var b strings.Builder
	for at := from; at <= to; at++ {
		fmt.Fprintf(&b, "id: %s\nevent: position\ndata: {\"position\":%d,\"token\":%[1]q,\"time\":\"2026-07-01T12:00:00.000Z\",\"action\":\"iam:CreateUser\",\"events\":[\"UserCreated\"]}\n\n", tokenAt(at), at)
	}
	return b.String()
}

const beat = "event: heartbeat\ndata: {\"node\":\"r2\",\"position\":3,\"head\":4,\"lag\":1,\"freshness\":\"leased\",\"staleness_bound_ms\":12}\n\n"

// stream answers with events, and then breaks off, ends, or falls silent.
func stream(text string, silent bool) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		in, out := io.Pipe()
		stop := context.AfterFunc(r.Context(), func() { out.CloseWithError(r.Context().Err()) })
		go func() {
			io.WriteString(out, text)
			if !silent {
				stop()
				out.CloseWithError(errors.New("the connection is lost"))
			}
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Writ-Token": {tokenAt(3)}}, Body: in}, nil
	}
}

// watch watches a town until it has been told n events, and returns what they were.
func (c *town) watch(after string, n int, f func(client.Event) error) (told []string, err error) {
	enough := errors.New("enough")
	err = c.client().Watch(c.t.Context(), after, func(e client.Event) error {
		told = append(told, fmt.Sprintf("%s %d", e.Kind, max(e.Position, e.To)))
		if f != nil {
			return f(e)
		}
		if len(told) == n {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return told, err
}

func TestWatchGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		var from []string
		on := func(name string, answer func(*http.Request) (*http.Response, error)) {
			c.set(name, func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/v1/cluster" {
					return members("w1", c.told)
				}
				from = append(from, name+" "+r.URL.Query().Get("after"))
				if r.Header.Get("X-Writ-Consistency") != "any" || r.URL.Query().Get("heartbeat") != "5s" {
					t.Errorf("asked with %v %v", r.URL, r.Header)
				}
				return answer(r)
			})
		}
		was := false
		on("r2", func(r *http.Request) (*http.Response, error) { // is cut off, and gone
			if was {
				return nil, errors.New("not reached")
			}
			was = true
			return stream(beat+positions(4, 5), false)(r)
		})
		on("r1", stream(positions(5, 6), true))                                                      // tells one again, and falls silent
		on("r3", stream(beat+"event: end\ndata: {\"status\":503,\"code\":\"Stopping\"}\n\n", false)) // stops
		on("w1", stream("event: novelty\ndata: {\"position\":1}\n\n"+beat+positions(7, 8), false))   // tells what is not known here
		on("w2", func(*http.Request) (*http.Response, error) { return nil, errors.New("not reached") })
		begun := time.Now()
		told, err := c.watch("", 8, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"heartbeat 3", "position 4", "position 5", "position 6", "heartbeat 3", "heartbeat 3", "position 7", "position 8"}; !slices.Equal(told, want) {
			t.Errorf("told %v, not %v", told, want)
		}
		from = slices.DeleteFunc(from[1:], func(s string) bool { return strings.HasPrefix(s, "w2 ") || strings.HasPrefix(s, "r2 ") })
		if want := []string{"r1 " + tokenAt(5), "r3 " + tokenAt(6), "w1 " + tokenAt(6)}; !slices.Equal(from, want) {
			t.Errorf("watched %v, not %v", from, want)
		}
		if took := time.Since(begun); took < 15*time.Second || took > 20*time.Second {
			t.Errorf("a silent node was left after %v", took)
		}
	})
}

// A gap is told once, though a stream that breaks off after it goes on before it.
func TestWatchGapsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		const gap = "event: gap\ndata: {\"from\":2,\"to\":4,\"hint\":\"do\"}\n\n"
		c.set("r2", stream(gap, false))
		var asked []string
		c.set("w1", func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Query().Get("after"))
			if len(asked) == 1 {
				return stream(gap, false)(r)
			}
			return stream(gap+positions(5, 5), false)(r)
		})
		told, err := c.watch(tokenAt(1), 2, nil)
		if want := []string{"gap 4", "position 5"}; err != nil || !slices.Equal(told, want) {
			t.Errorf("told %v, %v, not %v", told, err, want)
		}
		if want := []string{tokenAt(1), tokenAt(1)}; !slices.Equal(asked, want) {
			t.Errorf("asked after %v, not %v", asked, want)
		}
	})
}

// What a replica no longer has, a writer tells. Only what that has not either is a gap.
func TestWatchGaps(t *testing.T) {
	const gap = "event: gap\ndata: {\"from\":2,\"to\":4,\"hint\":\"do\"}\n\n"
	for _, x := range []struct {
		writer string
		want   []string
	}{
		{positions(2, 5), []string{"position 2", "position 3", "position 4", "position 5"}},
		{gap + positions(5, 5), []string{"gap 4", "position 5"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newTown(t)
			c.set("r2", stream(gap+positions(5, 5), false))
			c.set("w1", stream(x.writer, false))
			if told, err := c.watch("1", len(x.want), nil); err != nil || !slices.Equal(told, x.want) {
				t.Errorf("told %v, %v, not %v", told, err, x.want)
			}
		})
	}
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t)
		var p *client.Problem
		c.set("r2", func(*http.Request) (*http.Response, error) { return says(403, problem(403, "AccessDenied")) })
		if _, err := c.watch("", 9, nil); !errors.As(err, &p) || p.Code != "AccessDenied" {
			t.Errorf("not allowed: %v", err)
		}
		c.set("r2", stream("event: end\ndata: {\"status\":409,\"code\":\"WrongIncarnation\",\"detail\":\"d\"}\n\n", false))
		if _, err := c.watch("", 9, nil); !errors.As(err, &p) || p.Code != "WrongIncarnation" {
			t.Errorf("another incarnation: %v", err)
		}
		c.set("r2", stream(beat, true))
		own := errors.New("the caller's own")
		if _, err := c.watch("", 9, func(client.Event) error { return own }); !errors.Is(err, own) {
			t.Errorf("the caller's error: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.client().Watch(ctx, "", func(client.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		for name := range c.nodes {
			c.set(strings.TrimSuffix(name, ".test"), refuses)
		}
		begun := time.Now()
		if _, err := c.watch("", 9, nil); err == nil || !strings.Contains(err.Error(), "connection refused") || time.Since(begun) > time.Minute {
			t.Errorf("nobody there: %v after %v", err, time.Since(begun))
		}
	})
}
