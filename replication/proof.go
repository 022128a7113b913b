package replication

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
)

// Who may put a message on the stream is for NATS to say, and NATS is believed in
// nothing. So a writer signs, and a follower shows nothing that no signature covers.
// Batches are chained by hash: one signature, on the last message of a burst,
// proves all before it that fit. A feed of the stream keeps what fits and is not
// proved yet; when no proof comes soon, or too much is waiting, or something does
// not fit, the feed ends, and a writer is asked over HTTP, where mutual TLS proves
// what it sends. The stream is then left alone for a while, that doubles from one
// such disappointment to the next: a flood of forgeries is no flood of requests.

// The headers of a message that ends a burst, both in base64. A message may come
// without them, or with others: its body alone is the batch.
const (
	headerSignature = "Writ-Signature" // of an event.SignedBatch
	headerSigner    = "Writ-Signer"    // the certificate of the writer that signed, in DER
)

// Limits of proving what came over the stream.
const (
	// maxBurst and maxBurstBytes bound what a publisher covers by one signature.
	maxBurst      = 64
	maxBurstBytes = 1 << 20
	// maxHeld and maxHeldBytes bound what a follower keeps unproved: more bursts
	// than can be on their way at once from a publisher that signs.
	maxHeld      = 16 * maxBurst
	maxHeldBytes = 8 << 20
	// proofWait is how long the first batch that is held waits for its proof.
	proofWait = 500 * time.Millisecond
	// maxRepeats is how many batches that are known already a feed may bring.
	maxRepeats = 1 << 14
	// maxReceived bounds the bytes of messages that were received and not yet looked at.
	maxReceived = 16 << 20
	// maxSignature and maxCertificate bound the headers' contents, in bytes.
	maxSignature   = 128
	maxCertificate = 4 << 10
	// maxHeader is room for all headers that a publisher adds to a batch.
	maxHeader = 8 << 10
)

// ErrUnproved is returned, wrapped, for a batch from the stream that fits and that
// no writer has vouched for.
var ErrUnproved = errors.New("no writer's signature proves it")

// signature is what a message's headers say of who signed its batch.
type signature struct{ value, signer string }

// signatureOf returns what the headers say, which is nothing where they are too long.
func signatureOf(h nats.Header) signature {
	s := signature{h.Get(headerSignature), h.Get(headerSigner)}
	if base64.StdEncoding.DecodedLen(len(s.value)) > maxSignature || base64.StdEncoding.DecodedLen(len(s.signer)) > maxCertificate {
		return signature{}
	}
	return s
}

// signed is the batch with the signature, for whoever can check it.
func (s signature) signed(b *event.Batch) (*event.SignedBatch, error) {
	value, err := base64.StdEncoding.DecodeString(s.value)
	if err != nil {
		return nil, fmt.Errorf("read the signature: %w", err)
	}
	signer, err := base64.StdEncoding.DecodeString(s.signer)
	if err != nil {
		return nil, fmt.Errorf("read the signer's certificate: %w", err)
	}
	return &event.SignedBatch{Cluster: b.Cluster, Incarnation: b.Incarnation, Head: b.Head(), Signature: value, Certificate: signer}, nil
}

// sign returns the headers of a message that ends a burst.
func (p *Publisher) sign(encoded []byte) (nats.Header, error) {
	head, _, err := wire.PeekBatch(encoded)
	if err != nil {
		return nil, fmt.Errorf("sign a batch: %w", err)
	}
	c := p.cfg.Log.Cluster()
	b := &event.SignedBatch{Cluster: c.ID, Incarnation: c.Incarnation, Head: head}
	if err := p.cfg.Signer.Sign(b); err != nil {
		return nil, fmt.Errorf("sign batch %d: %w", head.Position, err)
	}
	if len(b.Signature) > maxSignature || len(b.Certificate) > maxCertificate {
		return nil, fmt.Errorf("sign batch %d: a signature of %d bytes, a certificate of %d; at most %d and %d",
			head.Position, len(b.Signature), len(b.Certificate), maxSignature, maxCertificate)
	}
	return nats.Header{
		headerSignature: {base64.StdEncoding.EncodeToString(b.Signature)},
		headerSigner:    {base64.StdEncoding.EncodeToString(b.Certificate)},
	}, nil
}

// holding is what a feed of the stream brought that is not proved yet. It belongs
// to whoever applies.
type holding struct {
	batches []*event.Batch // they follow one another, and what was applied
	size    int            // of their bytes, at most
	last    *event.Batch   // the newest of them that carries a signature; nil for none
	by      signature      // on last
	repeats int            // batches that were known already
	timer   *time.Timer    // ends the feed; nil before the first was held
}

// prove returns the batches that a feed has proved: those of a tail at once, those
// of the stream up to the newest that a writer signed. The rest is held. While more
// waits to be applied it checks no signature but one in maxBurst batches, because one
// that comes later proves the same.
func (f *Follower) prove(c *chunk, run []*event.Batch) (proved []*event.Batch, refused error) {
	if c.feed.stream == "" {
		return run, nil
	}
	h := &c.feed.holding
	if h.repeats += len(c.batches) - len(run); h.repeats > maxRepeats {
		return nil, fmt.Errorf("%w: more than %d batches are known already", ErrRefused, maxRepeats)
	}
	if len(run) > 0 {
		h.batches, h.size = append(h.batches, run...), h.size+c.size
		c.newest(run, h)
	}
	if h.last != nil && (len(f.intake) == 0 || len(h.batches) >= maxBurst) {
		if err := f.vouched(h.last, h.by); err != nil {
			return nil, fmt.Errorf("%w: batch %d: %w", ErrUnproved, h.last.Position, err)
		}
		n := int(h.last.Position-h.batches[0].Position) + 1
		proved, h.batches, h.size, h.last = h.batches[:n:n], h.batches[n:], c.size, nil
		h.stop()
	}
	if n := len(h.batches); n > maxHeld || n > 0 && h.size > maxHeldBytes {
		return proved, fmt.Errorf("%w: batches %d to %d", ErrUnproved, h.batches[0].Position, h.batches[n-1].Position)
	}
	h.await(f, c.feed)
	return proved, nil
}

// vouched says whether a writer's signature is on a batch.
func (f *Follower) vouched(b *event.Batch, by signature) error {
	if f.cfg.Voucher == nil {
		return errors.New("nobody can tell here who is a writer")
	}
	signed, err := by.signed(b)
	if err != nil {
		return err
	}
	return f.cfg.Voucher.Vouched(signed)
}

// newest notes the last batch of a run that carries a signature.
func (c *chunk) newest(run []*event.Batch, h *holding) {
	for i := len(c.batches) - 1; i >= 0; i-- {
		b := c.batches[i]
		if at := b.Position - run[0].Position; c.signatures[i].value != "" && at < event.Position(len(run)) && run[at] == b {
			h.last, h.by = b, c.signatures[i]
			return
		}
	}
}

// await has the feed end unless a proof comes within proofWait from when the first of
// what is held came. A proof that is late is counted apart from what is refused: the
// batches may belong, and a busy machine be slow to look at the signature.
func (h *holding) await(f *Follower, from *feed) {
	switch {
	case len(h.batches) == 0:
		h.stop()
	case h.timer == nil:
		first := h.batches[0].Position
		h.timer = time.AfterFunc(proofWait, func() {
			why := fmt.Errorf("%w within %v: batch %d", ErrUnproved, proofWait, first)
			f.giveUp(from, why, func(s *Status) { s.Unproved++ })
		})
	}
}

// stop ends the wait for a proof.
func (h *holding) stop() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
