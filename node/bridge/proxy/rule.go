package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of a mapping.
const (
	// MaxRules is how many rules a mapping has.
	MaxRules = 512
	// maxPerRule is how many methods, headers, parameters and condition keys one names.
	maxPerRule = 32
	maxPattern = 1024
)

// anything is what a field says that any value fits.
const anything = "any"

// Rule is which question a request becomes. All fields but Query, Headers and Context are needed.
type Rule struct {
	// Host is a name, "*." and a name for those with one label before it, or "any".
	Host bridge.Text `yaml:"host"`
	// Path is a pattern: {name} is one part of a path, {name...} the last ones, at least one.
	Path bridge.Text `yaml:"path"`
	// Actions are the methods, each with the action that it is.
	Actions map[string]bridge.Text `yaml:"actions"`
	// Query is "none" (also where it is not there), "any", or the names of the parameters: those,
	// each once, and no others.
	Query query `yaml:"query,omitempty"`
	// Headers must be there once, with the value, or with any for "*".
	Headers map[string]bridge.Text `yaml:"headers,omitempty"`
	// Resource is the template of an ARN, or "*".
	Resource bridge.Text `yaml:"resource"`
	// Context are condition keys, each with the template of its value.
	Context map[string]bridge.Text `yaml:"context,omitempty"`

	segments []segment
	rest     string // the variable of {name...}; "" for none
	slash    bool
	headers  map[string]string // by canonical name; "*" for any value
	resource template
	context  []entry
}

// query is what a rule says of it.
type query struct {
	words bridge.Text
	names []string // sorted; nil for no list
}

// UnmarshalYAML reads a word or a list of names.
func (q *query) UnmarshalYAML(read func(any) error) error {
	var list []bridge.Text
	if err := read(&list); err != nil {
		return read(&q.words)
	}
	if list != nil {
		q.names = []string{}
	}
	for _, name := range list {
		q.names, q.words.Line = append(q.names, name.Value), name.Line
	}
	slices.Sort(q.names)
	return nil
}

func (q *query) any() bool { return q.words.Value == anything }

// segment is a part of a pattern: a literal, or a variable.
type segment struct{ literal, variable string }

type entry struct {
	key   policy.Key
	value template
}

// wrong is what is wrong with a mapping, and on which line.
type wrong struct {
	line int
	why  string
}

// Error says it.
func (w *wrong) Error() string { return fmt.Sprintf("line %d: %s", w.line, w.why) }

func at(line int, format string, args ...any) error {
	return &wrong{line, fmt.Sprintf(format, args...)}
}

// line is that of the first field which the rule has.
func (r *Rule) line() int {
	lines := []int{}
	for _, t := range []bridge.Text{r.Host, r.Path, r.Resource} {
		lines = append(lines, t.Line)
	}
	for _, t := range r.Actions {
		lines = append(lines, t.Line)
	}
	first := 0
	for _, n := range lines {
		if n > 0 && (first == 0 || n < first) {
			first = n
		}
	}
	return first
}

// compile checks a rule and makes it ready.
func (r *Rule) compile() error {
	for _, step := range []func() error{r.checkHost, r.compilePath, r.checkActions, r.checkQuery, r.compileHeaders, r.compileResource, r.compileContext} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rule) checkHost() error {
	if r.Host.Value == "" {
		return at(r.line(), "the rule has no `host`: name it, or write `host: any`")
	}
	name := strings.TrimPrefix(r.Host.Value, "*.")
	if r.Host.Value != anything && !isHost(name) {
		return at(r.Host.Line, "the host %q is neither a name in lower case without a port, nor *.NAME, nor any", r.Host.Value)
	}
	return nil
}

func (r *Rule) compilePath() error {
	pattern, ok := strings.CutPrefix(r.Path.Value, "/")
	switch {
	case !r.Path.Given():
		return at(r.line(), "the rule has no `path`: name it, as /files/{name...}")
	case !ok || len(pattern) > maxPattern:
		return at(r.Path.Line, "the path %q does not begin with a slash, or is too long", r.Path.Value)
	case pattern == "":
		return nil
	}
	pattern, r.slash = strings.CutSuffix(pattern, "/")
	seen := map[string]bool{}
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		name, variable := strings.CutPrefix(part, "{")
		if !variable {
			if t, err := ParseTarget("/" + part); err != nil || len(t.Segments) != 1 || t.HasQuery || t.Segments[0] != part {
				return at(r.Path.Line, "the part %q of the path is none that a path has, decoded", part)
			}
			r.segments = append(r.segments, segment{literal: part})
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, rest := strings.CutSuffix(name, "...")
		if !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || seen[name] || rest && i < len(parts)-1 {
			return at(r.Path.Line, "the part %q of the path is no {name} of its own, nor a last {name...}", part)
		}
		if seen[name] = true; rest {
			r.rest = name
			break
		}
		r.segments = append(r.segments, segment{variable: name})
	}
	return nil
}

func (r *Rule) checkActions() error {
	if len(r.Actions) == 0 || len(r.Actions) > maxPerRule {
		return at(r.line(), "the rule has %d `actions`: name 1 to %d methods, each with its action", len(r.Actions), maxPerRule)
	}
	for _, method := range slices.Sorted(maps.Keys(r.Actions)) {
		action := r.Actions[method]
		if !isMethod(method) {
			return at(action.Line, "%q is no method in capitals", method)
		}
		if err := authz.CheckAction(action.Value); err != nil {
			return at(action.Line, "%v", err)
		}
	}
	return nil
}

// isMethod tells a method that a service can know.
func isMethod(m string) bool {
	return m != "" && len(m) <= 32 && strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

func (r *Rule) checkQuery() error {
	q := &r.Query
	switch {
	case q.names == nil && (q.words.Value == "" && !q.words.Given() || q.words.Value == "none" || q.any()):
		return nil
	case len(q.names) == 0 || len(q.names) > maxPerRule || q.names[0] == "" || len(slices.Compact(slices.Clone(q.names))) < len(q.names):
		return at(max(q.words.Line, 1), "`query` is none, any, or a list of the names of parameters, each once")
	}
	return nil
}

func (r *Rule) compileHeaders() error {
	r.headers = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		value := r.Headers[name]
		key := http.CanonicalHeaderKey(name)
		if _, twice := r.headers[key]; twice || !isHeader(name) || value.Value == "" || len(r.headers) == maxPerRule {
			return at(value.Line, "the header %q is no name, has no value (* for any), or is there twice", name)
		}
		r.headers[key] = value.Value
	}
	return nil
}

// letters are those of ASCII.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func isHeader(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, letters+"0123456789-") == ""
}

// knows tells whether every request that the rule matches has a variable.
func (r *Rule) knows(name string) bool {
	kind, of, dotted := strings.Cut(name, ".")
	switch {
	case !dotted:
		return name == "host" || name == "method" || name == "scheme"
	case kind == "path":
		return of != "" && (r.rest == of || slices.Contains(r.segments, segment{variable: of}))
	case kind == "header":
		_, ok := r.headers[http.CanonicalHeaderKey(of)]
		return ok
	case kind == "query":
		return slices.Contains(r.Query.names, of)
	}
	return false
}

// compileTemplate reads a template of the rule.
func (r *Rule) compileTemplate(what string, text bridge.Text) (t template, err error) {
	if t, err = parseTemplate(text.Value); err != nil {
		return t, at(text.Line, "%s: %v", what, err)
	}
	for _, name := range t.variables {
		if !r.knows(name) {
			return t, at(text.Line, "%s: not every request that the rule matches has ${%s}: there are host, method, scheme, path.NAME of the pattern, and query.NAME and header.NAME of what the rule asks for", what, name)
		}
	}
	return t, nil
}

// resourceField is the last field of an ARN: the others say whose resource it is, and are not for
// a request to choose.
const resourceField = 5

func (r *Rule) compileResource() (err error) {
	if r.Resource.Value == "" {
		return at(r.line(), "the rule has no `resource`: give the template of an ARN, or \"*\"")
	}
	if r.resource, err = r.compileTemplate("resource", r.Resource); err != nil {
		return err
	}
	if len(r.resource.variables) > 0 && strings.Count(r.resource.literals[0], ":") < resourceField {
		return at(r.Resource.Line, "resource: a variable stands before the last field of the ARN")
	}
	if err := authz.CheckResource(r.resource.sample()); err != nil {
		return at(r.Resource.Line, "%v", err)
	}
	return nil
}

// reserved are condition keys that no mapping gives: they are the principal's, the clock's, or
// given by source_ip and scheme.
func reserved(key string) bool {
	key = casefold.Key(key)
	for _, prefix := range []string{"aws:principal", "aws:user", "aws:source", "aws:current", "aws:epoch", "aws:token", "aws:multifactor", "aws:federated", "aws:securetransport", "aws:via", "aws:called", "aws:resource"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (r *Rule) compileContext() error {
	seen := map[policy.Key]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.Context)) {
		text := r.Context[name]
		if err := authz.CheckContextKey(name); err != nil {
			return at(text.Line, "%v", err)
		}
		key := policy.NewKey(name)
		switch {
		case !strings.Contains(name, ":"):
			return at(text.Line, "the condition key %q has no prefix, as s3:prefix has", name)
		case reserved(name):
			return at(text.Line, "the condition key %q is not a mapping's to give", name)
		case seen[key] || len(seen) == maxPerRule:
			return at(text.Line, "the condition key %q is there twice, or there are more than %d", name, maxPerRule)
		case text.Value == "":
			return at(text.Line, "the condition key %q has an empty value", name)
		}
		seen[key] = true
		t, err := r.compileTemplate(name, text)
		if err != nil {
			return err
		}
		r.context = append(r.context, entry{key, t})
	}
	return nil
}
