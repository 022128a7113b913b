package identity

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/log/digest"
)

// KeyState says what a cluster key is good for. Numbers are stored.
type KeyState uint8

// The states of a cluster key.
const (
	KeyActive     KeyState = 1 // makes sessions or tokens, and vouches for them
	KeyVerifyOnly KeyState = 2 // vouches for those that it made
	KeyRevoked    KeyState = 3 // what it made is refused
)

// String is the state in words.
func (s KeyState) String() string {
	switch s {
	case KeyActive:
		return "active"
	case KeyVerifyOnly:
		return "verify-only"
	case KeyRevoked:
		return "revoked"
	}
	return "unknown"
}

// keyLife is what keys of every kind have: how they live.
type keyLife struct {
	number  uint32
	state   *KeyState
	sealed  *[]byte
	created Time
	retired *Time
}

// clusterKey is a pointer to a key of a kind.
type clusterKey[K any] interface {
	*K
	life() keyLife
	// publicDigest appends what a key has that is no secret.
	publicDigest(b []byte) []byte
}

// ClusterKeys are the keys of one kind, the oldest first, for all accounts of the cluster. One
// at most is active: the last.
type ClusterKeys[K any, P clusterKey[K]] struct {
	Last uint32 // the highest number there was
	List []K
}

// keyKind is what a kind of cluster key has of its own.
type keyKind struct {
	name, made string // the key and what it makes, as refusals say it
	most       int    // keys whose sessions or tokens may last
	life       Time   // the longest that one of these lasts
}

// over tells whether nothing can be left that a key made.
func (kind *keyKind) over(l keyLife, now Time) bool {
	return *l.state != KeyActive && *l.retired+kind.life+sessionGrace <= now
}

// digest appends all that the keys have.
func (k *ClusterKeys[K, P]) digest(b []byte) []byte {
	b = digest.AppendInt(b, int64(k.Last))
	b = digest.AppendInt(b, len(k.List))
	for i := range k.List {
		l := P(&k.List[i]).life()
		b = digest.AppendInt(b, int64(l.number))
		b = digest.AppendInt(b, uint8(*l.state))
		b = digest.AppendString(b, string(*l.sealed))
		b = P(&k.List[i]).publicDigest(b)
		b = digest.AppendInt(b, int64(l.created))
		b = digest.AppendInt(b, int64(*l.retired))
	}
	return b
}

// find returns the key of a number, whatever it is good for.
func (k *ClusterKeys[K, P]) find(number uint32) (found K, ok bool) {
	for i := range k.List {
		if P(&k.List[i]).life().number == number {
			return k.List[i], true
		}
	}
	return found, false
}

// active returns the key that makes sessions or tokens now.
func (k *ClusterKeys[K, P]) active() (found K, ok bool) {
	if n := len(k.List); n > 0 && *P(&k.List[n-1]).life().state == KeyActive {
		return k.List[n-1], true
	}
	return found, false
}

// mayAdd refuses a key that is not the next, or that there is no room for.
func (k *ClusterKeys[K, P]) mayAdd(kind *keyKind, number uint32, now Time) error {
	if number != k.Last+1 {
		return refuse(ConcurrentModification, "Another %s key was added meanwhile. Try again.", kind.name)
	}
	kept := 0
	for i := range k.List {
		if one := P(&k.List[i]).life(); *one.state != KeyRevoked && !kind.over(one, now) {
			kept++
		}
	}
	if kept >= kind.most {
		return refuse(LimitExceeded, "There are %d %s keys whose %s may last. Revoke one, or wait until they have ended.", kind.most, kind.name, kind.made)
	}
	return nil
}

// mayRevoke refuses a key that is not in force.
func (k *ClusterKeys[K, P]) mayRevoke(kind *keyKind, number uint32) error {
	if one, ok := k.find(number); !ok || *P(&one).life().state == KeyRevoked {
		return refuse(NoSuchEntity, "There is no %s key %d that is in force.", kind.name, number)
	}
	return nil
}

// with returns the keys with one more, which is active. The one before it is verify-only from
// then on, and those whose sessions or tokens are over are gone.
func (k *ClusterKeys[K, P]) with(kind *keyKind, added K) ClusterKeys[K, P] {
	list, last := slices.Clone(k.List), P(&added).life()
	for i := range list {
		if one := P(&list[i]).life(); *one.state == KeyActive {
			*one.state, *one.retired = KeyVerifyOnly, last.created
		}
	}
	list = slices.DeleteFunc(list, func(one K) bool { return kind.over(P(&one).life(), last.created) })
	for len(list) >= kind.most { // those that are revoked make room
		i := slices.IndexFunc(list, func(one K) bool { return *P(&one).life().state == KeyRevoked })
		list = slices.Delete(list, max(i, 0), max(i, 0)+1)
	}
	*last.state = KeyActive
	return ClusterKeys[K, P]{Last: last.number, List: append(list, added)}
}

// without returns the keys with one revoked.
func (k *ClusterKeys[K, P]) without(number uint32, at Time) ClusterKeys[K, P] {
	list := slices.Clone(k.List)
	for i := range list {
		if one := P(&list[i]).life(); one.number == number {
			*one.state, *one.sealed, *one.retired = KeyRevoked, nil, cmp.Or(*one.retired, at)
		}
	}
	return ClusterKeys[K, P]{Last: k.Last, List: list}
}
