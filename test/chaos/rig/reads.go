package rig

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/setup"
)

// The clients that ask.
const (
	// readRest is a reader's pause; strict questions cost an entry of the log.
	readRest       = 200 * time.Millisecond
	strictRest     = 500 * time.Millisecond
	readLimit      = 10 * time.Second
	principalARN   = "arn:aws:iam::" + setup.DefaultAccount + ":user/"
	askedAction    = "s3:GetObject"
	askedResource  = "arn:aws:s3:::bucket/key"
	modeAtLeast    = "at_least"
	headerAtLeast  = "X-Writ-At-Least"
	headerConsist  = "X-Writ-Consistency"
	pathAuthorize  = "/v1/authorize"
	statusAnswered = http.StatusOK
)

// ask asks one question of a node, once, and has the answer judged.
func (w *workload) ask(ctx context.Context, c *caller, q question, t token) (*decision, problem) {
	body, err := json.Marshal(map[string]string{"principal": principalARN + w.principals[q.principal], "action": askedAction, "resource": askedResource})
	if err != nil { // of two strings
		panic(err)
	}
	headers := map[string]string{headerConsist: q.mode}
	if q.mode == modeAtLeast {
		headers = map[string]string{headerAtLeast: t.text}
		q.atLeast = t.position
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	defer cancel()
	q.sent = w.judge.now()
	a, err := c.do(ctx, http.MethodPost, w.lab.member(q.node).url+pathAuthorize, body, headers)
	q.got = w.judge.now()
	if err != nil {
		w.judge.unanswered()
		return nil, problem{}
	}
	if a.status != statusAnswered {
		return nil, w.judge.refuse(q.node, "a question ("+q.mode+")", a)
	}
	var d decision
	if err := json.Unmarshal(a.body, &d); err != nil {
		w.judge.violate("an answer that cannot be read", "%s: %v: %.200s", q.node, err, a.body)
		return nil, problem{}
	}
	w.judge.decided(q, &d)
	return &d, problem{}
}

// read asks one node questions of one kind until ctx ends.
func (w *workload) read(ctx context.Context, m *member, mode string, rng *rand.Rand) {
	c := w.lab.caller()
	mean := readRest
	if mode == "strict" {
		mean = strictRest
	}
	for rest(ctx, rng, mean) {
		if m.running() == nil {
			continue
		}
		t, ok := w.someToken(rng)
		if mode == modeAtLeast && !ok {
			continue
		}
		q := question{node: m.name, mode: mode, principal: rng.IntN(len(w.principals))}
		if d, _ := w.ask(ctx, c, q, t); d != nil {
			m.answers.Add(1)
		}
	}
}

// The client that switches a credential on and off.
const (
	switchRest  = 500 * time.Millisecond
	misuseLimit = 15 * time.Second
)

// switchKey deactivates a key, finds that it authors nothing any more, waits until
// that is everywhere, finds that no fresh answer is given to it, and activates it.
func (w *workload) switchKey(ctx context.Context) {
	c := newCaller(w.keys.id, w.keys.secret)
	rng := w.rng()
	for n := 0; pause(ctx, switchRest); n++ {
		off := w.setKey(ctx, false)
		if off.outcome != outcomeDone {
			continue // it may be off or not: nothing to say
		}
		w.misuse(ctx, w.called("misuse-%d", n), off)
		if !w.everywhere(ctx, token{position: off.position, text: w.tokenAt(off.position), acked: off.got}, rng) {
			continue
		}
		for _, m := range w.lab.followers() {
			w.misread(ctx, m, off)
			q := question{node: m.name, mode: "leased", principal: 0}
			sent := w.judge.now()
			if d, _ := w.ask(ctx, c, q, token{}); d != nil && d.Freshness == "leased" {
				w.judge.violate("I19 a revoked credential in a leased answer", "%s answers %s at position %d to a question sent at %.3fs with a key that was deactivated at position %d, everywhere before that",
					m.name, d.Decision, d.Position, sent.Seconds(), off.position)
			}
		}
		for w.setKey(ctx, true).outcome != outcomeDone {
			if !pause(ctx, switchRest) {
				return
			}
		}
	}
}
