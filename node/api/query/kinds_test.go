package query

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/node/api/model"
)

// TestOtherKinds covers what the protocol has and no input of IAM or STS uses yet:
// maps, timestamps and blobs.
func TestOtherKinds(t *testing.T) {
	text := &model.Shape{Name: "text", Kind: model.String}
	number := &model.Shape{Name: "number", Kind: model.Integer}
	shape := &model.Shape{Name: "input", Kind: model.Structure, Fields: []model.Field{
		{Name: "Blob", Path: "blob", Shape: &model.Shape{Name: "blob", Kind: model.Blob}},
		{Name: "Map", Path: "map", Shape: &model.Shape{Name: "map", Kind: model.Map, Key: text, Value: number}},
		{Name: "Time", Path: "time", Shape: &model.Shape{Name: "time", Kind: model.Timestamp}},
	}}
	type input struct {
		Blob []byte
		Map  map[string]int32
		Time *time.Time
	}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, form string
		want       input
		err        string // a part of the error or of the violations
	}{
		{"blob", "Blob=aGk=", input{Blob: []byte("hi")}, ""},
		{"bad blob", "Blob=!", input{}, "Value '!' at 'blob' can not be converted to type Blob"},
		{"time", "Time=2026-07-01T12:00:00Z", input{Time: &noon}, ""},
		{"time of another zone", "Time=2026-07-01T14:00:00%2B02:00", input{Time: &noon}, ""},
		{"seconds", "Time=1782907200", input{Time: &noon}, ""},
		{"bad time", "Time=noon", input{}, "Value 'noon' at 'time' can not be converted to type Timestamp"},
		{"map", "Map.entry.2.key=b&Map.entry.2.value=2&Map.entry.1.key=a&Map.entry.1.value=1", input{Map: map[string]int32{"a": 1, "b": 2}}, ""},
		{"empty map", "Map=", input{Map: map[string]int32{}}, ""},
		{"map as list", "Map.member.1.key=a", input{}, "Top level element may not be treated as a list"},
		{"no value", "Map.entry.1.key=a", input{}, "Value null at 'map.1.value' failed to satisfy constraint: Member must not be null"},
		{"bad value", "Map.entry.1.key=a&Map.entry.1.value=x", input{}, "Value 'x' at 'map.1.value' can not be converted to type Integer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form, err := post("/", formType, tc.form)
			if err != nil {
				t.Fatal(err)
			}
			var got input
			v := reflect.ValueOf(&got).Elem()
			d := decoder{}
			err = d.structure(build(shape, v.Type(), 0), form.root(), v)
			problem := d.violations.Message()
			if err != nil {
				problem = err.Error()
			}
			if tc.err != "" {
				if !strings.Contains(problem, tc.err) {
					t.Errorf("got %q", problem)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || problem != "" {
				t.Errorf("%s\n%s", problem, diff)
			}
		})
	}
}
