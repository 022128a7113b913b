package kubernetes

import (
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
)

// User and Principal are the two directions of a mapping.
func (m *Mapping) User(arn string) string {
	name, _ := m.user(arn)
	return name
}

// Principal is who is called so.
func (m *Mapping) Principal(user string) string { return m.principal(user) }

// Question is what the spec of an access review becomes.
func (m *Mapping) Question(spec []byte) (q decision.Question, why string, err error) {
	d, err := bridge.ParseDocument(spec)
	if err != nil {
		return q, "", err
	}
	q, why = m.question(d)
	return q, why, d.Err()
}
