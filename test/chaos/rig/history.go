package rig

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/projection"
	histories "github.com/writ-iam/writ/test/simulation/judge"
)

// Sizes of what is read of an event store at once.
const (
	readCount = 1024
	readBytes = 8 << 20
)

// history is what the log says happened, folded by the rig itself.
type history struct {
	head    event.Head
	digest  string
	batches int

	attached map[identity.ID]switches // by user, of the one policy
	keys     map[string]switches      // by access key
	users    map[string][]creation    // by name
	byID     map[identity.ID]string   // user name
	policies map[identity.ID]bool     // the toggled one
	by       map[event.Position]doing
	authored map[string]event.Position // the last position by each session
	denied   *histories.Denied
	wrong    []string // that denied says
}

// switches are positions at which something was turned on and off, in turn.
type switches []flip

type flip struct {
	position event.Position
	on       bool
}

func (s switches) at(p event.Position) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].position > p })
	return i > 0 && s[i-1].on
}

// creation is a user's life.
type creation struct {
	id            identity.ID
	made, deleted event.Position // deleted: 0 while it lives
}

// doing is a batch's command as a client would tell it.
type doing struct {
	action, subject, value, id string
	claimed                    bool // by a write that was acknowledged
}

// readHistory reads a writer's event store from genesis to head, checks every hash
// and link, and folds it once by the product's projection and once by the rig.
func readHistory(ctx context.Context, dir, outsider string) (h *history, err error) {
	s, err := store.Open(filepath.Join(dir, "log", log.EventsFile), store.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open the event store in %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	h = &history{
		attached: map[identity.ID]switches{}, keys: map[string]switches{}, users: map[string][]creation{},
		byID: map[identity.ID]string{}, policies: map[identity.ID]bool{}, by: map[event.Position]doing{}, authored: map[string]event.Position{}, denied: histories.NewDenied(outsider),
	}
	if h.head, err = s.Verify(ctx, nil); err != nil {
		return nil, fmt.Errorf("verify the event store in %s: %w", dir, err)
	}
	fold := projection.New()
	for next := event.Position(1); next <= h.head.Position; {
		found, err := s.Read(next, readCount, readBytes)
		if err != nil {
			return nil, fmt.Errorf("read batches from %d: %w", next, err)
		}
		batches := make([]*event.Batch, len(found))
		for i, b := range found {
			if batches[i], err = wire.DecodeBatch(b); err != nil {
				return nil, err
			}
			h.take(batches[i])
		}
		if err := fold.Apply(batches); err != nil {
			return nil, fmt.Errorf("fold batches from %d: %w", next, err)
		}
		next += event.Position(len(batches))
	}
	h.digest = fold.View().State.Digest().String()
	return h, nil
}

// take folds a batch.
func (h *history) take(b *event.Batch) {
	h.batches++
	h.wrong = append(h.wrong, h.denied.Take(b)...)
	p := b.Position
	if by := &b.Cause.By; by.Session != (identity.Session{}) {
		h.authored[by.Credential] = p
	}
	d := doing{}
	for _, e := range b.Events {
		switch e := e.(type) {
		case *identity.PolicyCreated:
			if e.Name == "toggled" {
				h.policies[e.ID] = true
			}
		case *identity.UserCreated:
			h.users[e.Name] = append(h.users[e.Name], creation{id: e.ID, made: p})
			h.byID[e.ID] = e.Name
			d = doing{action: "CreateUser", subject: e.Name, id: string(e.ID)}
		case *identity.UserDeleted:
			name := h.byID[e.ID]
			if lives := h.users[name]; len(lives) > 0 {
				lives[len(lives)-1].deleted = p
			}
			d = doing{action: "DeleteUser", subject: name}
		case *identity.EntityTagged:
			d = doing{action: "TagUser", subject: h.byID[e.ID]}
		case *identity.PolicyAttached:
			h.flip(e.ID, e.Policy, p, true)
			d = doing{action: "AttachUserPolicy", subject: h.byID[e.ID], value: "on"}
		case *identity.PolicyDetached:
			h.flip(e.ID, e.Policy, p, false)
			d = doing{action: "DetachUserPolicy", subject: h.byID[e.ID], value: "off"}
		case *identity.AccessKeyCreated:
			h.keys[e.ID] = append(h.keys[e.ID], flip{p, true})
		case *identity.AccessKeyUpdated:
			h.keys[e.ID] = append(h.keys[e.ID], flip{p, e.Active})
			d = doing{action: "UpdateAccessKey", subject: e.ID, value: map[bool]string{true: "on", false: "off"}[e.Active]}
		}
	}
	if d.action != "" {
		h.by[p] = d
	}
}

func (h *history) flip(user, policy identity.ID, p event.Position, on bool) {
	if h.policies[policy] {
		h.attached[user] = append(h.attached[user], flip{p, on})
	}
}

// judgeWrites holds what clients were told against the log: what was acknowledged is
// there, once, where it was said to be (I16, I15), and in the order in which it was
// told (I15).
func (j *judge) judgeWrites(h *history, all []write) {
	type key struct{ action, subject, value string }
	open := map[key]int{} // writes whose outcome is unknown
	for _, w := range all {
		if w.outcome == outcomeUnknown {
			open[key{w.action, w.subject, w.value}]++
		}
	}
	for _, w := range all {
		if w.outcome != outcomeDone {
			continue
		}
		d, ok := h.by[w.position]
		switch {
		case !w.fresh:
			// It may have found what it wanted; then it names a position it did not make.
			if ok && d.action == w.action && d.subject == w.subject && d.value == w.value {
				d.claimed = true
				h.by[w.position] = d
			}
		case !ok || d.action != w.action || d.subject != w.subject || d.value != w.value || w.id != "" && d.id != w.id:
			j.violate("I16 an acknowledged write is not there", "%s of %s %s was acknowledged at position %d (%s); there is %+v", w.action, w.subject, w.value, w.position, w.id, d)
		case d.claimed && w.action != "TagUser" && w.action != "UpdateAccessKey":
			j.violate("I15 two writes at one position", "%s of %s at position %d", w.action, w.subject, w.position)
		default:
			d.claimed = true
			h.by[w.position] = d
		}
	}
	for p, d := range h.by {
		k := key{d.action, d.subject, d.value}
		if d.claimed {
			continue
		}
		if open[k]--; open[k] < 0 {
			j.violate("I15 a write that nobody made", "position %d: %s of %s %s", p, d.action, d.subject, d.value)
		}
	}
	for name, lives := range h.users {
		if len(lives) > 1 {
			j.violate("I15 a write that took effect twice", "user %s was created at %d and %d", name, lives[0].made, lives[1].made)
		}
	}
	j.judgeOrder(all)
}

// judgeOrder finds a write that began after another was acknowledged and has a
// position before it.
func (j *judge) judgeOrder(all []write) {
	var done []write
	for _, w := range all {
		if w.outcome == outcomeDone && w.fresh {
			done = append(done, w)
		}
	}
	var told rising
	byGot := append([]write(nil), done...)
	sort.Slice(byGot, func(a, b int) bool { return byGot[a].got < byGot[b].got })
	for _, w := range byGot {
		told.add(w.got, w.position)
	}
	for _, w := range done {
		if before := told.before(w.sent - time.Nanosecond); w.position <= before {
			j.violate("I15 writes out of order", "%s of %s, sent at %.3fs, has position %d; position %d had been acknowledged", w.action, w.subject, w.sent.Seconds(), w.position, before)
		}
	}
}

// judgeReads holds every decision against what the log says of its position.
func (j *judge) judgeReads(h *history, principals []string) {
	j.mu.Lock()
	samples := j.samples
	j.mu.Unlock()
	ids := make([]identity.ID, len(principals))
	for i, name := range principals {
		if lives := h.users[name]; len(lives) > 0 {
			ids[i] = lives[0].id
		}
	}
	for _, s := range samples {
		attached := h.attached[ids[s.principal]].at(s.position)
		right := attached == (s.decision == "allow" || s.decision == "indeterminate")
		if s.position > h.head.Position || !right {
			j.violate("I12 an answer that the log does not give", "%s said %s (%s) of %s at position %d; attached: %v; the log's head is %d",
				s.node, s.decision, s.freshness, principals[s.principal], s.position, attached, h.head.Position)
		}
	}
}

// judgeClaims holds the hashes that answers carried against the log.
func (j *judge) judgeHead(h *history, names []string, other map[string]*history) {
	for _, name := range names {
		o := other[name]
		if o.head != h.head || o.digest != h.digest || o.batches != h.batches {
			j.violate("I2 two logs", "%s holds %d batches to %d with state %s, another %d to %d with %s", name, o.batches, o.head.Position, o.digest, h.batches, h.head.Position, h.digest)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if head, ok := j.claims[h.head.Position]; ok {
		if hash := fmt.Sprintf("%x", h.head.Hash)[:prefixLen]; head.hash != hash {
			j.violated("I2 an answer of another log", "%s said %s of position %d, the log says %s", head.by, head.hash, h.head.Position, hash)
		}
		if head.digest != "" && head.digest != h.digest {
			j.violated("I4 an answer of another state", "%s said %s of position %d, the log makes %s", head.by, head.digest, h.head.Position, h.digest)
		}
	}
}
