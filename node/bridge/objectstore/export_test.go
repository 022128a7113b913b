package objectstore

import (
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
)

// Question is what a body of MinIO's access plugin becomes.
func (m *MinIO) Question(body []byte) (decision.Question, string, error) {
	return questionOf(body, m.Access)
}

// Question is what a body of the object gateway becomes.
func (m *Ceph) Question(body []byte) (decision.Question, string, error) {
	return questionOf(body, m)
}

func questionOf(body []byte, s store) (decision.Question, string, error) {
	d, err := bridge.ParseDocument(body)
	if err != nil {
		return decision.Question{}, "", err
	}
	q, why := s.question(d.Object("input"))
	return q, why, d.Err()
}
