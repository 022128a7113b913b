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

// Pack compresses a document for the log. The error is ErrTooLarge.
func Pack(document string) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil { // only for other levels
		panic(fmt.Sprintf("compress: %v", err))
	}
	// A buffer takes everything.
	_, _ = io.WriteString(w, document)
	_ = w.Close()
	if b.Len() > MaxPacked {
		return nil, fmt.Errorf("%w: %d bytes when packed, at most %d", ErrTooLarge, b.Len(), MaxPacked)
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
