package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/fault"
)

// maxDepth is how deep a document's objects and lists are in one another.
const maxDepth = 64

// Document is a JSON object of a request. Its members are found by their names to the letter. What
// is asked for and is of another kind, is told by Err of the whole document; null is not there.
type Document struct {
	path    string
	members map[string]json.RawMessage
	wrong   *error // of the whole
}

// ParseDocument reads a body that is one JSON object. One that gives a name twice, at any depth, is
// refused: who asks and who answers could take different ones of them.
func ParseDocument(body []byte) (*Document, error) {
	d := &Document{wrong: new(error)}
	err := readOnce(body)
	if err == nil {
		err = json.Unmarshal(body, &d.members)
	}
	if err == nil && d.members == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, fault.BadRequest("Send one JSON object, in UTF-8, that gives no name twice.", "The body is no such object: %v.", err)
	}
	return d, nil
}

// readOnce reads JSON to its end, and refuses what gives a name twice.
func readOnce(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	var names []map[string]bool // of the objects around; nil for a list
	name := false               // the next text is one
	for begun := false; ; begun = true {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && begun && len(names) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case begun && len(names) == 0:
			return errors.New("something follows it")
		}
		inObject := len(names) > 0 && names[len(names)-1] != nil
		switch t := t.(type) {
		case json.Delim:
			if len(names) == maxDepth && (t == '{' || t == '[') {
				return fmt.Errorf("it is deeper than %d", maxDepth)
			}
			switch t {
			case '{':
				names, name = append(names, map[string]bool{}), true
				continue
			case '[':
				names = append(names, nil)
				continue
			}
			names = names[:len(names)-1]
			inObject = len(names) > 0 && names[len(names)-1] != nil
		case string:
			if inObject && name {
				seen := names[len(names)-1]
				if seen[t] {
					return fmt.Errorf("a name is given twice before byte %d", d.InputOffset()+1)
				}
				seen[t], name = true, false
				continue
			}
		}
		name = inObject
	}
}

// Err says what of that which was asked for is of another kind; nil if nothing is.
func (d *Document) Err() error { return *d.wrong }

// Has tells whether the object has a member.
func (d *Document) Has(name string) bool {
	raw, ok := d.members[name]
	return ok && !bytes.Equal(raw, []byte("null"))
}

// Names are those of the members, in order.
func (d *Document) Names() (list []string) {
	for name := range d.members {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// read reads a member that is there.
func read[T any](d *Document, name, kind string) (value T) {
	if !d.Has(name) {
		return value
	}
	if err := json.Unmarshal(d.members[name], &value); err != nil && *d.wrong == nil {
		*d.wrong = fault.BadRequest("", "The member %s is no %s.", fault.Quote(d.path+name), kind)
	}
	return value
}

// Object is a member that is an object; one without members where it is not there.
func (d *Document) Object(name string) *Document {
	return &Document{path: d.path + name + ".", members: read[map[string]json.RawMessage](d, name, "object"), wrong: d.wrong}
}

// Text is a member that is a text; empty where it is not there.
func (d *Document) Text(name string) string { return read[string](d, name, "text") }

// Flag is a member that is a boolean; false where it is not there.
func (d *Document) Flag(name string) bool { return read[bool](d, name, "boolean") }

// Texts is a member that is a list of texts; nil where it is not there.
func (d *Document) Texts(name string) []string { return read[[]string](d, name, "list of texts") }

// Lists is a member that is an object of lists of texts.
func (d *Document) Lists(name string) map[string][]string {
	return read[map[string][]string](d, name, "object of lists of texts")
}

// TellJSON writes an answer with the headers that Tell sets. It is not for anybody to keep.
func (c *Call) TellJSON(status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	c.Tell()
	h := c.W.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	c.W.WriteHeader(status)
	_, err = c.W.Write(body)
	return err
}

// StatusOf is the status of an answer that tells a fault: what may be over a little later, or is the
// node's, is 503, and nothing else is a 5xx.
func StatusOf(f *fault.Fault) int {
	if f.Retry() || f.Native().Status >= http.StatusInternalServerError {
		return http.StatusServiceUnavailable
	}
	return f.Native().Status
}
