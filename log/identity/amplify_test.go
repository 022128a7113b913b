package identity

import (
	"reflect"
	"strings"
	"testing"
)

// Who proposes a command pays for its bytes. What is decided of it is to be about as long:
// else a few long texts in the right places make batches that stop the state machine while
// they are built, and records that fill it. So each text of the command of each spec is
// made long in turn, of spaces, too, which limits that count characters do not see.
func TestNoCommandMakesMuchMore(t *testing.T) {
	const long, most = 16 << 10, 3
	accepted := map[string]bool{}
	for _, c := range allSpecs() {
		s := given(c.given...)
		name := reflect.TypeOf(c.when).Elem().Name()
		for _, filling := range []string{" ", "@{bucketName}", "\""} {
			text := strings.Repeat(filling, long/len(filling))
			eachLonger(reflect.ValueOf(c.when), text, func(field string, longer Command) {
				events, err := Decide(s, Meta{Time: now, By: c.by, Rules: CurrentRules}, longer)
				if err != nil {
					return
				}
				accepted[name] = true
				if in, out := bulk(reflect.ValueOf(longer)), bulk(reflect.ValueOf(events)); out > most*in {
					t.Errorf("%s/%s with a long %s of %q: %d bytes became %d", name, c.name, field, filling, in, out)
				}
			})
		}
	}
	if len(accepted) < 30 || !accepted["CreateDelegationRequest"] {
		t.Errorf("too few commands are accepted with a long text: %v", accepted)
	}
}

// eachLonger yields copies of a command, in each of which one of its texts is another.
func eachLonger(command reflect.Value, text string, yield func(field string, longer Command)) {
	for i := range 40 { // long lists have more of the same
		field := ""
		longer := copied(command, i, text, &field)
		if field == "" {
			return
		}
		yield(field, longer.Interface().(Command))
	}
}

// copied is a deep copy of v in which the text or bytes number n of it are text; field is then the name of the member.
func copied(v reflect.Value, n int, text string, field *string) reflect.Value {
	left := n
	var walk func(v reflect.Value, name string) reflect.Value
	walk = func(v reflect.Value, name string) reflect.Value {
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		leaf := v.Kind() == reflect.String || v.Type() == reflect.TypeFor[[]byte]()
		switch {
		case leaf && left == 0:
			out.Set(reflect.ValueOf(text).Convert(v.Type()))
			*field = name
			left--
		case leaf:
			left--
		case v.Kind() == reflect.Pointer && !v.IsNil():
			out = reflect.New(v.Type().Elem())
			out.Elem().Set(walk(v.Elem(), name))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				out.Field(i).Set(walk(v.Field(i), v.Type().Field(i).Name))
			}
		case v.Kind() == reflect.Slice && !v.IsNil():
			out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			for i := range v.Len() {
				out.Index(i).Set(walk(v.Index(i), name))
			}
		}
		return out
	}
	return walk(v, "")
}

// bulk is how many bytes the texts of a value have.
func bulk(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return bulk(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += bulk(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			return v.Len()
		}
		for i := range v.Len() {
			n += bulk(v.Index(i))
		}
	}
	return n
}
