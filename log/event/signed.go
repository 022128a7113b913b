package event

import (
	"encoding/binary"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/identity"
)

// Each domain begins what is signed of one kind, so that the signature means nothing
// in any other place where the same key signs. A change of what follows it needs
// another one.
const (
	signedHeadDomain  = "writ signed head v1\n"
	signedBatchDomain = "writ signed batch v1\n"
)

// SignedHead is a writer's word, under its certificate, that its cluster's history
// had this head. Whoever keeps one can find out later whether the history still
// contains it; two of one position with different hashes prove that somebody
// showed two histories.
type SignedHead struct {
	Cluster     string     `json:"cluster"`
	Incarnation string     `json:"incarnation"`
	Position    Position   `json:"position"`
	Hash        Hash       `json:"hash"`   // of the batch at Position
	Digest      digest.Sum `json:"digest"` // of the state at Position
	// Time is the signer's clock, in milliseconds since 1970.
	Time identity.Time `json:"time_ms"`
	Node string        `json:"node"` // the writer that signed
	// Signature is ECDSA, ASN.1, over the SHA-256 of "writ signed head v1\n" and the
	// fields before this one in order, each with its length before it as four bytes,
	// big-endian; position and time are eight bytes, hash and digest their bytes.
	Signature []byte `json:"signature"`
	// Certificate is the signer's, of the cluster's authority, DER.
	Certificate []byte `json:"certificate"`
}

// Statement is what is signed: the domain, and then each field in the order of the
// struct up to Node, with its length before it as four bytes; numbers are eight.
// All are big-endian.
func (h *SignedHead) Statement() []byte {
	var digest [16]byte
	binary.BigEndian.PutUint64(digest[:8], h.Digest[0])
	binary.BigEndian.PutUint64(digest[8:], h.Digest[1])
	return statement(signedHeadDomain, []byte(h.Cluster), []byte(h.Incarnation), binary.BigEndian.AppendUint64(nil, uint64(h.Position)),
		h.Hash[:], digest[:], binary.BigEndian.AppendUint64(nil, uint64(h.Time)), []byte(h.Node))
}

// SignedBatch is a writer's word, under its certificate, that its cluster committed
// the batch of this hash at this position: and with it, as batches are chained by
// hash, all before it. It travels beside batches, to replicas who have nothing else
// that says who sent them. Unlike a SignedHead it says nothing of when, and proves
// no leadership: what was committed stays so.
type SignedBatch struct {
	Cluster     string
	Incarnation string
	Head
	// Signature is ECDSA over the SHA-256 of Statement, in ASN.1.
	Signature []byte
	// Certificate is the signer's, of the cluster's authority, in DER.
	Certificate []byte
}

// Statement is what is signed: the domain, and then each field in the order of the
// struct up to the hash, as in the statement of a SignedHead.
func (b *SignedBatch) Statement() []byte {
	return statement(signedBatchDomain, []byte(b.Cluster), []byte(b.Incarnation), binary.BigEndian.AppendUint64(nil, uint64(b.Position)), b.Hash[:])
}

// statement is a domain and then fields, each with its length before it.
func statement(domain string, fields ...[]byte) []byte {
	b := []byte(domain)
	for _, field := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
		b = append(b, field...)
	}
	return b
}
