package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/table"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/projection"
)

// verifyPath is where a writer tells another what it has checked.
const verifyPath = "/peer/verify"

// kindRecount is the kind of question that evidence of a replica answers; it has no
// body.
const kindRecount = "recount"

// Limits of a verification.
const (
	// verifyShare is the share of one processor that it takes on each node at most:
	// one in so many. The rest is the service's.
	verifyShare = 2
	// verifySlack is how much longer than a node may work its answer may take.
	verifySlack = 5 * time.Second
	// catchUpTimeout is how long a leader that is behind a node gives itself to reach
	// that node's position.
	catchUpTimeout = 2 * time.Second
)

// evidence is what a node found out about itself. What it means, the leader says.
type evidence struct {
	// Chain is the head to which a writer's event store was walked, Batches how far.
	Chain   event.Head `json:"chain"`
	Batches int        `json:"batches"`
	// Position and Hash are those of the state, Digest what its records give.
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	Digest   digest.Sum     `json:"digest"`
	Records  int            `json:"records"`
	// Broken is what is wrong with the chain or the memory, Unfinished what was not
	// looked at.
	Broken     string        `json:"broken,omitempty"`
	Unfinished string        `json:"unfinished,omitempty"`
	Took       time.Duration `json:"took_ns"`
}

// verifyRequest is the leader's request to a writer for evidence.
type verifyRequest struct {
	From   event.Position `json:"from"`
	Budget time.Duration  `json:"budget_ns"`
}

// pacer makes work take its share of a processor.
type pacer struct{ begun time.Time }

// rest lets others have the processor, in proportion to what was worked since.
func (p *pacer) rest(ctx context.Context) error {
	timer := time.NewTimer((verifyShare - 1) * time.Since(p.begun))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	p.begun = time.Now()
	return ctx.Err()
}

// recount fills in what the records of a state give.
func (e *evidence) recount(ctx context.Context, v *projection.View) error {
	e.Position, e.Hash, e.Digest = v.Head.Position, v.Head.Hash, v.State.Digest()
	p := pacer{time.Now()}
	for part := range table.Parts {
		records, sound := v.State.CheckPart(part)
		e.Records += records
		if !sound {
			e.Digest = v.State.Recount()
			e.Broken = fmt.Sprintf("a record in memory was altered: the records give the digest %s, %s was kept", e.Digest, v.State.Digest())
			return nil
		}
		if err := p.rest(ctx); err != nil {
			e.Unfinished = fmt.Sprintf("%d of %d parts of the state were not recounted in time", table.Parts-1-part, table.Parts)
			return err
		}
	}
	return nil
}

// walk fills in what the event store gives from a position on.
func (e *evidence) walk(ctx context.Context, events *store.Store, from event.Position) {
	p := pacer{time.Now()}
	head, err := events.VerifyFrom(ctx, from, func(event.Position) { _ = p.rest(ctx) }) // VerifyFrom looks at ctx
	if head.Position >= from {
		e.Chain, e.Batches = head, int(head.Position-from+1)
	}
	var missing *store.MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		e.Unfinished = fmt.Sprintf("the chain was walked up to position %d: %v", head.Position, err)
	case ctx.Err() != nil:
		e.Unfinished = fmt.Sprintf("the chain was walked up to position %d of %d in time", head.Position, events.Last().Position)
	default:
		e.Broken = fmt.Sprintf("behind position %d: %v", head.Position, err)
	}
}

// prove gathers a writer's evidence, once at a time.
func (w *writer) prove(ctx context.Context, q verifyRequest) (e evidence, err error) {
	if !w.proving.TryLock() {
		return e, api.ErrVerifying
	}
	defer w.proving.Unlock()
	begun := time.Now()
	defer func() { e.Took = time.Since(begun) }()
	ctx, cancel := context.WithTimeout(ctx, q.Budget)
	defer cancel()
	e.walk(ctx, w.log.Events(), max(q.From, 1))
	if e.Broken != "" || ctx.Err() != nil {
		a := w.log.Applied()
		e.Position, e.Hash, e.Digest = a.Head.Position, a.Head.Hash, a.State.Digest()
		return e, nil
	}
	a := w.log.Applied()
	if e.recount(ctx, &projection.View{Head: a.Head, State: a.State}) != nil || e.Broken != "" {
		return e, nil
	}
	var missing *store.MissingError
	switch hash, err := w.log.Events().Hash(a.Head.Position); {
	case errors.As(err, &missing): // and said to be so above
	case err != nil:
		e.Broken = fmt.Sprintf("read the hash at position %d: %v", a.Head.Position, err)
	case hash != a.Head.Hash:
		e.Broken = fmt.Sprintf("at position %d the event store has the hash %x, the state machine %x", a.Head.Position, hash[:8], a.Head.Hash[:8])
	}
	return e, nil
}

// recount answers a question of kindRecount.
func (r *replica) recount(ctx context.Context, _ question) (event.Head, any, error) {
	begun := time.Now()
	var e evidence
	v := r.node.projection.View()
	_ = e.recount(ctx, v) // the evidence says what is missing
	e.Took = time.Since(begun)
	return v.Head, e, nil
}

// verify tells the leader what this writer has checked.
func (p *peerServer) verify(rw http.ResponseWriter, r *http.Request) {
	if roleOf(r.TLS.PeerCertificates[0]) != RoleWriter {
		http.Error(rw, "writers alone verify each other", http.StatusForbidden)
		return
	}
	var q verifyRequest
	if !p.read(rw, r, &q) {
		return
	}
	if q.Budget <= 0 || q.Budget > api.MaxWait {
		http.Error(rw, "the budget is out of range", http.StatusBadRequest)
		return
	}
	e, err := p.w.prove(r.Context(), q)
	if err != nil {
		p.fail(rw, err)
		return
	}
	reply(rw, e)
}

// askEvidence asks another writer what it has checked.
func (w *writer) askEvidence(ctx context.Context, other Writer, q verifyRequest) (e evidence, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return e, fmt.Errorf("encode a request for evidence: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+other.Peer+verifyPath, bytes.NewReader(body))
	if err != nil {
		return e, fmt.Errorf("ask %s for evidence: %w", other.Name, err)
	}
	answer, err := w.node.finder.client.Do(r)
	if err != nil {
		return e, fmt.Errorf("ask %s for evidence: %w", other.Name, err)
	}
	defer discard(answer)
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxSmallAnswer))
	if err != nil {
		return e, fmt.Errorf("read the evidence of %s: %w", other.Name, err)
	}
	if answer.StatusCode != http.StatusOK {
		return e, fmt.Errorf("%s answers %s: %.256s", other.Name, answer.Status, bytes.TrimSpace(text))
	}
	return e, json.Unmarshal(text, &e)
}

// verifyAll compares all nodes with what this writer's log says, as the leader. It
// takes little longer than timeout.
func (w *writer) verifyAll(ctx context.Context, from event.Position, timeout time.Duration) (*api.Verification, error) {
	t := w.leading.Load()
	if t == nil {
		return nil, api.ErrNotLeader
	}
	if !w.verifying.TryLock() {
		return nil, api.ErrVerifying
	}
	defer w.verifying.Unlock()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout+verifySlack)
	defer cancel()
	state := w.log.Applied().State
	c := state.Cluster()
	v := &api.Verification{Cluster: c.ID, Incarnation: c.Incarnation, Node: w.node.cfg.Name, From: from}
	writers, replicas := w.node.cfg.Cluster.Writers, state.Replicas()
	v.Nodes = make([]api.Verified, len(writers)+len(replicas))
	request := verifyRequest{From: from, Budget: timeout}
	var wg sync.WaitGroup
	for i, other := range writers {
		wg.Go(func() {
			v.Nodes[i] = w.judge(ctx, other.Name, RoleWriter, func() (evidence, error) {
				if other.Name != w.node.cfg.Name {
					return w.askEvidence(ctx, other, request)
				}
				return w.prove(ctx, request)
			})
		})
	}
	for i, r := range replicas {
		wg.Go(func() {
			v.Nodes[len(writers)+i] = w.judge(ctx, r.Name, RoleReplica, func() (e evidence, err error) {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				a, err := t.asking.ask(ctx, r.Name, kindRecount, 1, nil)
				if err != nil {
					return e, err
				}
				return e, json.Unmarshal(a.Body, &e)
			})
		})
	}
	wg.Wait()
	if w.leading.Load() != t {
		return nil, api.ErrNotLeader
	}
	v.TookMS = time.Since(begun).Milliseconds()
	return v, nil
}

// judge gets a node's evidence and holds it against the log.
func (w *writer) judge(ctx context.Context, name string, role Role, get func() (evidence, error)) api.Verified {
	n := api.Verified{Name: name, Role: string(role)}
	e, err := get()
	if err != nil {
		n.Verdict, n.Detail = api.VerdictUnreachable, fmt.Sprintf("%.256v", err)
		var problem *questionError
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			n.Detail = "it did not answer in time"
		case errors.As(err, &problem) && problem.Code == problemIncarnation:
			n.Verdict = api.VerdictDiffers
		}
		return n
	}
	n.Position, n.Hash, n.Digest = e.Position, e.Hash, e.Digest
	n.Batches, n.Records, n.TookMS = e.Batches, e.Records, e.Took.Milliseconds()
	var differs, open []string
	note := func(list *[]string, text string) {
		if text != "" {
			*list = append(*list, text)
		}
	}
	if note(&open, e.Unfinished); e.Position == 0 {
		note(&open, "it has no state yet")
	}
	for _, c := range []claim{{"event store", e.Chain, nil}, {"state", event.Head{Position: e.Position, Hash: e.Hash}, &e.Digest}} {
		wrong, unknown := w.compare(ctx, c)
		note(&differs, wrong)
		note(&open, unknown)
	}
	switch {
	case e.Broken != "":
		n.Verdict, n.Detail = api.VerdictBroken, strings.Join(append([]string{e.Broken}, differs...), "; ")
	case len(differs) > 0:
		n.Verdict, n.Detail = api.VerdictDiffers, strings.Join(differs, "; ")
	case len(open) > 0:
		n.Verdict, n.Detail = api.VerdictUnfinished, strings.Join(open, "; ")
	default:
		n.Verdict = api.VerdictOK
	}
	return n
}

// claim is what a node says of itself: what it has at a position, and of its state
// the digest.
type claim struct {
	what   string
	head   event.Head
	digest *digest.Sum
}

// compare holds a claim against this writer's record of the position. It says what
// is wrong, or why that cannot be told; nothing: the two agree.
func (w *writer) compare(ctx context.Context, c claim) (wrong, unknown string) {
	at := c.head.Position
	if at == 0 {
		return "", "" // it has nothing there yet
	}
	if own := w.reach(ctx, at); own < at {
		return fmt.Sprintf("its %s is at position %d, beyond the head %d", c.what, at, own), ""
	}
	b, err := w.batch(at)
	switch {
	case err != nil:
		return "", fmt.Sprintf("the leader cannot tell what was at position %d: %v", at, err)
	case b.Hash != c.head.Hash:
		return fmt.Sprintf("its %s has the hash %x at position %d, the leader's log %x", c.what, c.head.Hash[:8], at, b.Hash[:8]), ""
	case c.digest != nil && b.State != *c.digest:
		return fmt.Sprintf("its %s has the digest %s at position %d, the leader's log %s", c.what, *c.digest, at, b.State), ""
	}
	return "", ""
}

// reach returns this writer's position once it is at least at, or as it is when
// that takes too long: a node can be a moment ahead of the leader's state machine.
func (w *writer) reach(ctx context.Context, at event.Position) event.Position {
	timer := time.NewTimer(catchUpTimeout)
	defer timer.Stop()
	for {
		changed := w.log.Changed()
		own := w.log.Applied().Head.Position
		if own >= at {
			return own
		}
		select {
		case <-changed:
		case <-timer.C:
			return own
		case <-ctx.Done():
			return own
		}
	}
}

// batch reads the header of a batch from this writer's event store.
func (w *writer) batch(at event.Position) (*event.Batch, error) {
	found, err := w.log.Events().Read(at, 1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("position %d is not in the event store yet", at)
	}
	header, err := wire.BatchHeader(found[0])
	if err != nil {
		return nil, err
	}
	return wire.DecodeHeader(header)
}
