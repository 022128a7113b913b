package syntax

import "fmt"

// The rules of the policy grammar (AWS: "Grammar of the IAM JSON policy
// language"). What only package valid can tell is not here.

func (p *parser) document() *Document {
	doc := &Document{Position: p.tok.Position}
	members, statements := 0, false
	end := p.object(func(name Text) {
		members++
		switch name.Value {
		case "Version":
			doc.Version = p.textPointer("a version")
			if v := doc.Version.Value; v != Version2008 && v != Version2012 {
				p.fail(doc.Version.Position, messageVersion, fmt.Sprintf("unknown version %q", v))
			}
		case "Id":
			doc.ID = p.textPointer("an id")
		case "Statement":
			statements = true
			doc.Single = !p.isPunct('[')
			doc.Statements = p.statements()
		default:
			p.failUnknown(name)
		}
	})
	switch {
	case members == 0:
		p.fail(end, fmt.Sprintf("Syntax error at position (%d,%d)", end.Line, end.Column), "no Statement")
	case !statements:
		p.fail(end, "Missing required field Statement", "no Statement")
	}
	return doc
}

func (p *parser) statements() []Statement {
	at := p.tok.Position
	if !p.isPunct('[') {
		return []Statement{p.statement()}
	}
	var all []Statement
	p.array(func() { all = append(all, p.statement()) })
	if len(all) == 0 {
		p.fail(at, messageNoStatements, "no statement")
	}
	return all
}

func (p *parser) statement() Statement {
	s := Statement{Position: p.tok.Position}
	s.End = p.object(func(name Text) { p.element(&s, name) })
	if p.err == nil {
		p.missing(&s)
	}
	return s
}

// element reads one element of a statement.
func (p *parser) element(s *Statement, name Text) {
	switch name.Value {
	case "Sid":
		s.Sid = p.textPointer("a statement id")
	case "Effect":
		s.Effect = p.effect()
	case "Principal":
		p.either(name, "Principal", s.NotPrincipal != nil)
		s.Principal = p.principal()
	case "NotPrincipal":
		p.either(name, "Principal", s.Principal != nil)
		s.NotPrincipal = p.principal()
	case "Action":
		p.either(name, "Action", s.NotAction != nil)
		s.Action = p.nonempty("Action")
	case "NotAction":
		p.either(name, "Action", s.Action != nil)
		s.NotAction = p.nonempty("Action")
	case "Resource":
		if p.kind == KindTrust {
			p.fail(name.Position, "Has prohibited field Resource", "")
		}
		p.either(name, "Resource", s.NotResource != nil)
		s.Resource = p.nonempty("Resource")
	case "NotResource":
		p.either(name, "Resource", s.Resource != nil)
		s.NotResource = p.nonempty("Resource")
	case "Condition":
		s.Condition = p.condition()
	default:
		p.failUnknown(name)
	}
}

// either refuses an element beside its negation.
func (p *parser) either(name Text, element string, there bool) {
	if there {
		p.failTwice(name, element)
	}
}

// missing refuses a statement without an element that it needs.
func (p *parser) missing(s *Statement) {
	if s.Effect.Value == "" {
		p.fail(s.Position, "Missing required field Effect", "no Effect")
	}
	if !p.principals() {
		return
	}
	if s.Principal == nil && s.NotPrincipal == nil {
		p.fail(s.Position, "Missing required field Principal", "")
	}
	if s.Action == nil && s.NotAction == nil {
		p.fail(s.Position, "Missing required field Action", "")
	}
	if s.Resource == nil && s.NotResource == nil && p.kind == KindResource {
		p.fail(s.Position, "Missing required field Resource", "")
	}
}

// effect reads an effect. For identity policies a wrong letter case is not an
// error of syntax; package valid refuses it later.
func (p *parser) effect() Text {
	e := p.text("an effect")
	if EffectOf(e.Value) == 0 || p.principals() && e.Value != "Allow" && e.Value != "Deny" {
		p.fail(e.Position, "Invalid effect: "+e.Value, fmt.Sprintf("unknown effect %q", e.Value))
	}
	return e
}

// nonempty reads strings, of which a policy with principals needs one.
func (p *parser) nonempty(element string) *List {
	l := p.strings("a string")
	if p.principals() && len(l.Items) == 0 {
		p.failEmpty(l.Position, element)
	}
	return l
}

func (p *parser) failEmpty(at Position, element string) {
	p.fail(at, "Missing required field "+element+" cannot be empty!", "")
}

func (p *parser) principal() *PrincipalElement {
	e := &PrincipalElement{Position: p.tok.Position}
	if p.tok.kind == tokenString {
		if p.principals() && p.tok.text != "*" {
			p.failToken(`a principal without type must be "*"`)
		}
		e.Bare = p.textPointer("a principal")
		return e
	}
	p.object(func(name Text) {
		if p.principals() && principalTypes[name.Value] == PrincipalUnknown {
			p.failToken(fmt.Sprintf("unknown type of principal %q", name.Value))
		}
		values := p.strings("a principal")
		e.Groups = append(e.Groups, PrincipalGroup{Type: name, Values: *values})
	})
	if p.principals() && len(e.Groups) == 0 {
		p.failEmpty(e.Position, "Principal")
	}
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
		if _, ok := ParseOperator(name.Value); !ok && len(block.Keys) > 0 {
			p.fail(name.Position, "Invalid Condition type : "+name.Value,
				fmt.Sprintf("unknown condition operator %q", name.Value))
		}
		e.Blocks = append(e.Blocks, block)
	})
	return e
}
