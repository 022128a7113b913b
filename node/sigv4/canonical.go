package sigv4

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// canonicalInput is what the canonical request is made from. A server takes it
// from what it received, a client from what it is about to send.
type canonicalInput struct {
	method        string
	path          string // as on the wire
	query         string // as on the wire
	host          string
	header        http.Header
	contentLength int64 // -1 unknown
	signedHeaders string
	bodyHash      [32]byte
	presigned     bool   // X-Amz-Signature is in the query and not part of it
	queryAsSent   bool   // the query is taken for canonical
	pathAsSent    bool   // the path is, in StyleS3
	content       string // of StyleS3: it stands for the hash of the body; else empty
}

// appendCanonicalRequest appends the canonical request of AWS's "Create a signed
// AWS API request".
func appendCanonicalRequest(b []byte, in canonicalInput) []byte {
	b = append(b, in.method...)
	b = append(b, '\n')
	switch {
	case in.pathAsSent:
		b = append(b, in.path...)
	case in.content != "":
		b = appendPathOnce(b, in.path)
	default:
		b = appendCanonicalPath(b, in.path)
	}
	b = append(b, '\n')
	if in.queryAsSent {
		b = append(b, in.query...)
	} else {
		b = appendCanonicalQuery(b, in.query, in.presigned)
	}
	b = append(b, '\n')
	for names := in.signedHeaders; names != ""; {
		var name string
		name, names, _ = strings.Cut(names, ";")
		b = append(b, name...)
		b = append(b, ':')
		b = in.appendHeaderValue(b, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, in.signedHeaders...)
	b = append(b, '\n')
	if in.content != "" {
		return append(b, in.content...)
	}
	return hex.AppendEncode(b, in.bodyHash[:])
}

// asSent takes the query for canonical, or in StyleS3 the path if it is not, and tells whether
// that is another form.
func (in *canonicalInput) asSent() bool {
	if in.content != "" && in.path != string(appendPathOnce(nil, in.path)) {
		in.pathAsSent = true
		return true
	}
	in.queryAsSent = in.query != "" && !in.presigned && in.query != string(appendCanonicalQuery(nil, in.query, false))
	return in.queryAsSent
}

// wirePath returns the path of a received request as it was sent. net/url keeps
// it in RawPath where it is not the default encoding of Path.
func wirePath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.EscapedPath()
}

// appendCanonicalPath appends the path without empty and dot segments and with
// every byte encoded that is not unreserved, "%" among them: all services but S3
// sign the path encoded twice.
func appendCanonicalPath(b []byte, path string) []byte {
	start := len(b)
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			if i := bytes.LastIndexByte(b[start:], '/'); i >= 0 {
				b = b[:start+i]
			}
		default:
			b = append(b, '/')
			b = appendEncoded(b, segment)
		}
	}
	if len(b) == start || strings.HasSuffix(path, "/") {
		b = append(b, '/')
	}
	return b
}

// appendCanonicalQuery appends the pairs of a query, decoded, encoded again by
// RFC 3986 and sorted by name and value.
func appendCanonicalQuery(b []byte, query string, presigned bool) []byte {
	if query == "" {
		return b
	}
	type pair struct{ name, value []byte }
	var space [32]pair
	pairs := space[:0]
	scratch := make([]byte, 0, 3*len(query)) // so that it never moves
	for query != "" {
		var text string
		text, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(text, "=")
		if text == "" || presigned && parameterName(text) == querySignature {
			continue
		}
		from := len(scratch)
		scratch = appendRecoded(scratch, name)
		mid := len(scratch)
		scratch = appendRecoded(scratch, value)
		pairs = append(pairs, pair{scratch[from:mid], scratch[mid:]})
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if c := bytes.Compare(x.name, y.name); c != 0 {
			return c
		}
		return bytes.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// appendRecoded appends a piece of a query decoded and encoded again.
func appendRecoded(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c, n := decodedByte(s[i:])
		b = appendEncodedByte(b, c)
		i += n
	}
	return b
}

// decodeParameter is a piece of a query decoded.
func decodeParameter(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, n := decodedByte(s[i:])
		b = append(b, c)
		i += n
	}
	return string(b)
}

// decodedByte is the first byte of a piece of a query, and how much of it that took. A
// "%" that begins no escape stands for itself.
func decodedByte(s string) (c byte, n int) {
	switch {
	case s[0] == '+':
		return ' ', 1
	case s[0] == '%' && len(s) > 2:
		if high, low := unhex(s[1]), unhex(s[2]); high < 16 && low < 16 {
			return high<<4 | low, 3
		}
	}
	return s[0], 1
}

func appendEncoded(b []byte, s string) []byte {
	for i := range len(s) {
		b = appendEncodedByte(b, s[i])
	}
	return b
}

func appendEncodedByte(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	if unreserved(c) {
		return append(b, c)
	}
	return append(b, '%', digits[c>>4], digits[c&15])
}

// unreserved are the bytes that RFC 3986, section 2.3, leaves as they are.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// unhex returns the value of a hexadecimal digit, 16 for another byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// appendHeaderValue appends the value under which a header is signed: blanks
// trimmed and runs of them made one, several values joined by commas. net/http
// keeps Host and Content-Length out of the header map.
func (in *canonicalInput) appendHeaderValue(b []byte, name string) []byte {
	switch name {
	case "host", ":authority":
		return appendTrimmed(b, in.host)
	case "content-length":
		if in.contentLength >= 0 {
			b = strconv.AppendInt(b, in.contentLength, 10)
		}
		return b
	}
	for i, value := range lookup(in.header, name) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, value)
	}
	return b
}

func appendTrimmed(b []byte, value string) []byte {
	value = strings.TrimSpace(value)
	if !strings.Contains(value, "  ") {
		return append(b, value...)
	}
	for i := range len(value) {
		if value[i] == ' ' && value[i-1] == ' ' { // i > 0: the first byte is no blank
			continue
		}
		b = append(b, value[i])
	}
	return b
}

// lookup is Header.Values for a lower-case name, without making the canonical
// name a string.
func lookup(header http.Header, name string) []string {
	var space [64]byte
	key := append(space[:0], name...)
	upper := true
	for i, c := range key {
		if upper && 'a' <= c && c <= 'z' {
			key[i] = c - 'a' + 'A'
		}
		upper = c == '-'
	}
	return header[string(key)]
}

// containsHeader reports whether a list like SignedHeaders has a name.
func containsHeader(list, name string) bool {
	for list != "" {
		var have string
		if have, list, _ = strings.Cut(list, ";"); have == name {
			return true
		}
	}
	return false
}
