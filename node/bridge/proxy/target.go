package proxy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a request says.
const (
	// MaxTarget is how long a request's path and query are at most, in bytes.
	MaxTarget = 8 << 10
	// MaxSegments is how many parts a path has at most, and MaxParameters a query that is read.
	MaxSegments, MaxParameters = 128, 64
	// maxValue is how long a value is that a template takes, in bytes.
	maxValue = 1024
	maxHost  = 253
)

// errTarget is wrapped by errors that say why a path is refused.
var errTarget = errors.New("the path is refused")

// Target is the path of a request, decoded, and its query as it came.
type Target struct {
	// Segments are the parts between the slashes; none of them is empty, "." or "..".
	Segments []string
	// Slash tells that the path ends in one after its last segment.
	Slash bool
	// Query is what stands behind the ?, and HasQuery tells that there is one.
	Query    string
	HasQuery bool
}

// ParseTarget reads the path and query of a request line. It refuses what two programs could read
// as different paths: empty parts, "." and "..", a backslash, a path parameter (;), a + or another
// character outside of RFC 3986, and of percent-encoded characters those that need not be
// (letters, digits, -._~) and those that must not be in a part: /, \, ;, %, controls, and what is
// not UTF-8. Upper and lower case of the path, and the forms of Unicode, are told apart.
func ParseTarget(raw string) (t Target, err error) {
	refuse := func(why string) (Target, error) { return Target{}, fmt.Errorf("%w: %s", errTarget, why) }
	if len(raw) > MaxTarget {
		return refuse("it is too long")
	}
	path, query, has := strings.Cut(raw, "?")
	if !strings.HasPrefix(path, "/") {
		return refuse("it does not begin with a slash")
	}
	if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
		return refuse("its query has a character that must be percent-encoded")
	}
	t.Query, t.HasQuery = query, has
	if path == "/" {
		return t, nil
	}
	if path, t.Slash = strings.CutSuffix(path[1:], "/"); strings.Count(path, "/") >= MaxSegments {
		return refuse("it has too many parts")
	}
	t.Segments = make([]string, 0, strings.Count(path, "/")+1)
	for part := range strings.SplitSeq(path, "/") {
		decoded, why := decode(part)
		switch {
		case why != "":
			return refuse(why)
		case decoded == "":
			return refuse("it has an empty part")
		case decoded == ".", decoded == "..":
			return refuse("it has a part of dots")
		}
		t.Segments = append(t.Segments, decoded)
	}
	return t, nil
}

// decode decodes one part of a path, or says why not.
func decode(part string) (text, why string) {
	if plain(part) {
		return part, ""
	}
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		c := part[i]
		if c != '%' {
			if !inPath(c) {
				return "", "it has a character that must be percent-encoded or may not be there"
			}
			b.WriteByte(c)
			continue
		}
		if i+2 >= len(part) {
			return "", "it has a % without two digits"
		}
		high, low := digit(part[i+1]), digit(part[i+2])
		if high < 0 || low < 0 {
			return "", "it has a % without two digits"
		}
		c = byte(high<<4 | low)
		switch {
		case c == '/', c == '\\', c == ';', c == '%', c < ' ', c == 0x7f:
			return "", "it has an encoded character that may not be in a part of it"
		case unreserved(c):
			return "", "it has an encoded character that needs no encoding"
		}
		b.WriteByte(c)
		i += 2
	}
	text = b.String()
	if !utf8.ValidString(text) {
		return "", "it is not UTF-8"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
		return "", "it has an encoded character that may not be in a part of it"
	}
	return text, ""
}

// plain tells a part that is as it is decoded: most are.
func plain(part string) bool {
	for i := range len(part) {
		if part[i] == '%' || !inPath(part[i]) {
			return false
		}
	}
	return true
}

// inPath are the characters of a path (RFC 3986, pchar) but for ; and +, which some read as more
// than themselves.
func inPath(c byte) bool {
	return unreserved(c) || strings.IndexByte("!$&'()*,=:@", c) >= 0
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parameters reads a query whose parameters a rule names: each once, and none that two programs
// could read differently. It returns nil where it is not such a query.
func parameters(query string) map[string]string {
	list := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, ok := parameter(name)
		value, good := parameter(value)
		if _, twice := list[name]; !ok || !good || twice || name == "" || len(list) == MaxParameters {
			return nil
		}
		list[name] = value
	}
	return list
}

// parameter decodes a part of a query, which may have what a path may have, any of it encoded, and
// slashes; + is refused, as are ; and controls.
func parameter(part string) (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case c == '%':
			if i+2 >= len(part) || digit(part[i+1]) < 0 || digit(part[i+2]) < 0 {
				return "", false
			}
			c = byte(digit(part[i+1])<<4 | digit(part[i+2]))
			i += 2
		case c == '/', c == '?':
		case !inPath(c):
			return "", false
		}
		b.WriteByte(c)
	}
	text = b.String()
	return text, utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// hostOf is a host name in lower case and without its port; "" for what is none.
func hostOf(authority string) string {
	host := authority
	if name, port, has := strings.Cut(authority, ":"); has {
		host = name
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return ""
		}
	}
	host = strings.ToLower(host)
	if !isHost(host) {
		return ""
	}
	return host
}

// isHost tells a name, or an address of IPv4, in its simplest form.
func isHost(host string) bool {
	if host == "" || len(host) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
