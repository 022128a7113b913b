package proof

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
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// Path is where the leader asks a writer for Evidence, by a Request.
const Path = "/peer/verify"

// Limits of a verification.
const (
	// verifySlack is how much longer than a node may work its answer may take.
	verifySlack = 5 * time.Second
	// catchUpTimeout is how long a leader that is behind a node gives itself to reach
	// that node's position.
	catchUpTimeout = 2 * time.Second
)

// Finding is what a verification has found about one node.
type Finding struct {
	Name    string
	Role    setup.Role
	Verdict shape.Verdict
	Detail  string
	// Position and Hash are those of the node's state, as the node has them, Digest what
	// its records give.
	Position event.Position
	Hash     event.Hash
	Digest   digest.Sum
	// Batches and Records are how many were checked: of the event store, which only
	// writers have, and of the state.
	Batches, Records int
	First            event.Position // from which the event store was walked
	Took             time.Duration
}

// Verifier compares all nodes with what the log of this writer says, as the leader.
// Fields do not change.
type Verifier struct {
	place          // of who has the nodes compared
	Name    string // of this writer
	Writers *peer.Directory
	Prover  *Prover
	Finder  *peer.Finder
}

// Verify asks all nodes for evidence, of the chain from a position on, and judges it. It
// takes little longer than timeout, and there is one at a time: else the error is ErrBusy.
func (v *Verifier) Verify(ctx context.Context, from event.Position, timeout time.Duration, replicas []*identity.Replica, tasks *ask.Tasks) ([]Finding, error) {
	release, err := v.Reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, timeout+verifySlack)
	defer cancel()
	writers := v.Writers.Writers()
	list := make([]Finding, len(writers)+len(replicas))
	request := Request{From: from, Budget: timeout}
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() {
			e, err := v.evidence(ctx, w, request)
			list[i] = v.Judge(ctx, w.Name, setup.RoleWriter, e, err)
		})
	}
	for i, r := range replicas {
		wg.Go(func() {
			e, err := recount(ctx, tasks, r.Name, timeout)
			list[len(writers)+i] = v.Judge(ctx, r.Name, setup.RoleReplica, e, err)
		})
	}
	wg.Wait()
	return list, nil
}

// evidence is a writer's.
func (v *Verifier) evidence(ctx context.Context, w setup.Writer, q Request) (Evidence, error) {
	if w.Name == v.Name {
		return v.Prover.Prove(ctx, q)
	}
	return v.ask(ctx, w, q)
}

// recount asks a replica for its evidence.
func recount(ctx context.Context, tasks *ask.Tasks, replica string, timeout time.Duration) (e Evidence, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := tasks.Ask(ctx, replica, KindRecount, 1, nil)
	if err != nil {
		return e, err
	}
	return e, json.Unmarshal(a.Body, &e)
}

// ask asks another writer what it has checked.
func (v *Verifier) ask(ctx context.Context, other setup.Writer, q Request) (e Evidence, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return e, fmt.Errorf("encode a request for evidence: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+other.Peer+Path, bytes.NewReader(body))
	if err != nil {
		return e, fmt.Errorf("ask %s for evidence: %w", other.Name, err)
	}
	answer, err := v.Finder.Client().Do(r)
	if err != nil {
		return e, fmt.Errorf("ask %s for evidence: %w", other.Name, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, peer.MaxAnswer))
	if err != nil {
		return e, fmt.Errorf("read the evidence of %s: %w", other.Name, err)
	}
	if answer.StatusCode != http.StatusOK {
		return e, fmt.Errorf("%s answers %s: %.256s", other.Name, answer.Status, bytes.TrimSpace(text))
	}
	return e, json.Unmarshal(text, &e)
}

// Judge holds a node's evidence, or why there is none, against the log.
func (v *Verifier) Judge(ctx context.Context, name string, role setup.Role, e Evidence, err error) Finding {
	n := Finding{Name: name, Role: role}
	if err != nil {
		n.Verdict, n.Detail = shape.VerdictUnreachable, fmt.Sprintf("%.256v", err)
		var problem *ask.Problem
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			n.Detail = "it did not answer in time"
		case errors.As(err, &problem) && problem.Code == ask.WrongIncarnation:
			n.Verdict = shape.VerdictDiffers
		}
		return n
	}
	n.Position, n.Hash, n.Digest = e.Position, e.Hash, e.Digest
	n.Batches, n.Records, n.First, n.Took = e.Batches, e.Records, e.First, e.Took
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
		wrong, unknown := v.compare(ctx, c)
		note(&differs, wrong)
		note(&open, unknown)
	}
	switch {
	case e.Broken != "":
		n.Verdict, n.Detail = shape.VerdictBroken, strings.Join(append([]string{e.Broken}, differs...), "; ")
	case len(differs) > 0:
		n.Verdict, n.Detail = shape.VerdictDiffers, strings.Join(differs, "; ")
	case len(open) > 0:
		n.Verdict, n.Detail = shape.VerdictUnfinished, strings.Join(open, "; ")
	default:
		n.Verdict = shape.VerdictOK
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
func (v *Verifier) compare(ctx context.Context, c claim) (wrong, unknown string) {
	at := c.head.Position
	if at == 0 {
		return "", "" // it has nothing there yet
	}
	if own := v.reach(ctx, at); own < at {
		return fmt.Sprintf("its %s is at position %d, beyond the head %d", c.what, at, own), ""
	}
	b, err := v.Prover.Batch(at)
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
func (v *Verifier) reach(ctx context.Context, at event.Position) event.Position {
	timer := time.NewTimer(catchUpTimeout)
	defer timer.Stop()
	for {
		changed := v.Prover.log.Changed()
		own := v.Prover.log.Applied().Head.Position
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
