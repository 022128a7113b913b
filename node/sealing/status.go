package sealing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/replication/propagation"
)

// Why no rotation begins.
var (
	// ErrNoSuchKey is returned for a key that the leader does not have, or that is no new one.
	ErrNoSuchKey = errors.New("no new key")
	// ErrWhichKey is returned where there are several new keys, and none was named.
	ErrWhichKey = errors.New("several new keys")
	// ErrNotEverywhere is returned where nodes do not have the key, or have not said so.
	ErrNotEverywhere = errors.New("not every node has the key")
)

// maxIDs bounds what a node is believed to have: more is no list of keys.
const maxIDs = seal.MaxKeys

// Node is what a node has said of its keys.
type Node struct {
	Name, Role string
	Keys       []string // ids; nil: it has not said; empty: it has none
	Detail     string   // why it has not
}

// WriterOf is what a writer has said, or why it has not. One that cluster.yaml does not have is
// called by its address.
func WriterOf(name, address string, ids []string, err error) Node {
	n := Node{Name: cmp.Or(name, address), Role: "writer"}
	if n.Keys = Said(ids); err != nil {
		n.Keys, n.Detail = nil, "it does not answer"
	} else if n.Keys == nil {
		n.Detail = older
	}
	return n
}

// ReplicaOf is what a process of a replica has said, or why it has not.
func ReplicaOf(m propagation.ReplicaStatus, ids []string) Node {
	n := Node{Name: m.Name, Role: "replica", Keys: ids}
	switch {
	case !m.Connected:
		n.Keys, n.Detail = nil, "it is not heard of: start it, or `writ replica remove "+m.Name+"`"
	case ids == nil:
		n.Detail = older
	}
	return n
}

// older is why a node that answers has not said which keys it has.
const older = "it has not said which it has: its build may be too old"

// Said is what a node says of its keys, read with care: nil unless it is a list of keys.
func Said(ids []string) []string {
	if len(ids) > maxIDs {
		return nil
	}
	for _, id := range ids {
		if _, ok := seal.ParseID(id); !ok {
			return nil
		}
	}
	return ids
}

// Counter counts the secrets of states, no more often than a tenth of the time: whoever may ask
// may ask often.
type Counter struct {
	mu   sync.Mutex
	last *Count        // guarded by mu
	took time.Duration // guarded by mu
	done time.Time     // guarded by mu
}

// Of counts, or returns what was counted a moment ago.
func (c *Counter) Of(s *identity.State) *Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && (c.last.Position == s.Position() || time.Since(c.done) < 10*c.took) {
		return c.last
	}
	began := time.Now()
	c.last = CountOf(s)
	c.done = time.Now()
	c.took = c.done.Sub(began)
	return c.last
}

// Status is what is told of the keys by the leader, which has those of k.
func Status(c *Count, k *seal.Key, nodes []Node) *shape.Seal {
	sealing := identity.SealKeyID(k.Sealing())
	s := &shape.Seal{
		Position: c.Position, Phase: "settled", Active: sealing.String(), Left: c.Left(sealing), Resealed: c.Keys.Resealed,
		Chosen: c.Keys.Chosen, Retired: c.Keys.Retired, Begun: timeOf(c.Keys.Begun), Ended: timeOf(c.Keys.Ended),
		Keys: []shape.SealKey{}, Nodes: []shape.SealNode{},
	}
	switch {
	case c.Keys.Active == (identity.SealKeyID{}):
		s.Phase = "unchosen"
	case c.Keys.Retired == 0:
		s.Phase = "resealing"
	}
	for _, id := range known(c, k, nodes) {
		s.Keys = append(s.Keys, shape.SealKey{ID: id, State: state(c, id, sealing), Secrets: c.Sealed[idOf(id)]})
	}
	needed := c.Needed()
	for _, n := range nodes {
		one := shape.SealNode{Name: n.Name, Role: n.Role, Keys: n.Keys, Detail: n.Detail}
		for _, id := range needed {
			if len(n.Keys) > 0 && !slices.Contains(n.Keys, id.String()) {
				one.Lacks = append(one.Lacks, id.String())
			}
		}
		s.Nodes = append(s.Nodes, one)
	}
	return s
}

func idOf(text string) identity.SealKeyID {
	id, _ := seal.ParseID(text)
	return identity.SealKeyID(id)
}

// known are the ids of all keys that somebody has, or needs: the leader's in their order.
func known(c *Count, k *seal.Key, nodes []Node) (ids []string) {
	add := func(id string) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range k.IDs() {
		add(id.String())
	}
	for _, id := range c.Needed() {
		add(id.String())
	}
	for _, n := range nodes {
		for _, id := range n.Keys {
			add(id)
		}
	}
	return ids
}

// state says what a key is good for.
func state(c *Count, id string, sealing identity.SealKeyID) string {
	switch {
	case id == sealing.String():
		return "active"
	case c.Sealed[idOf(id)] > 0:
		return "needed"
	case c.Keys.Retired == 0 && slices.Contains(c.Keys.Former, idOf(id)):
		return "former"
	case slices.Contains(c.Keys.Former, idOf(id)):
		return "retired"
	}
	return "new"
}

// Next is the key that is to seal next: the one that was asked for, or else the only new one.
// The error wraps ErrNoSuchKey, ErrWhichKey or ErrNotEverywhere.
func Next(asked string, c *Count, k *seal.Key, nodes []Node) (identity.SealKeyID, error) {
	sealing := identity.SealKeyID(k.Sealing())
	var fresh []string
	for _, id := range k.IDs() {
		if state(c, id.String(), sealing) == "new" {
			fresh = append(fresh, id.String())
		}
	}
	switch {
	case asked != "" && !slices.Contains(fresh, asked):
		return identity.SealKeyID{}, fmt.Errorf("%w: %s is not among those that the leader has and that have sealed nothing (%s)", ErrNoSuchKey, asked, orNone(fresh))
	case asked == "" && len(fresh) == 0:
		return identity.SealKeyID{}, fmt.Errorf("%w: every key that the leader has has sealed already; after `writ seal add`, have it read its keys again (SIGHUP)", ErrNoSuchKey)
	case asked == "" && len(fresh) > 1:
		return identity.SealKeyID{}, fmt.Errorf("%w: %s", ErrWhichKey, strings.Join(fresh, ", "))
	case asked == "":
		asked = fresh[0]
	}
	var missing []string
	for _, n := range nodes {
		switch {
		case n.Keys == nil:
			missing = append(missing, n.Name+" ("+n.Detail+")")
		case len(n.Keys) > 0 && !slices.Contains(n.Keys, asked), n.Role == "writer" && len(n.Keys) == 0:
			missing = append(missing, n.Name)
		}
	}
	if len(missing) > 0 {
		return identity.SealKeyID{}, fmt.Errorf("%w %s: %s", ErrNotEverywhere, asked, strings.Join(missing, ", "))
	}
	return idOf(asked), nil
}

func orNone(ids []string) string {
	if len(ids) == 0 {
		return "it has none"
	}
	return strings.Join(ids, ", ")
}

func timeOf(t identity.Time) *time.Time {
	if t == 0 {
		return nil
	}
	at := time.UnixMilli(int64(t)).UTC()
	return &at
}
