package iam

import (
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Bounds of a page of a list ("MaxItems" in the IAM API Reference).
const (
	defaultPage = 100
	// maxScan is how many records a page may cost to find. A list whose filter
	// passes over more than these answers with fewer items than asked for, and a
	// marker, as AWS's may.
	maxScan = 10_000
	// maxPage is about how many bytes the items of a page are written in before it ends:
	// it has one item at least, and may be longer by its last one. Those of a thousand
	// roles could be hundreds of megabytes.
	maxPage = 1 << 20
	// markupSize is about what the XML around a text takes.
	markupSize = 32
)

// page is a part of a list.
type page[T any] struct {
	items     []T     // never nil
	marker    *string // of the next page; nil on the last
	truncated bool
}

// walk yields the records of a list that come after the one with that key, which
// need not exist any more, or all for the empty key, until yield returns false.
// The order is always the same.
type walk[R any] func(after string, yield func(R) bool)

// paginate answers a list request. A marker names the key of the last record
// that was looked at, so records that come and go between two pages neither
// repeat nor hide others.
func paginate[R, T any](list string, marker *string, maxItems *int32, records walk[R], key func(R) string,
	pick func(R) (T, bool)) (page[T], error) {
	after, err := parseMarker(list, marker)
	if err != nil {
		return page[T]{}, err
	}
	limit := defaultPage
	if maxItems != nil {
		limit = int(*maxItems)
	}
	p := page[T]{items: []T{}}
	scanned, size, last := 0, 0, after
	records(after, func(r R) bool {
		if len(p.items) == limit || scanned == maxScan || size >= maxPage {
			p.truncated, p.marker = true, aws.String(newMarker(list, last))
			return false
		}
		scanned, last = scanned+1, key(r)
		if item, ok := pick(r); ok {
			p.items = append(p.items, item)
			size += textSize(reflect.ValueOf(item))
		}
		return true
	})
	return p, nil
}

// textSize is about how many bytes the texts of a part of an answer are written in.
// What an answer does not show, members that are not exported, has none.
func textSize(v reflect.Value) (size int) {
	switch v.Kind() {
	case reflect.String:
		return markupSize + escapedSize(v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			return textSize(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			size += textSize(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanInterface() {
				size += textSize(f)
			}
		}
	}
	return size
}

// escapedSize is at most how many bytes XML holds a text in.
func escapedSize(text string) int {
	const escape = len("&amp;") // the longest, as that of a carriage return
	size := len(text)
	for i := range len(text) {
		if c := text[i]; c == '&' || c == '<' || c == '>' || c < ' ' {
			size += escape - 1
		}
	}
	return size
}

// below walks what has a path that begins with a prefix, in order of name: by the index of
// paths where those are few enough, and else past all others, which the list leaves out. A
// marker is good for that prefix alone.
func below[R any](list string, prefix *string, all walk[R], indexed func(prefix, after string, yield func(R) bool) bool) (string, walk[R]) {
	p := aws.ToString(prefix)
	if len(p) <= 1 {
		return list, all
	}
	return prefixed(list, p), func(after string, yield func(R) bool) {
		if !indexed(p, after, yield) {
			all(after, yield)
		}
	}
}

// prefixed names the list of what is below a prefix. The prefix is hashed, so that markers
// of long ones are not too long.
func prefixed(list, prefix string) string {
	hash := sha256.Sum256([]byte(prefix))
	return list + " " + base64.RawURLEncoding.EncodeToString(hash[:16])
}

// under tells whether a path is in a list of what is below a prefix.
func under(prefix *string, path string) bool { return strings.HasPrefix(path, aws.ToString(prefix)) }

// all picks every record as it is.
func all[T any](r T) (T, bool) { return r, true }

// sorted walks a short list in order of key.
func sorted[R any](list []R, key func(R) string) walk[R] {
	type keyed struct {
		key string
		r   R
	}
	all := make([]keyed, len(list)) // each key is made once, however often it is compared
	for i, r := range list {
		all[i] = keyed{key(r), r}
	}
	slices.SortFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	return func(after string, yield func(R) bool) {
		for i := range all {
			if all[i].key > after && !yield(all[i].r) {
				return
			}
		}
	}
}

// maxMarker is how long a marker may be for the service model to take it again, and
// plainMarker begins those that have no room for an encoded key: no other has its letter.
const (
	maxMarker   = 320
	plainMarker = "!"
)

// newMarker is opaque to callers: the list that it belongs to and a key. A key that is too
// long to be encoded, as serial numbers can be, stands as it is.
func newMarker(list, key string) string {
	if m := base64.RawURLEncoding.EncodeToString([]byte(list + "\x00" + key)); len(m) <= maxMarker {
		return m
	}
	return plainMarker + list + plainMarker + key
}

// parseMarker returns the key that a marker of the list names; empty without a marker.
func parseMarker(list string, marker *string) (string, error) {
	if marker == nil {
		return "", nil
	}
	key, plain := strings.CutPrefix(*marker, plainMarker+list+plainMarker)
	if !plain {
		text, _ := base64.RawURLEncoding.DecodeString(*marker) // what is wrong with it does not come out the same again
		key = strings.TrimPrefix(string(text), list+"\x00")
	}
	if key == "" || newMarker(list, key) != *marker {
		return "", fail(codeValidationError, "Invalid Marker.")
	}
	return key, nil
}
