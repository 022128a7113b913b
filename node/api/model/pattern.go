package model

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// pattern is a pattern of a model, made ready. AWS matches whole values, with
// Java's expressions.
type pattern struct {
	// Almost all patterns ask that every character be of one class. Those are
	// checked with ranges and a table, at a small part of a regexp's cost: policy
	// documents are long.
	class *class
	re    *regexp.Regexp // where class is nil
	// without must not occur in the value: the model's one lookahead, -(?!-).
	without string
}

// class is a character class and how many characters of it there must be.
type class struct {
	ascii    [utf8.RuneSelf]bool
	ranges   []rune // pairs, as in regexp/syntax
	nonEmpty bool
}

// unicodeEscape finds Java's escapes. The models mean U+10000 and U+10FFFF where
// they write five and six digits, as XML Schema does.
var unicodeEscape = regexp.MustCompile(`\\u(10FFFF|10000|[0-9A-Fa-f]{4})`)

// mustCompile makes a pattern ready. All patterns are embedded, and compiled by
// the tests.
func mustCompile(text string) *pattern {
	p := &pattern{}
	expr := unicodeEscape.ReplaceAllString(text, `\x{$1}`)
	if strings.Contains(expr, "-(?!-)") {
		expr = strings.ReplaceAll(expr, "-(?!-)", "-")
		p.without = "--"
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		panic(fmt.Sprintf("pattern %q: %v", text, err))
	}
	if p.class = classOf(tree); p.class == nil {
		p.re = regexp.MustCompile(`\A(?:` + expr + `)\z`)
	}
	return p
}

// classOf returns the class of an expression like [a-z]+ or [a-z]*, nil for
// another one.
func classOf(tree *syntax.Regexp) *class {
	if tree.Op != syntax.OpPlus && tree.Op != syntax.OpStar || tree.Sub[0].Op != syntax.OpCharClass {
		return nil
	}
	c := &class{ranges: tree.Sub[0].Rune, nonEmpty: tree.Op == syntax.OpPlus}
	for r := range c.ascii {
		c.ascii[r] = c.contains(rune(r))
	}
	return c
}

func (c *class) contains(r rune) bool {
	for i := 0; i < len(c.ranges); i += 2 {
		if c.ranges[i] <= r && r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}

func (p *pattern) match(value string) bool {
	if p.class == nil {
		return p.re.MatchString(value) && (p.without == "" || !strings.Contains(value, p.without))
	}
	for _, r := range value {
		if r < utf8.RuneSelf {
			if !p.class.ascii[r] {
				return false
			}
		} else if !p.class.contains(r) {
			return false
		}
	}
	return value != "" || !p.class.nonEmpty
}
