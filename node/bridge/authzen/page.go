package authzen

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/fault"
)

// Kinds of searches, as tokens have them.
const (
	ofSubjects  byte = 's'
	ofResources byte = 'r'
	ofActions   byte = 'a'
)

// page is which of the results a search is asked for.
type page struct {
	kind  byte
	asked bool // the request has a page
	limit int  // how many results, at most
	after string
	about [aboutSize]byte // what the search is about
}

// Sizes of a token.
const (
	tokenVersion = 1
	aboutSize    = 16
	maxToken     = 4096 // as text
)

const pageHint = "Send the `next_token` of the page before as page.token, with the request that asked for it."

// pageOf reads which page a search of a kind is asked for. A token is of one request: its subject,
// action, resource and context, and its limit where that is given again, are those of the request
// before.
func pageOf(request *value, kind byte) (p page, err error) {
	p = page{kind: kind, limit: maxResults, about: about(request, kind)}
	v := request.get(inPage)
	if v.kind == absent {
		return p, nil
	}
	if v.kind != object {
		return p, wrong(inPage, "is not an object")
	}
	p.asked = true
	limit, token := v.get(inLimit), ""
	if limit.kind != absent {
		n, err := strconv.ParseUint(limit.text, 10, 63)
		if limit.kind != number || err != nil {
			return p, wrong(inPage+"."+inLimit, "is not a whole number, 0 or more")
		}
		p.limit = int(min(n, maxResults))
	}
	if err := word(v, inPage, inToken, &token); err != nil || token == "" {
		return p, err
	}
	before, err := parseToken(token)
	switch {
	case err != nil:
		return p, err
	case before.kind != kind || before.about != p.about:
		return p, fault.BadRequest(pageHint, "The token is of another search.")
	case limit.kind != absent && before.limit != p.limit:
		return p, fault.BadRequest(pageHint, "The token is of a search with another limit.")
	}
	p.limit, p.after = before.limit, before.after
	return p, nil
}

// about is the hash of what a search is about.
func about(request *value, kind byte) (sum [aboutSize]byte) {
	b := []byte{kind}
	for _, name := range [...]string{inSubject, inAction, inResource, inContext} {
		b = request.get(name).append(append(b, '\n'))
	}
	whole := sha256.Sum256(b)
	copy(sum[:], whole[:])
	return sum
}

// token is the page as a text that says where the next begins. Nobody needs to keep callers from
// making their own: every result is decided anew.
func (p *page) token() string {
	b := append(make([]byte, 0, 2+aboutSize+binary.MaxVarintLen64+len(p.after)), tokenVersion, p.kind)
	b = append(b, p.about[:]...)
	b = binary.AppendUvarint(b, uint64(p.limit))
	return base64.RawURLEncoding.EncodeToString(append(b, p.after...))
}

// parseToken reads a token.
func parseToken(token string) (p page, err error) {
	bad := fault.BadRequest(pageHint, "The token is none that a page had.")
	if len(token) > maxToken {
		return p, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 2+aboutSize || b[0] != tokenVersion {
		return p, bad
	}
	p.kind = b[1]
	copy(p.about[:], b[2:])
	limit, n := binary.Uvarint(b[2+aboutSize:])
	if n <= 0 || limit > maxResults {
		return p, bad
	}
	p.limit, p.after = int(limit), string(b[2+aboutSize+n:])
	if !utf8.ValidString(p.after) {
		return p, bad
	}
	return p, nil
}

// answer writes what an answer says of its page. more tells that another follows.
func (p *page) answer(b []byte, n int, more bool) []byte {
	b = append(b, `"page":{"next_token":"`...)
	if more {
		b = append(b, p.token()...)
	}
	b = append(b, `","count":`...)
	return append(strconv.AppendInt(b, int64(n), 10), '}')
}
