package query

import (
	"encoding/base64"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/api/model"
)

// Format is the form of an answer.
type Format uint8

// The formats. XML is the one that AWS's SDKs read.
const (
	XML Format = iota
	JSON
)

// formats are the formats by the media types that a caller may ask for.
var formats = map[string]Format{"application/json": JSON, "text/xml": XML, "application/xml": XML}

// FormatOf is the format that a request asks for by its Accept header: JSON where that
// prefers application/json by name to XML, and else XML.
func FormatOf(r *http.Request) Format {
	best, most := XML, 0.0
	for _, value := range r.Header["Accept"] {
		for piece := range strings.SplitSeq(value, ",") {
			media, parameters, err := mime.ParseMediaType(piece)
			if err != nil {
				continue
			}
			if f, known := formats[media]; known {
				if q := quality(parameters["q"]); q > most {
					best, most = f, q
				}
			}
		}
	}
	return best
}

// quality is the weight of a media type, 1 where none is given.
func quality(text string) float64 {
	if text == "" {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// AppendErrorJSON appends an error as AppendError does, in JSON.
func AppendErrorJSON(b []byte, e *Error, requestID string) []byte {
	b = append(b, `{"Error":{"Code":`...)
	b = appendString(b, e.Code)
	if e.Message != "" {
		b = append(b, `,"Message":`...)
		b = appendString(b, e.Message)
	}
	b = append(b, `,"Type":`...)
	b = appendString(b, blame(e))
	b = append(b, `},"RequestId":`...)
	b = appendString(b, requestID)
	return append(b, "}\n"...)
}

// AppendResponseJSON appends an answer as AppendResponse does, in JSON: what is not set
// is null, and times are seconds since 1970, written as Java writes them.
func AppendResponseJSON(b []byte, op *model.Operation, out any, requestID string) []byte {
	b = append(b, `{"`...)
	b = append(b, op.Name...)
	b = append(b, `Response":{`...)
	if op.Output != nil {
		b = append(b, '"')
		b = append(b, op.ResultWrapper...)
		b = append(b, `":`...)
		if v := reflect.ValueOf(out); v.IsValid() && !v.IsNil() {
			v = v.Elem()
			b = outputCodec(op, v.Type()).appendObject(b, v, true)
		} else {
			b = append(b, "{}"...)
		}
		b = append(b, ',')
	}
	b = append(b, `"ResponseMetadata":{"RequestId":`...)
	b = appendString(b, requestID)
	return append(b, "}}}\n"...)
}

// appendObject appends a structure. As in XML, the lists and maps of the outermost one
// are there even when they are empty, but for optional ones.
func (c *codec) appendObject(b []byte, v reflect.Value, outermost bool) []byte {
	b = append(b, '{')
	for i := range c.fields {
		f := &c.fields[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.member.Name...)
		b = append(b, `":`...)
		value := v.Field(f.index)
		collection := f.codec.elem != nil
		switch {
		case collection && value.IsNil() && (!outermost || f.optional), !collection && f.codec.absent(value):
			b = append(b, "null"...)
		default:
			b = f.codec.appendJSON(b, value)
		}
	}
	return append(b, '}')
}

func (c *codec) appendJSON(b []byte, v reflect.Value) []byte {
	if c.pointer {
		if v.IsNil() { // an element of a list
			return append(b, "null"...)
		}
		v = v.Elem()
	}
	switch c.shape.Kind {
	case model.Structure:
		return c.appendObject(b, v, false)
	case model.List:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.elem.appendJSON(b, v.Index(i))
		}
		return append(b, ']')
	case model.Map:
		return c.appendEntries(b, v)
	case model.String:
		return appendString(b, v.String())
	case model.Integer:
		return strconv.AppendInt(b, v.Int(), 10)
	case model.Boolean:
		return strconv.AppendBool(b, v.Bool())
	case model.Timestamp:
		return appendSeconds(b, v.Interface().(time.Time))
	default: // a blob
		return appendString(b, base64.StdEncoding.EncodeToString(v.Bytes()))
	}
}

// appendEntries appends a map, in the order of its keys.
func (c *codec) appendEntries(b []byte, v reflect.Value) []byte {
	byName := make(map[string]reflect.Value, v.Len())
	for key, value := range v.Seq2() {
		byName[key.String()] = value
	}
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(byName)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = c.elem.appendJSON(b, byName[name])
	}
	return append(b, '}')
}

// appendSeconds appends a time as Java writes a number of that many seconds: 1.7E9.
func appendSeconds(b []byte, t time.Time) []byte {
	const scientific = 10_000_000 // from here on
	seconds := t.Unix()
	if -scientific < seconds && seconds < scientific {
		return append(strconv.AppendInt(b, seconds, 10), ".0"...)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(float64(seconds), 'E', -1, 64), "E+")
	b = append(b, mantissa...)
	if !strings.Contains(mantissa, ".") {
		b = append(b, ".0"...)
	}
	b = append(b, 'E')
	return append(b, strings.TrimLeft(exponent, "0")...)
}

// appendString appends a string with its quotes. What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r < 0x20 || r == 0x7f || r == '\u2028' || r == '\u2029':
			const digits = "0123456789abcdef"
			b = append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
