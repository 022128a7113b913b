package signed

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // one of the checksums that clients send
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of a body in chunks.
const (
	// MaxSignedChunk is how long a signed chunk may be, in bytes: it is kept until its signature is
	// verified. Clients send 64 KiB to 1 MiB.
	MaxSignedChunk = 4 << 20
	// maxLine bounds the line before a chunk, and a trailer, in bytes; maxTrailers how many there are.
	maxLine     = 1 << 10
	maxTrailers = 8
)

// Errors of reading a body. A handler that reads one must do nothing with what it has read.
var (
	// ErrIncomplete is returned where a body is not as long as was said.
	ErrIncomplete = sigv4.Refusal("IncompleteBody", http.StatusBadRequest, "The request body terminated unexpectedly, or is longer than was said.")
	// ErrMalformed is returned where a body is not in chunks as was said.
	ErrMalformed = sigv4.Refusal("InvalidRequest", http.StatusBadRequest, "The body is not aws-chunked as the request says.")
	// ErrChecksum is returned where a trailer has another checksum than the body.
	ErrChecksum = sigv4.Refusal("BadDigest", http.StatusBadRequest, "The checksum in the trailer does not match the body.")
	// ErrChunkTooLarge is returned for a signed chunk longer than MaxSignedChunk.
	ErrChunkTooLarge = sigv4.Refusal("EntityTooLarge", http.StatusBadRequest, "A signed chunk of the body is too long.")
)

// chain is the chain of signatures of a body's chunks.
type chain struct {
	key  sigv4.SigningKey
	head string // timestamp and scope, as they are signed
	last string // the signature before
}

func newChain(sig *sigv4.Signature, key sigv4.SigningKey) *chain {
	s := sig.Scope
	return &chain{key, sig.Timestamp() + "\n" + s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request\n", sig.Text()}
}

// next verifies the next signature (Amazon S3 API Reference, "Transferring Payload in Multiple
// Chunks").
func (c *chain) next(algorithm, between string, data []byte, signature string) error {
	sum := sha256.Sum256(data)
	want := c.key.MAC([]byte(algorithm + "\n" + c.head + c.last + "\n" + between + hex.EncodeToString(sum[:])))
	c.last = hex.EncodeToString(want[:])
	if subtle.ConstantTimeCompare([]byte(c.last), []byte(signature)) != 1 {
		return sigv4.ErrSignatureDoesNotMatch.In(sigv4.StyleS3, false, false)
	}
	return nil
}

// chunked reads a body in chunks, verified where they are signed.
type chunked struct {
	from     *bufio.Reader
	chain    *chain // nil: the chunks are not signed
	trailers bool
	want     map[string]bool // names of trailers that the request announced, in lower case
	left     int64           // of the whole body
	chunk    int64           // left of the chunk, that is not signed
	buffer   []byte          // of a chunk that was verified
	sums     map[string]hash.Hash
	trailer  http.Header // what came, once all has
	err      error
}

// sumOf are the checksums that trailers have.
func sumOf(name string) hash.Hash {
	switch name {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "x-amz-checksum-sha1":
		return sha1.New() //nolint:gosec // as above
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

// newChunked reads a body of a length behind its chunks. announced is the request's X-Amz-Trailer;
// trailer is filled when all was read.
func newChunked(body io.Reader, c *chain, trailers bool, announced []string, length int64, trailer http.Header) (*chunked, error) {
	r := &chunked{from: bufio.NewReaderSize(body, maxLine), chain: c, trailers: trailers, left: length, trailer: trailer, sums: map[string]hash.Hash{}, want: map[string]bool{}}
	for _, list := range announced {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if len(r.want) == maxTrailers || name == "" {
				return nil, ErrMalformed
			}
			r.want[name] = true
			if sum := sumOf(name); sum != nil {
				r.sums[name] = sum
			}
		}
	}
	if trailers != (len(r.want) > 0) {
		return nil, ErrMalformed
	}
	return r, nil
}

// Read gives what is behind the chunks. io.EOF comes after everything was verified.
func (r *chunked) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.err == nil && r.chunk == 0 && len(r.buffer) == 0 {
		r.err = r.next()
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(r.buffer) > 0 {
		n = copy(p, r.buffer)
		r.buffer = r.buffer[n:]
	} else {
		n, err = r.from.Read(p[:min(int64(len(p)), r.chunk)])
		r.chunk -= int64(n)
		if err == nil && r.chunk == 0 {
			err = r.lineEnd()
		}
		if errors.Is(err, io.EOF) {
			err = ErrIncomplete
		}
		if err != nil {
			r.err = err
			return 0, err
		}
	}
	for _, sum := range r.sums {
		sum.Write(p[:n])
	}
	return n, nil
}

// next reads the line of the next chunk, and one that is signed whole.
func (r *chunked) next() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	size, signature, signed := strings.Cut(line, ";chunk-signature=")
	length, err := strconv.ParseUint(size, 16, 63)
	if err != nil || size == "" || signed != (r.chain != nil) {
		return ErrMalformed
	}
	n := int64(length)
	switch {
	case n > r.left, n == 0 && r.left > 0:
		return ErrIncomplete
	case n == 0:
		return r.end(signature)
	}
	r.left -= n
	if r.chain == nil {
		r.chunk = n
		return nil
	}
	if n > MaxSignedChunk {
		return ErrChunkTooLarge
	}
	var data bytes.Buffer // it grows as the chunk comes, whatever was said
	if _, err := io.CopyN(&data, r.from, n); err != nil {
		return incomplete(err)
	}
	if err := r.lineEnd(); err != nil {
		return err
	}
	if err := r.chain.next("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n", data.Bytes(), signature); err != nil {
		return err
	}
	r.buffer = data.Bytes()
	return nil
}

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// end reads what follows the last chunk.
func (r *chunked) end(signature string) error {
	if r.chain != nil {
		if err := r.chain.next("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n", nil, signature); err != nil {
			return err
		}
	}
	if err := r.readTrailers(); err != nil {
		return err
	}
	if _, err := r.from.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return incomplete(err)
		}
		return ErrIncomplete
	}
	for name, sum := range r.sums {
		if said := r.trailer.Get(name); said != base64.StdEncoding.EncodeToString(sum.Sum(nil)) {
			return ErrChecksum
		}
	}
	return io.EOF
}

// readTrailers reads trailers, each announced, up to an empty line; the last is their signature.
func (r *chunked) readTrailers() error {
	var signed strings.Builder
	var signature string
	for came := 0; ; came++ {
		line, err := r.line()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || came > maxTrailers || signature != "":
			return ErrMalformed
		case name == "x-amz-trailer-signature" && r.chain != nil && value != "":
			signature = value
			continue
		case !r.want[name]:
			return ErrMalformed
		}
		r.want[name] = false // once
		r.trailer.Set(name, value)
		signed.WriteString(name + ":" + value + "\n")
	}
	for _, missing := range r.want {
		if missing {
			return ErrMalformed
		}
	}
	if r.chain != nil && r.trailers {
		return r.chain.next("AWS4-HMAC-SHA256-TRAILER", "", []byte(signed.String()), signature)
	}
	return nil
}

// line reads a line without its end.
func (r *chunked) line() (string, error) {
	line, err := r.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", ErrMalformed
	}
	if err != nil {
		return "", incomplete(err)
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", ErrMalformed
	}
	return text, nil
}

// lineEnd reads the end of a chunk.
func (r *chunked) lineEnd() error {
	line, err := r.line()
	if err == nil && line != "" {
		err = ErrMalformed
	}
	return err
}

// incomplete is what an error of reading means for the body.
func incomplete(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncomplete
	}
	return fmt.Errorf("read the body: %w", err)
}

// hashed reads a body that must have a SHA-256.
type hashed struct {
	from io.Reader
	sum  hash.Hash
	want [sha256.Size]byte
}

// Read gives io.EOF only if the body is what was signed.
func (r *hashed) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && !bytes.Equal(r.sum.Sum(nil), r.want[:]) {
		return n, sigv4.ErrContentMismatch
	}
	return n, err
}
