package query

import (
	"encoding/base64"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api/model"
)

// generator makes values of the SDK's types that fit a shape of the model.
type generator struct {
	t     testing.TB
	rng   *rand.Rand
	valid bool // inputs keep the model's constraints; outputs need not
}

func (g *generator) fill(c *codec, v reflect.Value) {
	v = c.target(v)
	if c.shape.Union {
		variant := c.variants[g.rng.IntN(len(c.variants))]
		value := reflect.New(variant.goType)
		g.fill(variant.value, value.Elem().FieldByName("Value"))
		v.Set(value)
		return
	}
	switch c.shape.Kind {
	case model.Structure:
		set := 0
		for i := range c.fields {
			f := &c.fields[i]
			last := set == 0 && i == len(c.fields)-1 // clients do not send structures without members
			if !f.member.Required && !last && g.rng.IntN(4) == 0 {
				continue
			}
			g.fill(f.codec, v.Field(f.index))
			set++
		}
	case model.List:
		n := g.length(c.shape, 0, 3)
		v.Set(reflect.MakeSlice(c.goType, n, n))
		for i := range n {
			g.fill(c.elem, v.Index(i))
		}
	case model.Map:
		v.Set(reflect.MakeMap(c.goType))
		low := int64(0)
		if g.valid {
			low = 1 // clients do not send empty maps
		}
		for range g.length(c.shape, low, 3) {
			key, value := reflect.New(c.goType.Key()).Elem(), reflect.New(c.goType.Elem()).Elem()
			g.fill(c.key, key)
			g.fill(c.elem, value)
			v.SetMapIndex(key, value)
		}
	case model.String:
		v.SetString(g.text(c.shape))
	case model.Integer:
		n := int64(g.rng.IntN(2000)) - 1000
		if g.valid && c.shape.Min != nil {
			n = *c.shape.Min + g.rng.Int64N(*c.shape.Max-*c.shape.Min+1)
		}
		v.SetInt(n)
	case model.Boolean:
		v.SetBool(g.rng.IntN(2) == 0)
	case model.Timestamp:
		v.Set(reflect.ValueOf(time.Unix(g.rng.Int64N(4e9), 0).UTC()))
	case model.Blob:
		v.SetBytes([]byte(g.text(&model.Shape{})))
	}
}

// length draws a length within the shape's bounds and spread.
func (g *generator) length(s *model.Shape, low, spread int64) int {
	if s.Min != nil {
		low = max(low, *s.Min)
	}
	high := low + spread
	if s.Max != nil {
		high = min(high, *s.Max)
	}
	return int(low + g.rng.Int64N(high-low+1))
}

var (
	// alphabets from the widest to the narrowest: one of them fits each simple
	// pattern of the models.
	alphabets = []string{
		"aZ09 &<>\"'=+%.;/?#\t\n\r\u00e9\u4e16\U0001F600]]>{}",
		"aZ09 &<>\"'=+%.;/?#{}!~",
		"aZ09_+=,.@-",
		"aZ09_.",
		"aZ09_",
		"A09",
		"0123456789",
	}
	// examples fit the other patterns.
	examples = []string{
		"/", "/a/b/", "o-abcdefghij", "abc-def", "v1", "v22.x", "p-abcdefgh_", "https://a.example/b?c=d#e",
		"o-abcdefghij/r-abcd/", "123456789012", "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99", "/path",
	}
)

// text draws a string that fits a shape.
func (g *generator) text(s *model.Shape) string {
	if len(s.Enum) > 0 {
		return s.Enum[g.rng.IntN(len(s.Enum))]
	}
	if !g.valid {
		return g.draw(alphabets[0], g.rng.IntN(12))
	}
	for range 20 {
		for _, alphabet := range alphabets {
			if s := g.accept(s, g.draw(alphabet, g.length(s, 0, 30))); s != nil {
				return *s
			}
		}
		if s := g.accept(s, examples[g.rng.IntN(len(examples))]); s != nil {
			return *s
		}
	}
	for _, example := range examples {
		if s := g.accept(s, example); s != nil {
			return *s
		}
	}
	g.t.Fatalf("no text fits %s (%s)", s.Name, s.Pattern)
	return ""
}

func (g *generator) draw(alphabet string, n int) string {
	runes := []rune(alphabet)
	var b strings.Builder
	for range n {
		b.WriteRune(runes[g.rng.IntN(len(runes))])
	}
	return b.String()
}

func (g *generator) accept(s *model.Shape, text string) *string {
	var v model.Violations
	if v.String(nil, s, text); v.Message() != "" {
		return nil
	}
	return &text
}

// plain turns a value into what botocore has for it, as JSON would hold it.
func plain(c *codec, v reflect.Value) any {
	if c.pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if c.shape.Union {
		for i := range c.variants {
			if variant := &c.variants[i]; v.Elem().Type() == reflect.PointerTo(variant.goType) {
				return map[string]any{variant.member.Name: plain(variant.value, v.Elem().Elem().FieldByName("Value"))}
			}
		}
	}
	switch c.shape.Kind {
	case model.Structure:
		out := map[string]any{}
		for i := range c.fields {
			f := &c.fields[i]
			value := v.Field(f.index)
			if f.codec.absent(value) || value.Kind() == reflect.Map && value.IsNil() {
				continue
			}
			out[f.member.Name] = plain(f.codec, value)
		}
		return out
	case model.List:
		out := []any{}
		for i := range v.Len() {
			out = append(out, plain(c.elem, v.Index(i)))
		}
		return out
	case model.Map:
		out := map[string]any{}
		for key, value := range v.Seq2() {
			out[key.String()] = plain(c.elem, value)
		}
		return out
	case model.Timestamp:
		return v.Interface().(time.Time).UTC().Format(time.RFC3339)
	case model.Blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case model.String:
		return v.String()
	default:
		return v.Interface()
	}
}

func newValue(t reflect.Type) any { return reflect.New(t).Interface() }
