package rig

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/writ-iam/writ/log/event"
)

// The clients that wait.
const (
	waiters = 3
	// waitTimeout is what a waiter asks for in one request, waitLimit for how long it
	// tries in all.
	waitTimeout = 20 * time.Second
	waitLimit   = 5 * time.Minute
	waitRest    = 100 * time.Millisecond
)

// propagation is the answer to a wait, as far as the judge reads it.
type propagation struct {
	Position event.Position `json:"position"`
	State    string         `json:"state"`
	Fenced   []string       `json:"fenced"`
}

// waiting waits for recent writes until ctx ends.
func (w *workload) waiting(ctx context.Context, rng *rand.Rand) {
	for {
		select {
		case t := <-w.waits:
			w.everywhere(ctx, t, rng)
		case <-ctx.Done():
			return
		}
	}
}

// everywhere waits until a write is in force everywhere. It asks the leader, and
// now and then any node, which hands the wait on.
func (w *workload) everywhere(ctx context.Context, t token, rng *rand.Rand) bool {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	c := w.lab.caller()
	for {
		m, _ := w.lab.leader()
		if m == nil || rng.IntN(3) == 0 {
			m = w.lab.members[rng.IntN(len(w.lab.members))]
		}
		if w.waitAt(ctx, c, m, t) {
			return true
		}
		if !pause(ctx, waitRest) {
			w.judge.moment("a wait that was given up")
			return false
		}
	}
}

// waitAt asks one node to wait, once.
func (w *workload) waitAt(ctx context.Context, c *caller, m *member, t token) bool {
	limit, cancel := context.WithTimeout(ctx, waitTimeout+5*time.Second)
	defer cancel()
	q := url.Values{"wait": {"everywhere"}, "timeout": {waitTimeout.String()}}
	sent := w.judge.now()
	a, err := c.do(limit, http.MethodGet, m.url+"/v1/propagation/"+url.PathEscape(t.text)+"?"+q.Encode(), nil, nil)
	arrived := w.judge.now()
	// P6: the wait ends within W while there is a leader. A new one first waits for the
	// leases of the one before, so the time counts from the start of its leadership.
	if led := w.judge.ledBy(m.name, sent, arrived); led > window+windowSlack {
		w.judge.violate("P6 a wait that does not end in time", "%s led for %v while it was asked to wait for position %d, acknowledged at %.3fs; asked at %.3fs, answered at %.3fs",
			m.name, led, t.position, t.acked.Seconds(), sent.Seconds(), arrived.Seconds())
	}
	if err != nil {
		if ctx.Err() == nil {
			w.judge.unanswered()
		}
		return false
	}
	if a.status != statusAnswered {
		w.judge.refuse(m.name, "a wait", a)
		return false
	}
	var p propagation
	if err := json.Unmarshal(a.body, &p); err != nil || p.Position != t.position {
		w.judge.violate("an answer that cannot be read", "%s, to a wait for %d: %v: %.200s", m.name, t.position, err, a.body)
		return false
	}
	if p.State != "everywhere" {
		return false
	}
	if len(p.Fenced) > 0 {
		w.judge.moment("a wait that ended with a replica fenced")
	}
	w.judge.arrived(waited{position: t.position, acked: t.acked, arrived: arrived})
	return true
}

// tokenAt is the token of a write that was just acknowledged.
func (w *workload) tokenAt(p event.Position) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tokens {
		if t.position == p {
			return t.text
		}
	}
	return ""
}

// switchOn switches the credential on, whether or not it is.
func (w *workload) switchOn(ctx context.Context) write { return w.turnKey(ctx, true, false) }

// setKey switches the credential on or off.
func (w *workload) setKey(ctx context.Context, on bool) write { return w.turnKey(ctx, on, true) }

func (w *workload) turnKey(ctx context.Context, on, fresh bool) write {
	status, value := types.StatusTypeInactive, "off"
	if on {
		status, value = types.StatusTypeActive, "on"
	}
	r := w.do(ctx, write{action: "UpdateAccessKey", subject: w.keys.id, value: value, fresh: fresh}, func(ctx context.Context) (middleware.Metadata, error) {
		out, err := w.api.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &w.keys.user, AccessKeyId: &w.keys.id, Status: status})
		if err != nil {
			return middleware.Metadata{}, err
		}
		return out.ResultMetadata, nil
	})
	w.expect(r)
	return r
}

// misuse tries to write with the credential after its deactivation was acknowledged.
func (w *workload) misuse(ctx context.Context, name string, off write) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), misuseLimit)
	defer cancel()
	api := w.misuser()
	if _, err := api.CreateUser(limit, &iam.CreateUserInput{UserName: &name}); err == nil {
		w.judge.violate("I19 a write by a revoked credential", "CreateUser of %s succeeded with a key that was deactivated at position %d, acknowledged at %.3fs",
			name, off.position, off.got.Seconds())
	}
}

// misread tries to read with the credential after its deactivation was everywhere.
func (w *workload) misread(ctx context.Context, m *member, off write) {
	w.misreadBy(ctx, callerOf(w.keys.id, w.keys.secret, "iam"), m, "a key", w.keys.id, off.position)
}

// misreadBy tries to read by a credential after its end was everywhere.
func (w *workload) misreadBy(ctx context.Context, c *caller, m *member, kind, id string, end event.Position) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	defer cancel()
	sent := w.judge.now()
	a, err := c.do(limit, http.MethodPost, m.url+"/", []byte("Action=ListUsers&Version=2010-05-08&MaxItems=1"),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if err == nil && a.status == http.StatusOK {
		w.judge.violate("I19 a read by a revoked credential", "%s answers ListUsers, sent at %.3fs, with %s, %s, that ended at position %d, everywhere before that; as %s",
			m.name, sent.Seconds(), kind, id, end, a.header.Get("X-Writ-Freshness"))
	}
}

// misuser is a client with the credential that is switched on and off.
func (w *workload) misuser() *iam.Client { return w.sdk(w.keys.id, w.keys.secret, 0) }
