package policy

import "fmt"

// MaxDocument is the most bytes of a policy document that Parse reads: the
// largest policyDocumentType of the IAM API. The limits by kind of policy are
// smaller and count differently; see Kind.Limit.
const MaxDocument = 131072

// MalformedError is returned for a document that AWS refuses with the code
// MalformedPolicyDocument. Message is AWS's text, exactly; the position is
// ours and points at the element that is wrong.
type MalformedError struct {
	Message string
	Line    int
	Column  int
	// Detail says in our words what is wrong where AWS's message does not. May
	// be empty; not a part of what AWS clients see.
	Detail string
}

// Error gives AWS's message with the place.
func (e *MalformedError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("%d:%d: %s (%s)", e.Line, e.Column, e.Message, e.Detail)
}

func malformed(at Position, message, detail string) *MalformedError {
	return &MalformedError{Message: message, Detail: detail, Line: at.Line, Column: at.Column}
}

const messageSyntax = "Syntax errors in policy."

// Parse reads a policy document of any kind. It checks what AWS calls syntax:
// JSON, known elements at most once each, their types, a known version, one of
// Action and NotAction and so on, known condition operators. The error is a
// *MalformedError. Validate does the rest.
//
// Beyond JSON: a repeated member is an error, as AWS has it, and the text must
// be valid UTF-8 of at most MaxDocument bytes.
func Parse(text string) (doc *Document, err error) {
	if len(text) > MaxDocument {
		return nil, malformed(Position{1, 1}, messageSyntax, fmt.Sprintf("longer than %d bytes", MaxDocument))
	}
	p := parser{scan: newScanner(text)}
	p.advance()
	doc = p.document()
	if p.err == nil && p.tok.kind != tokenEnd {
		p.fail(p.tok.Position, "text after the document")
	}
	if p.err != nil {
		return nil, p.err
	}
	return doc, nil
}

// parser is a recursive descent over the fixed grammar of policies; it never
// nests deeper than a list in a condition. After the first error tok is
// tokenInvalid, which no rule accepts, so that every loop ends.
type parser struct {
	scan scanner
	tok  token
	err  *MalformedError
}

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	p.tok = p.scan.next()
	if p.tok.kind == tokenInvalid {
		p.fail(p.scan.at, "no JSON")
	}
}

func (p *parser) fail(at Position, detail string) {
	if p.err == nil {
		p.err = malformed(at, messageSyntax, detail)
		p.tok = token{kind: tokenInvalid, Position: at}
	}
}

func (p *parser) isPunct(c byte) bool { return p.tok.kind == tokenPunct && p.tok.punct == c }

func (p *parser) punct(c byte) {
	if !p.isPunct(c) {
		p.fail(p.tok.Position, fmt.Sprintf("want %q", c))
		return
	}
	p.advance()
}

// object reads an object and calls member for each name, with the value next.
// Names must differ.
func (p *parser) object(member func(name Text)) (end Position) {
	p.punct('{')
	seen := make(map[string]bool)
	for first := true; p.err == nil && !p.isPunct('}'); first = false {
		if !first {
			p.punct(',')
		}
		name := p.text("a member name")
		if seen[name.Value] {
			p.fail(name.Position, fmt.Sprintf("%q twice", name.Value))
		}
		seen[name.Value] = true
		p.punct(':')
		if p.err == nil {
			member(name)
		}
	}
	end = p.tok.end
	p.punct('}')
	return end
}

// array reads an array and calls item for each element.
func (p *parser) array(item func()) {
	p.punct('[')
	for first := true; p.err == nil && !p.isPunct(']'); first = false {
		if !first {
			p.punct(',')
		}
		if p.err == nil {
			item()
		}
	}
	p.punct(']')
}

// text reads a string.
func (p *parser) text(what string) Text {
	t := Text{Value: p.tok.text, Position: p.tok.Position}
	if p.tok.kind != tokenString {
		p.fail(p.tok.Position, "want "+what)
		return Text{}
	}
	p.advance()
	return t
}

func (p *parser) textPointer(what string) *Text {
	t := p.text(what)
	return &t
}

// scalar reads a condition value: a string, or a boolean or number that
// stands for its spelling.
func (p *parser) scalar() Text {
	if p.tok.kind == tokenBool || p.tok.kind == tokenNumber {
		t := Text{Value: p.tok.text, Position: p.tok.Position}
		p.advance()
		return t
	}
	return p.text("a string")
}

// list reads one item or an array of them.
func (p *parser) list(item func() Text) List {
	l := List{Position: p.tok.Position}
	if !p.isPunct('[') {
		l.Items = []Text{item()}
		return l
	}
	p.array(func() { l.Items = append(l.Items, item()) })
	return l
}

func (p *parser) strings(what string) *List {
	l := p.list(func() Text { return p.text(what) })
	return &l
}

func (p *parser) document() *Document {
	doc := &Document{Position: p.tok.Position}
	statements := false
	end := p.object(func(name Text) {
		switch name.Value {
		case "Version":
			doc.Version = p.textPointer("a version")
			if v := doc.Version.Value; v != Version2008 && v != Version2012 {
				p.fail(doc.Version.Position, fmt.Sprintf("unknown version %q", v))
			}
		case "Id":
			doc.ID = p.textPointer("an id")
		case "Statement":
			statements = true
			doc.Statements = p.statements()
		default:
			p.fail(name.Position, fmt.Sprintf("unknown element %q", name.Value))
		}
	})
	if !statements {
		p.fail(end, "no Statement")
	}
	return doc
}

func (p *parser) statements() []DocumentStatement {
	at := p.tok.Position
	if !p.isPunct('[') {
		return []DocumentStatement{p.statement()}
	}
	var all []DocumentStatement
	p.array(func() { all = append(all, p.statement()) })
	if len(all) == 0 {
		p.fail(at, "no statement")
	}
	return all
}

func (p *parser) statement() DocumentStatement {
	s := DocumentStatement{Position: p.tok.Position}
	s.End = p.object(func(name Text) { p.element(&s, name) })
	switch {
	case s.Effect.Value == "":
		p.fail(s.Position, "no Effect")
	case s.Action != nil && s.NotAction != nil:
		p.fail(s.NotAction.Position, "Action and NotAction in one statement")
	case s.Resource != nil && s.NotResource != nil:
		p.fail(s.NotResource.Position, "Resource and NotResource in one statement")
	case s.Principal != nil && s.NotPrincipal != nil:
		p.fail(s.NotPrincipal.Position, "Principal and NotPrincipal in one statement")
	}
	return s
}

func (p *parser) element(s *DocumentStatement, name Text) {
	switch name.Value {
	case "Sid":
		s.Sid = p.textPointer("a statement id")
	case "Effect":
		s.Effect = p.text("an effect")
		if effectOf(s.Effect.Value) == 0 {
			p.fail(s.Effect.Position, fmt.Sprintf("unknown effect %q", s.Effect.Value))
		}
	case "Principal":
		s.Principal = p.principal()
	case "NotPrincipal":
		s.NotPrincipal = p.principal()
	case "Action":
		s.Action = p.strings("an action")
	case "NotAction":
		s.NotAction = p.strings("an action")
	case "Resource":
		s.Resource = p.strings("a resource")
	case "NotResource":
		s.NotResource = p.strings("a resource")
	case "Condition":
		s.Condition = p.condition()
	default:
		p.fail(name.Position, fmt.Sprintf("unknown element %q", name.Value))
	}
}

func (p *parser) principal() *PrincipalElement {
	e := &PrincipalElement{Position: p.tok.Position}
	if p.tok.kind == tokenString {
		e.Bare = p.textPointer("a principal")
		return e
	}
	p.object(func(name Text) {
		values := p.strings("a principal")
		e.Groups = append(e.Groups, PrincipalGroup{Type: name, Values: *values})
	})
	return e
}

func (p *parser) condition() *ConditionElement {
	e := &ConditionElement{Position: p.tok.Position}
	p.object(func(name Text) {
		block := ConditionBlock{Operator: name}
		p.object(func(key Text) {
			values := p.list(p.scalar)
			block.Keys = append(block.Keys, ConditionKey{Key: key, Values: values})
		})
		// AWS lets an unknown operator pass as long as it has no keys.
		if _, ok := parseOperator(name.Value); !ok && len(block.Keys) > 0 {
			p.fail(name.Position, fmt.Sprintf("unknown condition operator %q", name.Value))
		}
		e.Blocks = append(e.Blocks, block)
	})
	return e
}
