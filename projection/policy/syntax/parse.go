package syntax

import "fmt"

// MaxDocument is the most bytes of a policy document that Parse reads. The largest
// managed policy of AWS has 135 KB, more than the policyDocumentType of the IAM API
// lets anybody else send. The limits by kind of policy are smaller and count
// differently; see Kind.Limit.
const MaxDocument = 176 << 10

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

// Malformed makes the error of a place.
func Malformed(at Position, message, detail string) *MalformedError {
	return &MalformedError{Message: message, Detail: detail, Line: at.Line, Column: at.Column}
}

// AWS has two parsers. Identity policies have one message for everything that
// the grammar refuses; policies with principals have many. The messages of the
// second are in the rules below.
const (
	messageSyntax       = "Syntax errors in policy."
	messageJSON         = "This policy contains invalid Json"
	messageVersion      = "The policy must contain a valid version string"
	messageNoStatements = "Could not parse the policy: Statement is empty!"
	MessageOrganization = "The provided policy document does not meet the requirements of the specified policy type."
)

// Parse reads a policy document of any kind. It checks what AWS calls syntax:
// JSON, known elements at most once each, their types, a known version, one of
// Action and NotAction and so on, known condition operators. The error is a
// *MalformedError with the message for identity policies. Package valid
// does the rest, and both with the messages for the kind. What is longer than
// MaxDocument is not read: the error is a *SizeError.
//
// Beyond JSON: a repeated member is an error, as AWS has it, and the text must
// be valid UTF-8 of at most MaxDocument bytes.
func Parse(text string) (*Document, error) { return ParseAs(text, KindManaged) }

// ParseAs is Parse for one kind of policy: with its messages, and with what only the
// grammar of the kind refuses.
func ParseAs(text string, kind Kind) (*Document, error) {
	if len(text) > MaxDocument {
		return nil, &SizeError{Kind: kind, Size: len(text), Limit: MaxDocument}
	}
	p := parser{scan: newScanner(text), kind: kind}
	p.advance()
	if !p.isPunct('{') {
		p.failJSON("want an object")
	}
	doc := p.document()
	if p.err == nil && p.tok.kind != tokenEnd {
		p.failJSON("text after the document")
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
	kind Kind
	err  *MalformedError
}

// principals tells that the kind has AWS's second parser.
func (p *parser) principals() bool { return p.kind == KindTrust || p.kind == KindResource }

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	p.tok = p.scan.next()
	if p.tok.kind == tokenInvalid {
		p.fail(p.scan.at, messageJSON, "no JSON")
	}
}

// fail records the first error. message is that of policies with principals.
func (p *parser) fail(at Position, message, detail string) {
	if p.err != nil {
		return
	}
	switch {
	case p.kind.Organization():
		message = MessageOrganization
	case !p.principals():
		message = messageSyntax
	}
	p.err = Malformed(at, message, detail)
	p.tok = token{kind: tokenInvalid, Position: at}
}

// failJSON refuses the token because the text is no JSON with it.
func (p *parser) failJSON(detail string) { p.fail(p.tok.Position, messageJSON, detail) }

// failToken refuses the token because a policy has no such value here. AWS
// names the place after the token, but after the quote that opens a string.
func (p *parser) failToken(detail string) {
	if p.tok.kind == tokenEnd || p.tok.kind == tokenPunct && p.tok.punct != '{' && p.tok.punct != '[' {
		p.failJSON(detail)
		return
	}
	at := p.tok.end
	if p.tok.kind == tokenString {
		at = p.tok.Position
		at.Column++
	}
	p.fail(p.tok.Position, fmt.Sprintf("Syntax error at position (%d,%d)", at.Line, at.Column), detail)
}

func (p *parser) isPunct(c byte) bool { return p.tok.kind == tokenPunct && p.tok.punct == c }

func (p *parser) punct(c byte) {
	if !p.isPunct(c) {
		p.failJSON(fmt.Sprintf("want %q", c))
		return
	}
	p.advance()
}

// object reads an object and calls member for each name, with the value next.
// Names must differ. It returns the position after the object.
func (p *parser) object(member func(name Text)) (end Position) {
	if !p.isPunct('{') {
		p.failToken("want an object")
	}
	p.punct('{')
	seen := make(map[string]bool)
	for first := true; p.err == nil && !p.isPunct('}'); first = false {
		if !first {
			p.punct(',')
		}
		if p.tok.kind != tokenString {
			p.failJSON("want a member name")
		}
		name := Text{Value: p.tok.text, Position: p.tok.Position}
		p.advance()
		if seen[name.Value] {
			p.failTwice(name, name.Value)
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

func (p *parser) failTwice(name Text, element string) {
	p.fail(name.Position, "Statement/policy already has instance of "+element, fmt.Sprintf("%q twice", element))
}

func (p *parser) failUnknown(name Text) {
	p.fail(name.Position, "Unknown field "+name.Value, fmt.Sprintf("unknown element %q", name.Value))
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
	if p.tok.kind != tokenString {
		p.failToken("want " + what)
		return Text{}
	}
	t := Text{Value: p.tok.text, Position: p.tok.Position}
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
