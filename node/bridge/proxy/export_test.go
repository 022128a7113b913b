package proxy

import (
	"net/http"

	"github.com/writ-iam/writ/projection/policy"
)

// Question is what a request becomes: the action, the resource and the context as text.
func (m *Mapping) Question(a *Asked) (action, resource string, context map[policy.Key]string, err error) {
	f, err := m.match(a)
	if err != nil {
		return "", "", nil, err
	}
	q, err := f.question()
	context = map[policy.Key]string{}
	for _, e := range q.Context {
		context[e.Key] = e.Value
	}
	return q.Action, q.Resource, context, err
}

// Matching are the rules that match a request, whatever stands before them, by their places.
func (m *Mapping) Matching(a *Asked) (list []int) {
	f, _ := m.match(a)
	for i := range m.Rules {
		if ok, err := m.Rules[i].matches(&f); ok && err == nil && f.host != "" {
			list = append(list, i)
		}
	}
	return list
}

// Source is the client's address.
func (m *Mapping) Source(h http.Header) string { return m.source(&Asked{Header: h}) }

// For tests of parsers.
var (
	CommonName = commonName
	HostOf     = hostOf
	Parameters = parameters
)
