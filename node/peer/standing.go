package peer

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// Why a node is not served by the others, as its place in the cluster says.
var (
	// ErrBarred is returned when a replica was removed by command.
	ErrBarred = errors.New("removed from the roster by command: `writ replica admit` with its name, at a writer, lets it in again")
	// ErrUnregistered is returned when a replica is not in the roster.
	ErrUnregistered = errors.New("not in the roster of replicas; one that has not been removed registers by itself")
	// ErrUnlisted is returned when the cluster has no writer of that name.
	ErrUnlisted = errors.New("the cluster has no writer of this name: `writ writer list` shows those that it has, and `writ writer add` adds one")
)

// RestEvery is about how long a removed replica waits before it asks again whether it was
// admitted.
const RestEvery = 5 * time.Second

// Rest is RestEvery with up to half of that on top.
func Rest() time.Duration { return RestEvery + rand.N(RestEvery/2) }

// HeaderStanding names, in an answer of 403, why a node is not served.
const HeaderStanding = "X-Writ-Standing"

// standings are what HeaderStanding says; they travel.
var standings = map[string]error{"barred": ErrBarred, "unregistered": ErrUnregistered, "unlisted": ErrUnlisted}

// Explain puts into the header of an answer of 403 why a node is not served, if that is
// its place in the cluster.
func Explain(h http.Header, why error) {
	for text, err := range standings {
		if errors.Is(why, err) {
			h.Set(HeaderStanding, text)
		}
	}
}

// standing is what an answer of 403 says of this node's place in the cluster; nil if
// it says nothing of it. final: the leader itself says so.
func standing(answer *http.Response) (err error, final bool) {
	if answer == nil || answer.StatusCode != http.StatusForbidden {
		return nil, false
	}
	if err = standings[answer.Header.Get(HeaderStanding)]; err == nil {
		return nil, false
	}
	_, another := answer.Header[HeaderLeader]
	return err, !another
}
