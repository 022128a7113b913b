package syntax

import "strings"

// indent is one level of Print.
const indent = "  "

// Print writes a document in canonical form: elements in one order, a list of
// one item as that item, two spaces a level, no HTML escapes. Statements,
// lists, condition operators and keys keep their order. Parsing the result
// gives the same document, positions aside.
func Print(doc *Document) string {
	var p printer
	p.object(func() {
		p.pointer("Version", doc.Version)
		p.pointer("Id", doc.ID)
		p.member("Statement")
		p.open('[')
		for i := range doc.Statements {
			p.item()
			p.statement(&doc.Statements[i])
		}
		p.close(']')
	})
	p.out.WriteByte('\n')
	return p.out.String()
}

// PrintCondition writes the value of a Condition as Print does; nothing for nil.
func PrintCondition(e *ConditionElement) string {
	var p printer
	p.condition(e)
	return p.out.String()
}

// printer writes JSON. empty tells that the innermost object or array has no
// member yet.
type printer struct {
	out   strings.Builder
	level int
	empty bool
}

func (p *printer) open(c byte) {
	p.out.WriteByte(c)
	p.level++
	p.empty = true
}

func (p *printer) close(c byte) {
	p.level--
	if !p.empty {
		p.line()
	}
	p.empty = false
	p.out.WriteByte(c)
}

func (p *printer) line() {
	p.out.WriteByte('\n')
	for range p.level {
		p.out.WriteString(indent)
	}
}

// item begins the next element of an array or member of an object.
func (p *printer) item() {
	if !p.empty {
		p.out.WriteByte(',')
	}
	p.line()
	p.empty = false
}

func (p *printer) member(name string) {
	p.item()
	p.string(name)
	p.out.WriteString(": ")
}

func (p *printer) object(members func()) {
	p.open('{')
	members()
	p.close('}')
}

// string writes a JSON string. Only what RFC 8259 demands is escaped.
func (p *printer) string(text string) {
	const hex = "0123456789abcdef"
	p.out.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			p.out.WriteByte('\\')
			p.out.WriteByte(c)
		case c == '\n':
			p.out.WriteString(`\n`)
		case c == '\t':
			p.out.WriteString(`\t`)
		case c < ' ':
			p.out.WriteString(`\u00`)
			p.out.WriteByte(hex[c>>4])
			p.out.WriteByte(hex[c&15])
		default:
			p.out.WriteByte(c)
		}
	}
	p.out.WriteByte('"')
}

func (p *printer) pointer(name string, text *Text) {
	if text != nil {
		p.member(name)
		p.string(text.Value)
	}
}

func (p *printer) list(name string, list *List) {
	if list == nil {
		return
	}
	p.member(name)
	if len(list.Items) == 1 {
		p.string(list.Items[0].Value)
		return
	}
	p.open('[')
	for _, item := range list.Items {
		p.item()
		p.string(item.Value)
	}
	p.close(']')
}

func (p *printer) statement(s *Statement) {
	p.object(func() {
		p.pointer("Sid", s.Sid)
		p.pointer("Effect", &s.Effect)
		p.principal("Principal", s.Principal)
		p.principal("NotPrincipal", s.NotPrincipal)
		p.list("Action", s.Action)
		p.list("NotAction", s.NotAction)
		p.list("Resource", s.Resource)
		p.list("NotResource", s.NotResource)
		p.condition(s.Condition)
	})
}

func (p *printer) principal(name string, e *PrincipalElement) {
	if e == nil {
		return
	}
	if e.Bare != nil {
		p.pointer(name, e.Bare)
		return
	}
	p.member(name)
	p.object(func() {
		for i := range e.Groups {
			p.list(e.Groups[i].Type.Value, &e.Groups[i].Values)
		}
	})
}

func (p *printer) condition(e *ConditionElement) {
	if e == nil {
		return
	}
	p.member("Condition")
	p.object(func() {
		for i := range e.Blocks {
			p.member(e.Blocks[i].Operator.Value)
			p.object(func() {
				for k := range e.Blocks[i].Keys {
					p.list(e.Blocks[i].Keys[k].Key.Value, &e.Blocks[i].Keys[k].Values)
				}
			})
		}
	})
}
