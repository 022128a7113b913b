package api_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// The schemas of the description are what the types are in JSON, and every type has one.
func TestSchemas(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]any{
		"Decision": shape.Decision{}, "Propagation": shape.Propagation{}, "Effect": shape.Effect{}, "Cluster": shape.Cluster{}, "Member": shape.Member{},
		"Verification": shape.Verification{}, "Verified": shape.Verified{}, "SignedHead": event.SignedHead{}, "Chain": shape.Chain{}, "Problem": shape.Problem{},
		"RosterChange": shape.RosterChange{}, "PositionEvent": shape.PositionEvent{}, "HeartbeatEvent": shape.HeartbeatEvent{}, "GapEvent": shape.GapEvent{},
		"EndEvent": shape.EndEvent{},
	}
	// What a request has is read by hand; and what has no type is a list of what has one.
	without := []string{"Question", "Expectation", "Decisions"}
	for name, s := range d.Components.Schemas {
		if slices.Contains(without, name) {
			continue
		}
		v, ok := types[name]
		if !ok {
			t.Errorf("the schema %s has no type", name)
			continue
		}
		delete(types, name)
		members, always := membersOf(reflect.TypeOf(v))
		var described []string
		for p := range s.Properties {
			described = append(described, p)
		}
		slices.Sort(described)
		if !slices.Equal(members, described) {
			t.Errorf("%s has the members\n%v\nand the schema\n%v", name, members, described)
		}
		for _, p := range s.Required {
			if !slices.Contains(always, p) {
				t.Errorf("%s may lack %s, which the schema says is always there", name, p)
			}
		}
	}
	for name := range types {
		t.Errorf("%s has no schema", name)
	}
}

// membersOf are the names that the fields of a struct have in JSON, in order, and those
// that are always there.
func membersOf(s reflect.Type) (members, always []string) {
	for i := range s.NumField() {
		f := s.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			m, a := membersOf(f.Type)
			members, always = append(members, m...), append(always, a...)
		case name != "" && name != "-":
			members = append(members, name)
			if !strings.Contains(options, "omit") {
				always = append(always, name)
			}
		}
	}
	slices.Sort(members)
	return members, always
}
