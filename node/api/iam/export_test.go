package iam

import (
	"slices"
	"strings"
)

// Methods tells which methods an action has: Answer, or both Command and Render.
func Methods(a Action) (reads, writes bool) {
	_, reads = a.untyped.(untypedRead)
	_, writes = a.untyped.(untypedWrite)
	return reads, writes
}

// OrganizationRoot is the path of the organization's root.
var OrganizationRoot = organizationRoot

// Find returns the action of that name.
func Find(name string) (*Action, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(a Action, name string) int { return strings.Compare(a.Name, name) })
	if !ok {
		return nil, false
	}
	return &table[i], true
}
