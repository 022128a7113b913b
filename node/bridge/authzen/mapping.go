package authzen

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of a mapping.
const (
	// maxTypes is how many subjects, resources and actions each a mapping has, and how many
	// properties it names of one.
	maxTypes = 256
	// maxListed is how many resources of one type are listed.
	maxListed = 10_000
)

// defaultService is the service of actions, resources and condition keys that no mapping names.
const defaultService = "authzen"

// Placeholders in ARNs.
const (
	theID        = "{id}"
	thePartition = "{partition}"
	theAccount   = "{account}"
)

// file is a mapping as it is written.
type file struct {
	URL       bridge.Text            `yaml:"url"`
	Service   bridge.Text            `yaml:"service"`
	Account   bridge.Text            `yaml:"account"`
	Subjects  []subjectRow           `yaml:"subjects"`
	Resources []resourceRow          `yaml:"resources"`
	Actions   []actionRow            `yaml:"actions"`
	Context   map[string]bridge.Text `yaml:"context"`
}

type subjectRow struct {
	Type       bridge.Text            `yaml:"type"`
	Principal  bridge.Text            `yaml:"principal"`
	Properties map[string]bridge.Text `yaml:"properties"`
}

type resourceRow struct {
	Type       bridge.Text            `yaml:"type"`
	ARN        bridge.Text            `yaml:"arn"`
	Properties map[string]bridge.Text `yaml:"properties"`
	List       []listedRow            `yaml:"list"`
	File       bridge.Text            `yaml:"file"`
}

type actionRow struct {
	Name       bridge.Text            `yaml:"name"`
	Action     bridge.Text            `yaml:"action"`
	On         bridge.Text            `yaml:"on"`
	Properties map[string]bridge.Text `yaml:"properties"`
}

type listedRow struct {
	ID         bridge.Text       `yaml:"id"`
	Properties map[string]values `yaml:"properties"`
}

// values are those of a property of a resource that is listed: one, or a list.
type values struct {
	list []string
	many bool
}

// UnmarshalYAML reads a scalar or a list of scalars.
func (v *values) UnmarshalYAML(read func(any) error) error {
	var texts []bridge.Text
	if err := read(&texts); err == nil {
		v.many = true
		for i := range texts {
			v.list = append(v.list, texts[i].Value)
		}
		return nil
	}
	var one bridge.Text
	if err := read(&one); err != nil {
		return err
	}
	v.list = []string{one.Value}
	return nil
}

// mapping says what subjects, resources, actions and properties are. It does not change.
type mapping struct {
	name    string // of the file, for errors
	url     string // of the decision point; empty: as it is asked
	service string
	account string // empty: that of whoever asks

	subjects  []kindOf // nil: users and roles
	resources []kindOf // nil: any, by their types
	actions   []verb   // nil: any, by their names
	context   keys
}

// keys are the condition keys of properties that a mapping names.
type keys map[string]policy.Key

// kindOf is a type of subjects or resources.
type kindOf struct {
	name string
	arn  pattern
	keys keys
	list []listed // of a resource; in order of the ids
	line int
}

// listed is a resource that a mapping lists.
type listed struct {
	id      string
	entries []policy.Entry
}

// verb is an action.
type verb struct {
	name   string
	action string
	on     string // the type of resource; empty: any
	keys   keys
	line   int
}

// pattern is an ARN with an id in it.
type pattern struct{ before, after string }

// load reads a mapping; an empty path has the defaults. Errors wrap bridge.ErrConfig, or say why
// a file cannot be read.
func load(path string) (*mapping, error) {
	m := &mapping{name: path, service: defaultService}
	if path == "" {
		return m, nil
	}
	var f file
	if err := bridge.ReadFile(path, &f); err != nil {
		return nil, err
	}
	return m, m.take(&f)
}

// parseMapping reads a mapping from a text; name is what errors call it.
func parseMapping(name string, text []byte) (*mapping, error) {
	m := &mapping{name: name, service: defaultService}
	var f file
	if err := bridge.Parse(name, text, &f); err != nil {
		return nil, err
	}
	return m, m.take(&f)
}

// at is what is wrong on a line.
func (m *mapping) at(line int, format string, args ...any) error {
	return fmt.Errorf("%w: %s: line %d: %s", bridge.ErrConfig, m.name, line, fmt.Sprintf(format, args...))
}

// open is a field that a mapping leaves open.
func (m *mapping) open(what string, i int, field string) error {
	return fmt.Errorf("%w: %s: %s %d has no `%s`", bridge.ErrConfig, m.name, what, i+1, field)
}

// take checks what is written.
func (m *mapping) take(f *file) error {
	if err := m.general(f); err != nil {
		return err
	}
	for _, n := range [...]struct {
		what string
		nil  bool
		len  int
	}{{"subjects", f.Subjects == nil, len(f.Subjects)}, {"resources", f.Resources == nil, len(f.Resources)}, {"actions", f.Actions == nil, len(f.Actions)}} {
		if !n.nil && n.len == 0 || n.len > maxTypes {
			return fmt.Errorf("%w: %s: `%s` has %d entries: give 1 to %d, or leave it out for the defaults", bridge.ErrConfig, m.name, n.what, n.len, maxTypes)
		}
	}
	for i := range f.Subjects {
		if err := m.subject(i, &f.Subjects[i]); err != nil {
			return err
		}
	}
	for i := range f.Resources {
		if err := m.resource(i, &f.Resources[i]); err != nil {
			return err
		}
	}
	for i := range f.Actions {
		if err := m.action(i, &f.Actions[i]); err != nil {
			return err
		}
	}
	var err error
	if m.context, err = m.keys(inContext, f.Context); err != nil {
		return err
	}
	return m.distinct(f)
}

// general takes what stands at the top.
func (m *mapping) general(f *file) error {
	if f.URL.Given() {
		u, err := url.Parse(f.URL.Value)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(f.URL.Value, "?#") || strings.HasSuffix(u.Path, "/") || strings.Trim(u.EscapedPath(), pathLetters) != "" || strings.Contains(u.Path, "//") {
			return m.at(f.URL.Line, "`url` is not that of a decision point: give https://HOST or https://HOST/PATH, without a query, a fragment or a slash at the end")
		}
		m.url = f.URL.Value
	}
	if f.Service.Given() {
		if err := authz.CheckAction(f.Service.Value + ":x"); err != nil || strings.Contains(f.Service.Value, ":") {
			return m.at(f.Service.Line, "`service` %q is not the name of a service: give letters, digits, - and .", f.Service.Value)
		}
		m.service = f.Service.Value
	}
	if f.Account.Given() {
		m.account = f.Account.Value
		if err := authz.CheckPrincipal("arn:aws:iam::" + m.account + ":root"); err != nil {
			return m.at(f.Account.Line, "`account` %q is not a number of 12 digits", m.account)
		}
	}
	return nil
}

// pathLetters are those of a path that a decision point is under.
const pathLetters = "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

func (m *mapping) subject(i int, row *subjectRow) error {
	switch {
	case row.Type.Value == "":
		return m.open("subject", i, inType)
	case row.Principal.Value == "":
		return m.open("subject", i, "principal")
	}
	arn, err := m.pattern(row.Principal)
	if err != nil {
		return err
	}
	if err := authz.CheckPrincipal(m.sample(arn)); err != nil {
		return m.at(row.Principal.Line, "`principal` makes of the id x: %v", err)
	}
	k, err := m.keys(inSubject, row.Properties)
	m.subjects = append(m.subjects, kindOf{name: row.Type.Value, arn: arn, keys: k, line: row.Type.Line})
	return err
}

func (m *mapping) resource(i int, row *resourceRow) error {
	switch {
	case row.Type.Value == "":
		return m.open("resource", i, inType)
	case row.ARN.Value == "":
		return m.open("resource", i, "arn")
	}
	arn, err := m.pattern(row.ARN)
	if err != nil {
		return err
	}
	if arn != (pattern{}) { // "{id}" alone: the id is the ARN
		if err := authz.CheckResource(m.sample(arn)); err != nil {
			return m.at(row.ARN.Line, "`arn` makes of the id x: %v", err)
		}
	}
	k, err := m.keys(inResource, row.Properties)
	if err != nil {
		return err
	}
	rows, name := row.List, m.name
	if row.File.Given() {
		if row.List != nil {
			return m.at(row.File.Line, "resources of a type are in `list` or in `file`, not in both")
		}
		if name = row.File.Value; !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(m.name), name)
		}
		if err := bridge.ReadFile(name, &rows); err != nil {
			return fmt.Errorf("%s: line %d: %w", m.name, row.File.Line, err)
		}
	}
	list, err := (&mapping{name: name, service: m.service}).listed(rows, k, arn)
	m.resources = append(m.resources, kindOf{name: row.Type.Value, arn: arn, keys: k, list: list, line: row.Type.Line})
	return err
}

// listed takes the resources of a type.
func (m *mapping) listed(rows []listedRow, k keys, arn pattern) (all []listed, err error) {
	if len(rows) > maxListed {
		return nil, fmt.Errorf("%w: %s: it lists %d resources of one type: list at most %d", bridge.ErrConfig, m.name, len(rows), maxListed)
	}
	lines := map[string]int{}
	for i := range rows {
		id := rows[i].ID
		if id.Value == "" {
			return nil, m.open("listed resource", i, inID)
		}
		if line := lines[id.Value]; line > 0 {
			return nil, m.at(id.Line, "the resource %q is listed before, on line %d", id.Value, line)
		}
		lines[id.Value] = id.Line
		if err := authz.CheckResource(arn.in(longest, "123456789012").of(id.Value)); err != nil {
			return nil, m.at(id.Line, "%v", err)
		}
		e := entries{}
		for _, name := range slices.Sorted(maps.Keys(rows[i].Properties)) {
			v := rows[i].Properties[name]
			if !v.many && len(v.list) == 0 {
				return nil, m.at(id.Line, "the resource %q: the property %q has no value", id.Value, name)
			}
			if err := e.add(m.key(inResource, k, name), v.list, v.many); err != nil {
				return nil, m.at(id.Line, "the resource %q: %v", id.Value, err)
			}
		}
		all = append(all, listed{id.Value, e.list})
	}
	slices.SortFunc(all, func(a, b listed) int { return strings.Compare(a.id, b.id) })
	return all, nil
}

func (m *mapping) action(i int, row *actionRow) error {
	switch {
	case row.Name.Value == "":
		return m.open("action", i, inName)
	case row.Action.Value == "":
		return m.open("action", i, inAction)
	}
	if err := authz.CheckAction(row.Action.Value); err != nil {
		return m.at(row.Action.Line, "%v", err)
	}
	if row.On.Given() && m.resources != nil && m.resourceKind(row.On.Value) == nil {
		return m.at(row.On.Line, "the action is `on` %q, which is no type under `resources`", row.On.Value)
	}
	k, err := m.keys(inAction, row.Properties)
	m.actions = append(m.actions, verb{row.Name.Value, row.Action.Value, row.On.Value, k, row.Name.Line})
	return err
}

// pattern reads an ARN with an id in it.
func (m *mapping) pattern(t bridge.Text) (p pattern, err error) {
	before, after, ok := strings.Cut(t.Value, theID)
	if !ok || strings.Contains(after, theID) {
		return p, m.at(t.Line, "%q has no %s, or more than one: all ids, or none, would be the same", t.Value, theID)
	}
	known := strings.NewReplacer(thePartition, "", theAccount, "")
	if strings.ContainsAny(known.Replace(before)+after, "{}") {
		return p, m.at(t.Line, "%q has braces around something else than id and, before it, partition and account", t.Value)
	}
	if m.account != "" {
		before = strings.ReplaceAll(before, theAccount, m.account)
	}
	return pattern{before, after}, nil
}

// sample is an ARN of a pattern.
func (m *mapping) sample(p pattern) string { return p.in("aws", "123456789012").of("x") }

// longest is the partition with the longest name.
const longest = "aws-us-gov"

// in is the pattern in a partition and an account.
func (p pattern) in(partition, account string) pattern {
	return pattern{strings.NewReplacer(thePartition, partition, theAccount, account).Replace(p.before), p.after}
}

// of is the ARN of an id.
func (p pattern) of(id string) string { return p.before + id + p.after }

// id is that of an ARN; empty if it has none of the pattern.
func (p pattern) id(arn string) string {
	rest, ok := strings.CutPrefix(arn, p.before)
	if !ok {
		return ""
	}
	if rest, ok = strings.CutSuffix(rest, p.after); !ok {
		return ""
	}
	return rest
}

// The types of subjects without a mapping.
const (
	typeUser = "user"
	typeRole = "role"
)

// subjectKind is a type of subjects; nil for one that is not mapped.
func (m *mapping) subjectKind(name string) *kindOf {
	if m.subjects == nil && (name == typeUser || name == typeRole) {
		return &kindOf{name: name, arn: pattern{before: "arn:" + thePartition + ":iam::" + theAccount + ":" + name + "/"}}
	}
	return named(m.subjects, name)
}

// resourceKind is a type of resources; nil for one that is not mapped.
func (m *mapping) resourceKind(name string) *kindOf {
	if m.resources == nil && name != "" && strings.Trim(name, typeLetters) == "" {
		return &kindOf{name: name, arn: pattern{before: "arn:" + thePartition + ":" + m.service + ":::" + name + "/"}}
	}
	return named(m.resources, name)
}

// typeLetters are those of a resource's type that is in an ARN by itself: a slash would make two
// types one.
const typeLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

func named(list []kindOf, name string) *kindOf {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// verb is an action by a name on a type of resources; nil for one that is not mapped.
func (m *mapping) verb(name, on string) *verb {
	for i := range m.actions {
		if v := &m.actions[i]; v.name == name && (v.on == "" || v.on == on) {
			return v
		}
	}
	switch {
	case m.actions != nil:
		return nil
	case strings.Contains(name, ":"):
		return &verb{name: name, action: name}
	}
	return &verb{name: name, action: m.service + ":" + name}
}

// key is the condition key of a property.
func (m *mapping) key(part string, named keys, name string) policy.Key {
	if k, ok := named[name]; ok {
		return k
	}
	return policy.NewKey(m.service + ":" + part + "/" + name)
}

// keys reads the condition keys of properties of a part.
func (m *mapping) keys(part string, named map[string]bridge.Text) (keys, error) {
	if len(named) > maxTypes {
		return nil, fmt.Errorf("%w: %s: a %s has more than %d properties", bridge.ErrConfig, m.name, part, maxTypes)
	}
	all := keys{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		t := named[name]
		key := policy.NewKey(t.Value)
		if err := authz.CheckContextKey(t.Value); err != nil {
			return nil, m.at(t.Line, "the property %q: %v", name, err)
		}
		for _, other := range [...]string{inSubject, inResource, inAction, inContext} {
			own := m.key(other, nil, "")
			if strings.HasPrefix(string(key), string(own)) && key != m.key(part, nil, name) {
				return nil, m.at(t.Line, "the property %q would be %s, which is another property's: the keys under %s are given by their names", name, t.Value, own)
			}
		}
		for before, other := range all {
			if other == key {
				return nil, m.at(t.Line, "the properties %q and %q would be one condition key, %s", before, name, t.Value)
			}
		}
		all[name] = key
	}
	return all, nil
}
