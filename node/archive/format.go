package archive

import (
	"errors"
	"fmt"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// An archive is the magic text and then parts: a header, a snapshot as package wire writes it,
// batches, a trailer, in this order, where the second and the third may be missing. A part is its
// number, its content in chunks, each behind its length in four bytes, an empty chunk, the length
// of the content in eight bytes and its SHA-256. All lengths are big-endian. Header and trailer are
// JSON. Batches are those of a history without gaps, each behind its length in four bytes.
const magic = "writ archive\n"

// Format is that of the archives that this build writes, and the only one that it reads.
const Format = 1

// The numbers of parts. A stored number is forever.
const (
	partHeader   byte = 1
	partSnapshot byte = 2
	partBatches  byte = 3
	partTrailer  byte = 4
)

// Limits of an archive's parts, in bytes.
const (
	maxChunk = 1 << 20
	maxText  = 64 << 10 // of header and trailer
)

// signedDomain begins what a writer signs of an archive; see event.SignedHead.
const signedDomain = "writ signed archive v1\n"

// Errors of archives.
var (
	// ErrDamaged is returned for an archive that is not what was written: cut short,
	// altered, or of parts that do not belong together.
	ErrDamaged = errors.New("the archive is damaged")
	// ErrFormat is returned for what is no archive, or one of a later release.
	ErrFormat = errors.New("no archive that this release reads")
	// ErrUnsigned is returned where a signature was asked for and there is none.
	ErrUnsigned = errors.New("no writer signed the archive")
)

// Header says what an archive holds.
type Header struct {
	Format      int    `json:"format"`
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	// Position, Hash and Digest are those of the history's end in the archive: of the
	// batch there, and of the state after it.
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	Digest   digest.Sum     `json:"digest"`
	// Changed is when the state changed last, Time when the archive was made; in
	// milliseconds since 1970, by the clocks of writers.
	Changed identity.Time `json:"changed_ms"`
	Time    identity.Time `json:"time_ms"`
	// Snapshot says that the state is there, whole. From is the position of the first
	// batch, and zero where there are none; the last is that of Position.
	Snapshot bool           `json:"snapshot"`
	From     event.Position `json:"from"`
	// Signed is a writer's word for the head; nil where an archive was made without one.
	Signed *event.SignedHead `json:"signed_head,omitempty"`
}

// Head is the end of the history in the archive.
func (h *Header) Head() event.Head { return event.Head{Position: h.Position, Hash: h.Hash} }

// check says what is wrong with a header by itself.
func (h *Header) check() error {
	s := h.Signed
	switch {
	case h.Format != Format:
		return fmt.Errorf("%w: its format is %d", ErrFormat, h.Format)
	case h.Cluster == "" || h.Incarnation == "" || h.Position == 0 || h.From > h.Position:
		return damaged("its header says cluster %q, incarnation %q, positions %d to %d", h.Cluster, h.Incarnation, h.From, h.Position)
	case !h.Snapshot && h.From == 0:
		return damaged("it holds nothing")
	case s != nil && (s.Cluster != h.Cluster || s.Incarnation != h.Incarnation || s.Position != h.Position || s.Hash != h.Hash || s.Digest != h.Digest):
		return damaged("the signed head in it is not that of its header")
	}
	return nil
}

// trailer ends an archive.
type trailer struct {
	// SHA256 is that of everything before the trailer's part.
	SHA256 []byte `json:"sha256"`
	// Signature is that of the signer of Header.Signed, ECDSA in ASN.1 over the SHA-256 of
	// "writ signed archive v1\n" and SHA256; empty where the header has none.
	Signature []byte `json:"signature,omitempty"`
}

func (t *trailer) statement() []byte { return append([]byte(signedDomain), t.SHA256...) }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}
