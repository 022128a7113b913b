package bridge

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Text is a scalar of a mapping, with the line on which it stands; the zero one is not there.
type Text struct {
	Value string
	Line  int
}

// UnmarshalYAML reads a scalar.
func (t *Text) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return fmt.Errorf("line %d: %w", node.Line, errNoText)
	}
	t.Value, t.Line = node.Value, node.Line
	return nil
}

var errNoText = errors.New("here should be a text")

// Given tells whether the mapping has it.
func (t *Text) Given() bool { return t.Line > 0 }
