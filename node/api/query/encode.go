package query

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/api/model"
)

// FaultNamespace is the XML namespace of errors that belong to no operation.
const FaultNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"

// maxPooled is the size beyond which an answer's buffer is not kept, in bytes.
const maxPooled = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// WriteResponse answers a request that was carried out, in a format. out is a pointer to the
// SDK's output struct of the operation, or nil for one without members. room, if it is
// not nil, is asked for the bytes of the answer before anything is written, and given
// them back. The error is that of room or of the connection.
func WriteResponse(w http.ResponseWriter, f Format, op *model.Operation, out any, requestID string, room Room) error {
	return write(w, f, http.StatusOK, requestID, room, func(b []byte) []byte {
		if f == JSON {
			return AppendResponseJSON(b, op, out, requestID)
		}
		return AppendResponse(b, op, out, requestID)
	})
}

// Room makes room for an answer of so many bytes, until free is called, or refuses it.
type Room func(bytes int) (free func(), err error)

// WriteError answers a request that was refused or failed, in a format. op may be nil.
// The error is that of the connection.
func WriteError(w http.ResponseWriter, f Format, op *model.Operation, e *Error, requestID string) error {
	return write(w, f, e.Status, requestID, nil, func(b []byte) []byte {
		if f == JSON {
			return AppendErrorJSON(b, e, requestID)
		}
		return AppendError(b, op, e, requestID)
	})
}

var mediaTypes = [...]string{XML: "text/xml", JSON: "application/json"}

func write(w http.ResponseWriter, f Format, status int, requestID string, room Room, text func([]byte) []byte) error {
	buffer := buffers.Get().(*[]byte)
	b := text((*buffer)[:0])
	if room != nil {
		free, err := room(len(b))
		if err != nil {
			return err
		}
		defer free()
	}
	header := w.Header()
	header["X-Amzn-Requestid"] = []string{requestID}
	header["Content-Type"] = []string{mediaTypes[f]}
	header["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, err := w.Write(b)
	if cap(b) <= maxPooled {
		*buffer = b
		buffers.Put(buffer)
	}
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// blame is whose fault an error is: the receiver's with statuses of 500 and above.
func blame(e *Error) string {
	if e.Status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// AppendError appends the XML of an error.
func AppendError(b []byte, op *model.Operation, e *Error, requestID string) []byte {
	namespace := FaultNamespace
	if op != nil {
		namespace = op.Service.Namespace
	}
	b = append(b, `<ErrorResponse xmlns="`...)
	b = append(b, namespace...)
	b = append(b, "\">\n  <Error>\n    <Type>"...)
	b = append(b, blame(e)...)
	b = append(b, "</Type>\n    <Code>"...)
	b = appendText(b, e.Code)
	b = append(b, "</Code>\n"...)
	if e.Message != "" { // of some errors AWS says no more than the code
		b = append(b, "    <Message>"...)
		b = appendText(b, e.Message)
		b = append(b, "</Message>\n"...)
	}
	b = append(b, "  </Error>\n  <RequestId>"...)
	b = appendText(b, requestID)
	return append(b, "</RequestId>\n</ErrorResponse>\n"...)
}

// AppendResponse appends the XML of an answer; see [WriteResponse].
func AppendResponse(b []byte, op *model.Operation, out any, requestID string) []byte {
	b = append(b, '<')
	b = append(b, op.Name...)
	b = append(b, `Response xmlns="`...)
	b = append(b, op.Service.Namespace...)
	b = append(b, `">`...)
	if op.Output != nil {
		b = append(b, '<')
		b = append(b, op.ResultWrapper...)
		b = append(b, '>')
		if v := reflect.ValueOf(out); v.IsValid() && !v.IsNil() {
			v = v.Elem()
			b = outputCodec(op, v.Type()).appendFields(b, v, true)
		}
		b = append(b, "</"...)
		b = append(b, op.ResultWrapper...)
		b = append(b, '>')
	}
	b = append(b, "<ResponseMetadata><RequestId>"...)
	b = appendText(b, requestID)
	b = append(b, "</RequestId></ResponseMetadata></"...)
	b = append(b, op.Name...)
	return append(b, "Response>\n"...)
}

// appendFields appends the members of a structure that are set; of the outermost
// one also the lists and maps that are not, but for optional ones.
func (c *codec) appendFields(b []byte, v reflect.Value, outermost bool) []byte {
	for i := range c.fields {
		f := &c.fields[i]
		value := v.Field(f.index)
		collection := f.codec.elem != nil
		switch {
		case collection && value.Len() == 0:
			if outermost && !f.optional || !value.IsNil() {
				b = append(b, f.empty...)
			}
		case f.codec.absent(value):
		default:
			b = append(b, f.open...)
			b = f.codec.appendValue(b, value)
			b = append(b, f.end...)
		}
	}
	return b
}

// absent reports whether a value that is no collection is not set. The SDK has
// pointers for what may be absent, and no pointer for numbers and booleans that
// are always there; strings without a pointer are enumerations.
func (c *codec) absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func (c *codec) appendValue(b []byte, v reflect.Value) []byte {
	if c.pointer {
		if v.IsNil() { // an element of a list
			return b
		}
		v = v.Elem()
	}
	switch c.shape.Kind {
	case model.Structure:
		return c.appendFields(b, v, false)
	case model.List:
		for i := range v.Len() {
			b = append(b, "<member>"...)
			b = c.elem.appendValue(b, v.Index(i))
			b = append(b, "</member>"...)
		}
		return b
	case model.Map:
		return c.appendMap(b, v)
	case model.String:
		return appendText(b, v.String())
	case model.Integer:
		return strconv.AppendInt(b, v.Int(), 10)
	case model.Boolean:
		return strconv.AppendBool(b, v.Bool())
	case model.Timestamp:
		return v.Interface().(time.Time).UTC().AppendFormat(b, time.RFC3339) // 2006-01-02T15:04:05Z
	default: // a blob
		return base64.StdEncoding.AppendEncode(b, v.Bytes())
	}
}

// appendMap appends entries in the order of their keys.
func (c *codec) appendMap(b []byte, v reflect.Value) []byte {
	byName := make(map[string]reflect.Value, v.Len())
	for key, value := range v.Seq2() {
		byName[key.String()] = value
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		b = append(b, "<entry><key>"...)
		b = appendText(b, name)
		b = append(b, "</key><value>"...)
		b = c.elem.appendValue(b, byName[name])
		b = append(b, "</value></entry>"...)
	}
	return b
}

// appendText appends character data. What XML 1.0 cannot hold becomes U+FFFD; the
// carriage return must be escaped, or a parser would make it a line feed.
func appendText(b []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		escape := ""
		switch {
		case r == '&':
			escape = "&amp;"
		case r == '<':
			escape = "&lt;"
		case r == '>':
			escape = "&gt;"
		case r == '\r':
			escape = "&#xD;"
		case !inXML(r, size):
			escape = "\uFFFD"
		default:
			i += size
			continue
		}
		b = append(b, s[done:i]...)
		b = append(b, escape...)
		i += size
		done = i
	}
	return append(b, s[done:]...)
}

// inXML reports whether XML 1.0 has a character; size tells U+FFFD from a byte
// that is not UTF-8.
func inXML(r rune, size int) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' ||
		r >= 0xE000 && r <= 0xFFFD && (r != utf8.RuneError || size > 1) || r >= 0x10000
}
