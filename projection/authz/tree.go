package authz

import (
	"fmt"
	"strings"
)

// Node is a line of an explanation with what is below it.
type Node struct {
	Text     string
	Children []Node
}

// String returns the tree as lines, each level indented by two spaces more.
func (n Node) String() string {
	var b strings.Builder
	n.write(&b, "")
	return b.String()
}

func (n Node) write(b *strings.Builder, indent string) {
	b.WriteString(indent + n.Text + "\n")
	for _, c := range n.Children {
		c.write(b, indent+"  ")
	}
}

// layerTitles are the layers in AWS's words.
var layerTitles = [layerCount]string{
	LayerRCP:      "resource control policies",
	LayerSCP:      "service control policies",
	LayerIdentity: "identity-based policies",
	LayerBoundary: "permissions boundary",
	LayerSession:  "session policies",
	LayerResource: "resource-based policy",
}

// Tree returns the explanation for people: the decision, below it the layers
// that take part, below those their statements about the action with the
// conditions that failed.
func (x *Explanation) Tree() Node {
	root := Node{Text: "allowed"}
	switch {
	case x.Free:
		root.Text = "allowed: the action needs no permission"
	case x.Outcome != Allow:
		root.Text = "denied: " + x.Message
	}
	for i := range x.Layers {
		l := &x.Layers[i]
		n := Node{Text: l.title() + ": " + l.verdict()}
		for j := range x.Statements {
			if s := &x.Statements[j]; s.Layer == l.Layer && s.Level == l.Level {
				n.Children = append(n.Children, s.node())
			}
		}
		root.Children = append(root.Children, n)
	}
	return root
}

func (l *LayerResult) title() string {
	if l.Level > 0 {
		return fmt.Sprintf("%s, %d", layerTitles[l.Layer], l.Level)
	}
	return layerTitles[l.Layer]
}

func (l *LayerResult) verdict() string {
	switch {
	case l.Denies:
		return "denied"
	case l.Allows:
		return "allowed"
	case l.Policies == 0:
		return l.lacking("none")
	}
	return l.lacking("no statement allows it")
}

func (l *LayerResult) lacking(what string) string {
	if l.Needed {
		return what + ", but the request needs an allow here"
	}
	return what
}

func (s *StatementResult) node() Node {
	name := fmt.Sprintf("statement %d", s.Index+1)
	if s.Sid != "" {
		name = s.Sid
	}
	n := Node{Text: fmt.Sprintf("%s of %s, line %d: %s ", name, s.Policy.title(), s.Start.Line, s.Effect)}
	if s.Applies {
		n.Text += "applies"
		return n
	}
	n.Text += "does not apply"
	if !s.Principal {
		n.Children = append(n.Children, Node{Text: "another principal"})
	}
	if !s.Resource {
		n.Children = append(n.Children, Node{Text: "another resource"})
	}
	for _, c := range s.Conditions {
		if c.Match {
			continue
		}
		got := "the request has no such key"
		if c.Values != nil {
			got = fmt.Sprintf("the request has %q", c.Values)
		}
		n.Children = append(n.Children, Node{Text: fmt.Sprintf("%s %s: %s", c.Operator, c.Key, got)})
	}
	return n
}

func (p *Policy) title() string {
	switch {
	case p.ARN != "":
		return p.ARN
	case p.Holder != "":
		return fmt.Sprintf("%s of %s %s", p.Name, p.Source, p.Holder)
	}
	return p.Name
}
