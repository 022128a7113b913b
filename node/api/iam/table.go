package iam

import (
	"slices"
	"strings"
)

// table has every action of IAM that Writ carries out, in order of name.
var table = inOrder(absentActions(), accessKeyActions(), accountActions(), attachmentActions(), boundaryActions(), groupActions(), inlineActions(),
	delegationActions(),
	policyActions(), roleActions(), simulateActions(), tagActions(), userActions(),
	passwordPolicyActions(),
	loginProfileActions(),
	mfaDeviceActions(),
)

func inOrder(lists ...[]Action) []Action {
	return slices.SortedFunc(slices.Values(slices.Concat(lists...)), compareActions)
}

func compareActions(a, b Action) int { return strings.Compare(a.Name, b.Name) }

// Actions returns every action of IAM that Writ carries out, in order of name.
// The caller must not change them. An operation of the service model that is not
// among them is answered with InvalidAction.
func Actions() []Action { return table }

// Find returns the action of that name.
func Find(name string) (*Action, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(a Action, name string) int { return strings.Compare(a.Name, name) })
	if !ok {
		return nil, false
	}
	return &table[i], true
}
