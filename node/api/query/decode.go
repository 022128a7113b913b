package query

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/api/model"
)

// Decode fills in, which is a pointer to the SDK's input struct of the operation,
// from the form and checks it against the model. The error is MalformedInput where
// the form does not have the shape of the input, ValidationError where values are
// missing or out of bounds.
func Decode(op *model.Operation, f *Form, in any) error {
	if op.Input == nil {
		return nil
	}
	v := reflect.ValueOf(in).Elem()
	d := decoder{violations: model.Violations{Terse: op.Service.Terse}}
	if err := d.structure(inputCodec(op, v.Type()), f.root(), v); err != nil {
		return err
	}
	if message := d.violations.Message(); message != "" {
		return &Error{"ValidationError", http.StatusBadRequest, message}
	}
	return nil
}

type decoder struct {
	path       []byte // of the value at hand, as ValidationError gives it
	violations model.Violations
}

// The texts of MalformedInput, as AWS gives them.
const (
	topLevelList     = "Top level element may not be treated as a list"
	listUnexpected   = "Start of list found where not expected"
	structUnexpected = "Start of structure or map found where not expected"
	stringUnexpected = "Unexpected complex element termination"
)

func (d *decoder) structure(c *codec, l level, v reflect.Value) error {
	base := len(d.path)
	for _, i := range c.checked {
		f := &c.fields[i]
		d.path = append(d.path[:base], f.member.Path...)
		value, given := l.get(f.member.Name)
		below := l.sub(f.member.Name)
		if !given && len(below.pairs) == 0 {
			if f.member.Required {
				d.violations.Null(d.path)
			}
			continue
		}
		if err := d.value(f.codec, value, given, below, v.Field(f.index)); err != nil {
			return err
		}
	}
	d.path = d.path[:base]
	return nil
}

// value decodes a member, an element, a key or a value. It was given a value of
// its own, or has pairs below, or both.
func (d *decoder) value(c *codec, text string, given bool, below level, v reflect.Value) error {
	switch c.shape.Kind {
	case model.Structure, model.List, model.Map:
		if given && (text != "" || len(below.pairs) > 0) {
			return malformedInput(stringUnexpected)
		}
	default:
		if err := flat(below); err != nil {
			return err
		}
		return d.scalar(c, text, v)
	}
	v = c.target(v)
	switch {
	case c.shape.Union:
		return d.union(c, below, v)
	case c.shape.Kind == model.List:
		return d.list(c, below, v)
	case c.shape.Kind == model.Map:
		return d.mapping(c, below, v)
	default:
		base := len(d.path)
		d.path = append(d.path, '.')
		err := d.structure(c, below, v)
		d.path = d.path[:base]
		return err
	}
}

// flat refuses what is below the name of a value that has no parts.
func flat(below level) error {
	switch {
	case len(below.pairs) == 0:
		return nil
	case numbered(below):
		return malformedInput(listUnexpected)
	}
	return malformedInput(structUnexpected)
}

// numbered reports whether what is below a name looks like a list.
func numbered(l level) bool {
	name := l.next()
	return name == "member" || name == "entry" || name != "" && strings.Trim(name, "0123456789") == ""
}

// entry is one element of a list or map as it was sent.
type entry struct {
	number int
	text   string
	given  bool
	below  level
}

// entries collects the elements below "member" or "entry", in the order of their
// numbers, which need not be dense.
func (d *decoder) entries(l level, word string) ([]entry, error) {
	if len(l.pairs) == 0 {
		return nil, nil
	}
	below := l.sub(word)
	if len(below.pairs) != len(l.pairs) {
		return nil, malformedInput(topLevelList)
	}
	var list []entry
	for len(below.pairs) > 0 {
		name := below.next()
		number, err := strconv.Atoi(name)
		if err != nil || number < 1 || strconv.Itoa(number) != name {
			return nil, malformedInput("Expected a positive integer in place of '" + quotable(name) + "'")
		}
		e := entry{number: number, below: below.sub(name)}
		taken := len(e.below.pairs)
		if first := below.pairs[0]; first.name[below.prefix:] == name { // it sorts before what is below it
			e.text, e.given = first.value, true
			taken++
		}
		if len(list) == MaxListLength {
			return nil, malformedInput("A list has more than 1000 elements")
		}
		list = append(list, e)
		below.pairs = below.pairs[taken:]
	}
	slices.SortFunc(list, func(x, y entry) int { return x.number - y.number })
	return list, nil
}

func (d *decoder) list(c *codec, l level, v reflect.Value) error {
	list, err := d.entries(l, "member")
	if err != nil {
		return err
	}
	d.violations.Length(d.path, c.shape, len(list))
	v.Set(reflect.MakeSlice(c.goType, len(list), len(list)))
	if c.elem.shape.Kind == model.String {
		return d.strings(c, list, v)
	}
	base := len(d.path)
	for i, e := range list {
		d.path = fmt.Appendf(d.path[:base], ".%d.member", i+1)
		if err := d.value(c.elem, e.text, e.given, e.below, v.Index(i)); err != nil {
			return err
		}
	}
	d.path = d.path[:base]
	return nil
}

// strings decodes the elements of a list of strings.
func (d *decoder) strings(c *codec, list []entry, v reflect.Value) error {
	values := make([]string, len(list))
	for i, e := range list {
		if err := flat(e.below); err != nil {
			return err
		}
		values[i] = e.text
		c.elem.target(v.Index(i)).SetString(e.text)
	}
	d.violations.Strings(d.path, c.shape, values)
	return nil
}

func (d *decoder) mapping(c *codec, l level, v reflect.Value) error {
	list, err := d.entries(l, "entry")
	if err != nil {
		return err
	}
	d.violations.Length(d.path, c.shape, len(list))
	v.Set(reflect.MakeMapWithSize(c.goType, len(list)))
	base := len(d.path)
	for i, e := range list {
		key, value := reflect.New(c.goType.Key()).Elem(), reflect.New(c.goType.Elem()).Elem()
		for _, part := range [...]struct {
			name  string
			codec *codec
			into  reflect.Value
		}{{"key", c.key, key}, {"value", c.elem, value}} {
			d.path = fmt.Appendf(d.path[:base], ".%d.%s", i+1, part.name)
			text, given := e.below.get(part.name)
			below := e.below.sub(part.name)
			if !given && len(below.pairs) == 0 {
				d.violations.Null(d.path)
				continue
			}
			if err := d.value(part.codec, text, given, below, part.into); err != nil {
				return err
			}
		}
		v.SetMapIndex(key, value)
	}
	d.path = d.path[:base]
	return nil
}

// union decodes a value of which one member must be there, and no other.
func (d *decoder) union(c *codec, l level, v reflect.Value) error {
	base := len(d.path)
	defer func() { d.path = d.path[:base] }()
	var names []string
	for i := range c.variants {
		names = append(names, c.variants[i].member.Name)
	}
	for i := range c.variants {
		variant := &c.variants[i]
		value, given := l.get(variant.member.Name)
		below := l.sub(variant.member.Name)
		if !given && len(below.pairs) == 0 {
			continue
		}
		if !v.IsNil() {
			return &Error{"InvalidInput", http.StatusBadRequest, "Only one of " + strings.Join(names, ", ") + " may be specified at '" + string(d.path[:base]) + "'"}
		}
		d.path = append(append(d.path[:base], '.'), variant.member.Path...)
		found := reflect.New(variant.goType)
		if err := d.value(variant.value, value, given, below, found.Elem().FieldByName("Value")); err != nil {
			return err
		}
		v.Set(found)
	}
	if v.IsNil() {
		return &Error{"InvalidInput", http.StatusBadRequest, "One of " + strings.Join(names, ", ") + " must be specified at '" + string(d.path[:base]) + "'"}
	}
	return nil
}

func (d *decoder) scalar(c *codec, text string, v reflect.Value) error {
	v = c.target(v)
	switch c.shape.Kind {
	case model.String:
		d.violations.String(d.path, c.shape, text)
		v.SetString(text)
	case model.Integer:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return d.unreadable(text, "Integer")
		}
		d.violations.Integer(d.path, c.shape, n)
		v.SetInt(n)
	case model.Boolean:
		switch strings.ToLower(text) {
		case "true":
			v.SetBool(true)
		case "false":
		default:
			return d.unreadable(text, "Boolean")
		}
	case model.Timestamp:
		t, err := parseTime(text)
		if err != nil {
			return d.unreadable(text, "Timestamp")
		}
		v.Set(reflect.ValueOf(t))
	case model.Blob:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return d.unreadable(text, "Blob")
		}
		d.violations.Length(d.path, c.shape, len(b))
		v.SetBytes(b)
	}
	return nil
}

func (d *decoder) unreadable(text, as string) *Error {
	return malformedInput("Value '" + quotable(text) + "' at '" + string(d.path) + "' can not be converted to type " + as)
}

// parseTime reads a timestamp in any form that AWS's SDKs send: ISO 8601, or
// seconds since 1970.
func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	return t.UTC(), err
}
