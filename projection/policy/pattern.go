package policy

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/projection/policy/scalar"
)

// partKind tells what a part of a pattern stands for.
type partKind byte

const (
	partText  partKind = iota // itself
	partOne                   // one character: ?
	partMany                  // any run of characters: *
	partField                 // like partMany, and ends a field of an ARN: may run over colons
	partValue                 // the value of a context key
)

// part is one piece of a pattern.
type part struct {
	kind partKind
	text string // partText: the text; partValue: the default, if any
	key  Key    // partValue
	// hasDefault tells that the variable has a default value.
	hasDefault bool
}

// shape names the patterns that need no general matching.
type shape byte

const (
	shapeGeneral shape = iota
	shapeAny           // "*"
	shapeExact         // head and nothing else
	shapeGlob          // head, then middle texts in order, then tail; * between them
	shapeFields        // the six fields of an ARN, each a pattern
	shapeNone          // matches nothing
)

// maxVariables is how many variables of one pattern are resolved without an
// allocation.
const maxVariables = 8

// pattern is a compiled string of a policy: text with wildcards and variables.
type pattern struct {
	shape  shape
	head   string    // shapeExact, shapeGlob
	tail   string    // shapeGlob
	middle []string  // shapeGlob
	fields []pattern // shapeFields
	parts  []part    // shapeGeneral, shapeNone
	// variables counts the parts of kind partValue.
	variables int
	// symbols are the bytes of its texts, and each ?.
	symbols int
	// confined tells that some wildcard must stay inside a field of an ARN.
	confined bool
}

// special says what is special in a string of a policy.
type special struct {
	variables bool // ${...}
	wildcards bool // * and ?
	arn       bool // wildcards stay inside a field of an ARN, but for the last
	resource  bool // a * at the end of a field runs over colons
}

// compilePattern compiles text.
func compilePattern(text string, syn special) pattern {
	var p pattern
	p.parts, _ = splitParts(text, syn)
	if syn.resource {
		markFields(p.parts)
	}
	for i := range p.parts {
		switch p.parts[i].kind {
		case partValue:
			p.variables++
		case partOne:
			p.symbols++
		case partText:
			p.symbols += len(p.parts[i].text)
		}
	}
	p.confined = syn.arn && hasConfined(p.parts)
	switch {
	case syn.resource && earlyVariable(p.parts):
		p.shape = shapeNone
	case p.variables > 0:
	case len(p.parts) == 0:
		p.shape = shapeExact
	case len(p.parts) == 1 && p.parts[0].kind == partText:
		p.shape, p.head, p.parts = shapeExact, p.parts[0].text, nil
	case !p.confined && !hasKind(p.parts, partOne):
		p.setGlob()
	case p.confined && !syn.resource && strings.Count(text, ":") >= scalar.ARNColons:
		p.shape, p.parts = shapeFields, nil
		for _, field := range strings.SplitN(text, ":", scalar.ARNColons+1) {
			p.fields = append(p.fields, compilePattern(field, special{variables: syn.variables, wildcards: true}))
		}
	}
	return p
}

func hasKind(parts []part, kind partKind) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.kind == kind })
}

// setGlob prepares a pattern of texts with * between them.
func (p *pattern) setGlob() {
	last := len(p.parts) - 1
	p.shape = shapeGlob
	if last == 0 {
		p.shape = shapeAny
	}
	for i := range p.parts {
		switch {
		case p.parts[i].many():
		case i == 0:
			p.head = p.parts[i].text
		case i == last:
			p.tail = p.parts[i].text
		default:
			p.middle = append(p.middle, p.parts[i].text)
		}
	}
	p.parts = nil
}

func (p *part) many() bool { return p.kind == partMany || p.kind == partField }

// splitParts cuts text at wildcards and variables, in steps of about a character.
// Adjacent text is one part and a run of * is one wildcard.
func splitParts(text string, syn special) (parts []part, steps int) {
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, part{kind: partText, text: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		steps++
		if c == '$' && syn.variables {
			v, n, looked := scanVariable(text[i:])
			steps += looked
			if n > 0 {
				i += n
				if v.kind == partText {
					literal.WriteString(v.text)
				} else {
					flush()
					parts = append(parts, v)
				}
				continue
			}
		}
		i++
		switch {
		case c == '*' && syn.wildcards:
			flush()
			if n := len(parts); n == 0 || parts[n-1].kind != partMany {
				parts = append(parts, part{kind: partMany})
			}
		case c == '?' && syn.wildcards:
			flush()
			parts = append(parts, part{kind: partOne})
		default:
			literal.WriteByte(c)
		}
	}
	flush()
	return parts, steps
}

// scanVariable reads a variable at the start of text and returns its length,
// or 0 when there is none: then the "$" is a character like others. looked is how far
// it looked for that.
// "${*}", "${?}" and "${$}" are the text of that one character.
// (AWS: "IAM policy elements: Variables and tags".)
func scanVariable(text string) (v part, n, looked int) {
	if !strings.HasPrefix(text, "${") {
		return part{}, 0, min(len(text), 2)
	}
	if len(text) >= 4 && text[3] == '}' && strings.IndexByte("*?$", text[2]) >= 0 {
		return part{kind: partText, text: text[2:3]}, 4, 4
	}
	// A name ends before anything that it cannot hold, so that the search for its end
	// never passes the beginning of another.
	end := strings.IndexAny(text[2:], "},*?${'\"")
	if end < 0 {
		return part{}, 0, len(text)
	}
	end += 2
	name := text[2:end]
	if name == "" || strings.TrimSpace(name) != name || text[end] != '}' && text[end] != ',' {
		return part{}, 0, end
	}
	v = part{kind: partValue, key: NewKey(name)}
	if text[end] == '}' {
		return v, end + 1, end + 1
	}
	// A default: a comma, then text in single quotes.
	rest := strings.TrimLeft(text[end+1:], " ")
	if !strings.HasPrefix(rest, "'") {
		return part{}, 0, len(text) - len(rest)
	}
	value, tail, ok := strings.Cut(rest[1:], "'")
	tail = strings.TrimLeft(tail, " ")
	if looked = len(text) - len(tail); !ok || !strings.HasPrefix(tail, "}") {
		return part{}, 0, looked
	}
	v.text, v.hasDefault = value, true
	return v, looked + 1, looked + 1
}

// markFields turns each * that ends a field of an ARN into partField.
func markFields(parts []part) {
	for i := range parts {
		if parts[i].kind != partMany {
			continue
		}
		if i+1 == len(parts) || parts[i+1].kind == partText && parts[i+1].text[0] == ':' {
			parts[i].kind = partField
		}
	}
}

// hasConfined tells whether a wildcard stands before the resource field of an
// ARN and must stay inside its field.
func hasConfined(parts []part) bool {
	colons := 0
	for i := range parts {
		switch parts[i].kind {
		case partText:
			colons += strings.Count(parts[i].text, ":")
		case partOne, partMany:
			return colons < scalar.ARNColons
		}
	}
	return false
}

// earlyVariable tells whether a variable stands before the resource field of
// an ARN, where AWS does not replace it.
func earlyVariable(parts []part) bool {
	colons := 0
	for i := range parts {
		if parts[i].kind == partValue {
			return colons < scalar.ARNColons
		}
		colons += strings.Count(parts[i].text, ":")
	}
	return false
}

// resourceField returns the offset of the sixth field of an ARN, or the length
// of text that has fewer.
func resourceField(arn string) int {
	off := 0
	for range scalar.ARNColons {
		n := strings.IndexByte(arn[off:], ':')
		if n < 0 {
			return len(arn)
		}
		off += n + 1
	}
	return off
}

// match reports whether the whole of value matches. A variable without a value
// matches nothing. A variable's value is text: a * in it is no wildcard.
func (p *pattern) match(value string, ctx *Context) bool {
	if ctx.counted() && !ctx.Work.Spend(p.cost(len(value))) {
		return false
	}
	switch p.shape {
	case shapeAny:
		return true
	case shapeExact:
		return value == p.head
	case shapeGlob:
		return p.matchGlob(value)
	case shapeFields:
		return p.matchFields(value, ctx)
	case shapeNone:
		return false
	}
	matched, _ := p.matchGeneral(value, ctx)
	return matched
}

func (p *pattern) matchGlob(value string) bool {
	if len(value) < len(p.head)+len(p.tail) || !strings.HasPrefix(value, p.head) || !strings.HasSuffix(value, p.tail) {
		return false
	}
	value = value[len(p.head) : len(value)-len(p.tail)]
	for _, text := range p.middle {
		i := strings.Index(value, text)
		if i < 0 {
			return false
		}
		value = value[i+len(text):]
	}
	return true
}

func (p *pattern) matchFields(value string, ctx *Context) bool {
	for i := range p.fields[:scalar.ARNColons] {
		end := strings.IndexByte(value, ':')
		if end < 0 || !p.fields[i].match(value[:end], ctx) {
			return false
		}
		value = value[end+1:]
	}
	return p.fields[scalar.ARNColons].match(value, ctx)
}

// matchGeneral first goes through the parts before the first *, which have one
// place each. steps is how many parts, characters and words of sets it went through,
// which is what Work has to pay for.
func (p *pattern) matchGeneral(value string, ctx *Context) (matched bool, steps int) {
	free := 0
	if p.confined {
		free = resourceField(value)
	}
	i, off := 0, 0
	for ; i < len(p.parts) && !p.parts[i].many(); i++ {
		text := p.parts[i].text
		if p.parts[i].kind == partValue {
			var ok bool
			if text, ok = p.parts[i].resolve(ctx); !ok {
				return false, i
			}
		}
		n := p.parts[i].step(text, value, off, free)
		if n < 0 {
			return false, i
		}
		off += n
	}
	rest := p.parts[i:]
	switch {
	case len(rest) == 0:
		return off == len(value), i
	case len(rest) == 1 && off >= free:
		return true, i
	}
	var array [maxVariables]string
	values, ok := resolveAll(array[:0], rest, ctx)
	if !ok {
		return false, len(p.parts)
	}
	matched, steps = matchParts(rest, values, value[off:], max(free-off, 0))
	return matched, len(p.parts) + steps
}

// resolveAll appends the values of the variables in order.
func resolveAll(values []string, parts []part, ctx *Context) ([]string, bool) {
	for i := range parts {
		if parts[i].kind != partValue {
			continue
		}
		text, ok := parts[i].resolve(ctx)
		if !ok {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}

// resolve returns the text of a variable.
func (p *part) resolve(ctx *Context) (string, bool) {
	text, ok, present := ctx.variable(p.key)
	if !ok && !present && p.hasDefault {
		return p.text, true
	}
	return text, ok
}

// choice is a wildcard that matching can come back to: part i with the
// variables before it, and the offset up to which it has taken characters.
type choice struct {
	i, v, off int
}

// matchParts is the usual greedy match of parts that begin with a *: after a
// mismatch the last * takes one more character. Wildcards other than partField
// take a colon only at or after offset free of value. So the last * can be
// stuck at a colon; then the last partField takes one more instead. values
// holds the variables in order. When that takes many steps, an automaton goes on.
func matchParts(parts []part, values []string, value string, free int) (matched bool, steps int) {
	most := allowance(len(parts), len(value))
	var last choice       // the last * of any kind
	wide := choice{i: -1} // the last partField, if any
	i, v, off := 0, 0, 0
	for {
		if i == len(parts) && off == len(value) {
			return true, steps
		}
		if steps++; steps > most {
			matched, more := matchAtOnce(parts, values, value, free)
			return matched, steps + more
		}
		if i < len(parts) && parts[i].many() {
			last = choice{i, v, off}
			if parts[i].kind == partField {
				wide = last
			}
			i++
			continue
		}
		if i < len(parts) {
			text, isValue := parts[i].text, parts[i].kind == partValue
			if isValue {
				text = values[v]
			}
			steps += len(text) / textStep
			if n := parts[i].step(text, value, off, free); n >= 0 {
				if isValue {
					v++
				}
				i, off = i+1, off+n
				continue
			}
		}
		if last.off == len(value) {
			return false, steps
		}
		if last.off < free && value[last.off] == ':' {
			if wide.i < 0 || wide.off == len(value) {
				return false, steps
			}
			last = wide
		}
		last.off += runeLen(value, last.off)
		if last.i == wide.i {
			wide = last
		}
		i, v, off = last.i+1, last.v, last.off
	}
}

// step returns how many bytes of value at off the part takes, or -1 when it
// does not match there. text is the part's text or its variable's value.
func (p *part) step(text, value string, off, free int) int {
	if p.kind == partOne {
		if off == len(value) || off < free && value[off] == ':' {
			return -1
		}
		return runeLen(value, off)
	}
	if strings.HasPrefix(value[off:], text) {
		return len(text)
	}
	return -1
}

// runeLen is the length of the character at off.
func runeLen(value string, off int) int {
	if value[off] < utf8.RuneSelf {
		return 1
	}
	_, size := utf8.DecodeRuneInString(value[off:])
	return size
}

// matchFold is match without regard to letter case, for patterns without
// wildcards.
func (p *pattern) matchFold(value string, ctx *Context) bool {
	if ctx.counted() && !ctx.Work.Spend(1+len(value)) {
		return false
	}
	if p.shape == shapeExact {
		return strings.EqualFold(value, p.head)
	}
	for i := range p.parts {
		text := p.parts[i].text
		if p.parts[i].kind == partValue {
			var ok bool
			if text, ok = p.parts[i].resolve(ctx); !ok {
				return false
			}
		}
		n, ok := foldPrefix(value, text)
		if !ok {
			return false
		}
		value = value[n:]
	}
	return value == ""
}

// foldPrefix reports whether value begins with text without regard to letter
// case, and how many bytes of value that takes.
func foldPrefix(value, text string) (int, bool) {
	off := 0
	for _, want := range text {
		if off == len(value) {
			return 0, false
		}
		size := runeLen(value, off)
		if !strings.EqualFold(value[off:off+size], string(want)) {
			return 0, false
		}
		off += size
	}
	return off, true
}
