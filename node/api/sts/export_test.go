package sts

import "github.com/writ-iam/writ/node/api/iam"

// Find returns the action of that name.
func Find(name string) (*iam.Action, bool) {
	for i := range table {
		if table[i].Name == name {
			return &table[i], true
		}
	}
	return nil, false
}
