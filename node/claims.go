package node

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/sigv4"
)

const (
	signaturePath  = "/peer/signature" // where the leader verifies signatures for replicas without keys
	confirmTimeout = 3 * time.Second   // of the question whether a signature is good
)

// confirmation is the leader's answer. Whatever does not say that the signature is good
// says that it is not.
type confirmation struct {
	Good    bool `json:"good"`
	Unknown bool `json:"unknown,omitempty"` // there is no such access key, or it is not active
	admission.Confirmed
}

// Confirm asks the leader whether a signature is good.
func (r *replica) Confirm(ctx context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	var c confirmation
	switch err := r.node.finder.PostForClient(ctx, signaturePath, claim, &c); {
	case err != nil:
		return admission.Confirmed{}, err
	case c.Good:
		return c.Confirmed, nil
	case c.Unknown:
		return admission.Confirmed{}, sigv4.ErrInvalidClientTokenID
	}
	return admission.Confirmed{}, sigv4.ErrSignatureDoesNotMatch
}

// signature tells a replica whether a signature is good.
func (p *peerServer) signature(rw http.ResponseWriter, r *http.Request) {
	var claim sigv4.Claim
	if !p.read(rw, r, &claim) {
		return
	}
	var refused *sigv4.Error
	switch told, err := p.edge.Confirms(&claim); {
	case err == nil:
		peer.Reply(rw, confirmation{Good: true, Confirmed: told})
	case errors.As(err, &refused):
		peer.Reply(rw, confirmation{Unknown: errors.Is(err, sigv4.ErrInvalidClientTokenID)})
	default:
		p.w.node.logger.Error("a signature could not be verified for a replica", "replica", peer.Caller(r).Name, "error", err)
		http.Error(rw, "the signature could not be verified", http.StatusServiceUnavailable)
	}
}
