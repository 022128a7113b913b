package node

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/sigv4"
)

// signaturePath is where the leader verifies signatures for replicas without keys.
const signaturePath = "/peer/signature"

// confirmTimeout bounds the question whether a signature is good.
const confirmTimeout = 3 * time.Second

// confirmation is the leader's answer. Whatever does not say that the signature is good
// says that it is not.
type confirmation struct {
	Good bool `json:"good"`
	// Unknown says that there is no such access key, or that it is not active.
	Unknown bool `json:"unknown,omitempty"`
}

// Confirm asks the leader whether a signature is good.
func (r *replica) Confirm(ctx context.Context, claim sigv4.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	var c confirmation
	switch err := r.node.finder.PostForClient(ctx, signaturePath, claim, &c); {
	case err != nil:
		return err
	case c.Good:
		return nil
	case c.Unknown:
		return sigv4.ErrInvalidClientTokenID
	}
	return sigv4.ErrSignatureDoesNotMatch
}

// signature tells a replica whether a signature is good.
func (p *peerServer) signature(rw http.ResponseWriter, r *http.Request) {
	var claim sigv4.Claim
	if !p.read(rw, r, &claim) {
		return
	}
	var refused *sigv4.Error
	switch err := p.edge.Confirms(&claim); {
	case err == nil:
		peer.Reply(rw, confirmation{Good: true})
	case errors.As(err, &refused):
		peer.Reply(rw, confirmation{Unknown: errors.Is(err, sigv4.ErrInvalidClientTokenID)})
	default:
		p.w.node.logger.Error("a signature could not be verified for a replica", "replica", peer.Caller(r).Name, "error", err)
		http.Error(rw, "the signature could not be verified", http.StatusServiceUnavailable)
	}
}
