package authzen

import (
	"maps"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/projection/policy"
)

// distinct says what of a mapping could be read in two ways.
func (m *mapping) distinct(f *file) error {
	for _, list := range [...][]kindOf{m.subjects, m.resources} {
		for i := range list {
			for j := range list[:i] {
				a, b := &list[i], &list[j]
				if a.name == b.name {
					return m.at(a.line, "the type %q is mapped before, on line %d", a.name, b.line)
				}
				if a.arn.overlaps(b.arn) {
					return m.at(a.line, "ids of the types %q and %q (line %d) would be the same ARN", a.name, b.name, b.line)
				}
			}
		}
	}
	for i := range m.actions {
		for j := range m.actions[:i] {
			a, b := &m.actions[i], &m.actions[j]
			if a.name == b.name && (a.on == b.on || a.on == "" || b.on == "") {
				return m.at(a.line, "the action %q is mapped before, on line %d, for the same type of resource", a.name, b.line)
			}
		}
	}
	return m.distinctKeys(f)
}

// overlaps tells whether two ids could be one ARN.
func (p pattern) overlaps(q pattern) bool {
	return begins(p.before, q.before) && (strings.HasSuffix(p.after, q.after) || strings.HasSuffix(q.after, p.after))
}

// begins tells whether one text could be the beginning of the other, whatever the placeholders in
// them stand for.
func begins(a, b string) bool {
	for a != "" && b != "" {
		for _, holder := range [...]string{thePartition, theAccount} {
			restA, inA := strings.CutPrefix(a, holder)
			restB, inB := strings.CutPrefix(b, holder)
			switch {
			case inA && inB:
				return begins(restA, restB)
			case inA:
				return begins(restA, past(b, holder))
			case inB:
				return begins(past(a, holder), restB)
			}
		}
		if a[0] != b[0] {
			return false
		}
		a, b = a[1:], b[1:]
	}
	return true
}

// past is what follows the text that a placeholder could stand for.
func past(s, holder string) string {
	letters := "0123456789"
	if holder == thePartition {
		letters = "abcdefghijklmnopqrstuvwxyz-"
	}
	return strings.TrimLeft(s, letters)
}

// distinctKeys says which properties of two parts of one question would be one condition key.
func (m *mapping) distinctKeys(f *file) error {
	parts := map[policy.Key]string{}
	mine := func(part string, named map[string]bridge.Text) error {
		for _, name := range slices.Sorted(maps.Keys(named)) {
			key := policy.NewKey(named[name].Value)
			if other, ok := parts[key]; ok && other != part {
				return m.at(named[name].Line, "the %s's property %q would be the condition key %s, as one of the %s is", part, name, named[name].Value, other)
			}
			parts[key] = part
		}
		return nil
	}
	for i := range f.Subjects {
		if err := mine(inSubject, f.Subjects[i].Properties); err != nil {
			return err
		}
	}
	for i := range f.Resources {
		if err := mine(inResource, f.Resources[i].Properties); err != nil {
			return err
		}
	}
	for i := range f.Actions {
		if err := mine(inAction, f.Actions[i].Properties); err != nil {
			return err
		}
	}
	return mine(inContext, f.Context)
}
