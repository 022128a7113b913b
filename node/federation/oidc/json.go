package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
)

// maxDepth is how deep the JSON of a token nests at most, and maxValues how many values it has:
// each takes many times the memory that it has as text.
const (
	maxDepth  = 8
	maxValues = 1024
)

var errJSON = errors.New("not one JSON object whose members have names of their own")

// parseObject reads a JSON object, of which no member is there twice. Numbers are of type
// json.Number.
func parseObject(text []byte) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	left := maxValues
	v, err := parseValue(d, 0, &left)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if _, err := d.Token(); !ok || !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return object, nil
}

// parseValue reads a value, at a depth. left is how many there may be more.
func parseValue(d *json.Decoder, depth int, left *int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errJSON, err)
	}
	if *left--; *left < 0 {
		return nil, fmt.Errorf("%w: more than %d values", errJSON, maxValues)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("%w: deeper than %d", errJSON, maxDepth)
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1, left)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	object, seen := map[string]any{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || seen[casefold.Key(name)] {
			return nil, errJSON
		}
		seen[casefold.Key(name)] = true
		if object[name], err = parseValue(d, depth+1, left); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return object, err
}
