package saml

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxPacked is the longest document that the log takes, packed, in bytes. It leaves room
// in a command for what else comes with the document.
const MaxPacked = 192 << 10

// ErrTooLarge is returned for a document that is longer than MaxPacked when it is packed.
var ErrTooLarge = errors.New("the document is too large")

// packer takes MaxPacked bytes and no more, so that packing ends where it is in vain.
type packer struct{ bytes.Buffer }

// Write is that of a buffer until it is full. The error is ErrTooLarge.
func (p *packer) Write(b []byte) (int, error) {
	if p.Len()+len(b) > MaxPacked {
		return 0, fmt.Errorf("%w: more than %d bytes when packed", ErrTooLarge, MaxPacked)
	}
	return p.Buffer.Write(b)
}

// Pack compresses a document for the log. The error is ErrTooLarge.
func Pack(document string) ([]byte, error) {
	var b packer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil { // only for other levels
		panic(fmt.Sprintf("compress: %v", err))
	}
	if _, err := io.WriteString(w, document); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Unpack is the document that Pack packed. It fails for other bytes, and for what is
// longer than any document.
func Unpack(packed []byte) (string, error) {
	const longest = MaxDocument * 4 // bytes of a character
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(flate.NewReader(bytes.NewReader(packed)), longest+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("unpack document: %w", err)
	case n > longest:
		return "", fmt.Errorf("unpack document: %w", ErrTooLarge)
	}
	return b.String(), nil
}
