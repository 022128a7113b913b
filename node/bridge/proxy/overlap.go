package proxy

import (
	"maps"
	"slices"
	"strings"
)

// order checks that at most one rule counts for any request: where two match one request the
// narrower stands first, and there is one.
func order(rules []Rule) error {
	for j := range rules {
		for i := range j {
			before, r := &rules[i], &rules[j]
			switch {
			case r.within(before):
				return at(r.line(), "the rule can never match: the one of line %d takes all that it would; put the narrower first", before.line())
			case before.meets(r) && !before.within(r):
				return at(r.line(), "the rule is ambiguous: it and the one of line %d match the same requests, and neither is the narrower", before.line())
			}
		}
	}
	return nil
}

// within tells whether every request that r matches is matched by o.
func (r *Rule) within(o *Rule) bool {
	for method := range r.Actions {
		if _, ok := o.Actions[method]; !ok {
			return false
		}
	}
	for name, value := range o.headers {
		if mine, ok := r.headers[name]; !ok || value != "*" && mine != value {
			return false
		}
	}
	return hostWithin(r.Host.Value, o.Host.Value) && r.pathWithin(o) &&
		(o.Query.any() || !r.Query.any() && slices.Equal(r.Query.names, o.Query.names))
}

// meets tells whether some request is matched by both.
func (r *Rule) meets(o *Rule) bool {
	both := slices.ContainsFunc(slices.Collect(maps.Keys(r.Actions)), func(m string) bool { _, ok := o.Actions[m]; return ok })
	for name, value := range r.headers {
		if other, ok := o.headers[name]; ok && value != "*" && other != "*" && other != value {
			return false
		}
	}
	return both && (hostWithin(r.Host.Value, o.Host.Value) || hostWithin(o.Host.Value, r.Host.Value)) && r.pathMeets(o) &&
		(r.Query.any() || o.Query.any() || slices.Equal(r.Query.names, o.Query.names))
}

// hostWithin tells whether all hosts of a pattern are of another.
func hostWithin(a, b string) bool {
	if b == anything || a == b {
		return true
	}
	suffix, wild := strings.CutPrefix(b, "*.")
	_, after, _ := strings.Cut(a, ".")
	return wild && a != anything && !strings.HasPrefix(a, "*.") && after == suffix
}

// least is how many segments a path of the rule has at least.
func (r *Rule) least() int {
	if r.rest != "" {
		return len(r.segments) + 1
	}
	return len(r.segments)
}

func (r *Rule) pathWithin(o *Rule) bool {
	if r.slash != o.slash || r.least() < o.least() || o.rest == "" && (r.rest != "" || r.least() != o.least()) {
		return false
	}
	for i, s := range o.segments {
		if s.literal != "" && (i >= len(r.segments) || r.segments[i].literal != s.literal) {
			return false
		}
	}
	return true
}

func (r *Rule) pathMeets(o *Rule) bool {
	if r.slash != o.slash || r.rest == "" && r.least() < o.least() || o.rest == "" && o.least() < r.least() {
		return false
	}
	for i := range min(len(r.segments), len(o.segments)) {
		if a, b := r.segments[i].literal, o.segments[i].literal; a != "" && b != "" && a != b {
			return false
		}
	}
	return true
}
