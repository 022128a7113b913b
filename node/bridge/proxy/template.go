package proxy

import (
	"fmt"
	"strings"
)

// template is a text with variables, as ${name}.
type template struct {
	literals  []string // one more than variables: what stands around them
	variables []string
}

// maxVariables is how many a template has.
const maxVariables = 16

// parseTemplate reads a template.
func parseTemplate(text string) (t template, err error) {
	for rest := text; ; {
		literal, after, found := strings.Cut(rest, "${")
		t.literals = append(t.literals, literal)
		if !found {
			return t, nil
		}
		name, behind, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			return t, fmt.Errorf("a ${ has no }")
		case name == "":
			return t, fmt.Errorf("${} names no variable")
		case len(t.variables) == maxVariables:
			return t, fmt.Errorf("there are more than %d variables", maxVariables)
		}
		t.variables = append(t.variables, name)
		rest = behind
	}
}

// expand puts values in; "", false where one is missing or empty.
func (t *template) expand(value func(name string) string) (string, bool) {
	if len(t.variables) == 0 {
		return t.literals[0], true
	}
	var b strings.Builder
	for i, name := range t.variables {
		v := value(name)
		if v == "" || len(v) > maxValue {
			return "", false
		}
		b.WriteString(t.literals[i])
		b.WriteString(v)
	}
	b.WriteString(t.literals[len(t.variables)])
	return b.String(), true
}

// sample is the template with a harmless value for each variable.
func (t *template) sample() string {
	text, _ := t.expand(func(string) string { return "xx" })
	return text
}
