package policy

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// decisionCase is one line of testdata/decisions.jsonl: identity policies of a
// user or role session within one account, so that the decision is: a Deny
// that applies, else an Allow that applies, else an implicit deny.
type decisionCase struct {
	ID          string
	Action      string
	Resource    string
	Context     map[string][]string
	Multivalued []string
	Policies    []json.RawMessage
	Decision    string
}

func (c *decisionCase) entries() []Entry {
	var all []Entry
	for name, values := range c.Context {
		all = append(all, Single(NewKey(name), ""))
		e := &all[len(all)-1]
		for _, m := range c.Multivalued {
			if NewKey(m) == e.Key {
				*e = Multi(e.Key, values)
			}
		}
		if !e.Multivalued {
			e.Value = values[0]
		}
	}
	return all
}

func TestDecisions(t *testing.T) {
	file, err := os.Open("testdata/decisions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c decisionCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		var ctx Context
		ctx.Add(c.entries())
		decision := "implicitDeny"
		for _, text := range c.Policies {
			doc, err := syntax.Parse(string(text))
			if err != nil {
				t.Fatalf("%s: %v", c.ID, err)
			}
			for _, s := range Compile(doc).Statements {
				if !s.MatchAction(c.Action) || !s.MatchResource(c.Resource, &ctx) || !s.MatchConditions(&ctx) {
					continue
				}
				if s.Effect == syntax.Deny {
					decision = "explicitDeny"
				} else if decision == "implicitDeny" {
					decision = "allow"
				}
			}
		}
		if decision != c.Decision {
			t.Errorf("%s: got %s, want %s\n%s", c.ID, decision, c.Decision, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
