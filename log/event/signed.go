package event

import (
	"encoding/binary"

	"github.com/writ-iam/writ/log/identity"
)

// signedHeadDomain begins what is signed, so that the signature means nothing in
// any other place where the same key signs. A change of what follows it needs
// another one.
const signedHeadDomain = "writ signed head v1\n"

// SignedHead is a writer's word, under its certificate, that its cluster's history
// had this head. Whoever keeps one can find out later whether the history still
// contains it; two of one position with different hashes prove that somebody
// showed two histories.
type SignedHead struct {
	Cluster     string          `json:"cluster"`
	Incarnation string          `json:"incarnation"`
	Position    Position        `json:"position"`
	Hash        Hash            `json:"hash"`   // of the batch at Position
	Digest      identity.Digest `json:"digest"` // of the state at Position
	// Time is the signer's clock, in milliseconds since 1970.
	Time identity.Time `json:"time_ms"`
	Node string        `json:"node"` // the writer that signed
	// Signature is ECDSA over the SHA-256 of Statement, in ASN.1.
	Signature []byte `json:"signature"`
	// Certificate is the signer's, of the cluster's authority, in DER.
	Certificate []byte `json:"certificate"`
}

// Head is the position and the hash that are signed.
func (h *SignedHead) Head() Head { return Head{Position: h.Position, Hash: h.Hash} }

// Statement is what is signed: the domain, and then each field in the order of the
// struct up to Node, with its length before it as four bytes; numbers are eight.
// All are big-endian.
func (h *SignedHead) Statement() []byte {
	var digest [16]byte
	binary.BigEndian.PutUint64(digest[:8], h.Digest[0])
	binary.BigEndian.PutUint64(digest[8:], h.Digest[1])
	b := []byte(signedHeadDomain)
	for _, field := range [][]byte{
		[]byte(h.Cluster), []byte(h.Incarnation), binary.BigEndian.AppendUint64(nil, uint64(h.Position)),
		h.Hash[:], digest[:], binary.BigEndian.AppendUint64(nil, uint64(h.Time)), []byte(h.Node),
	} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
		b = append(b, field...)
	}
	return b
}
