package authzen

import (
	"errors"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/fault"
)

// Limits of a search.
const (
	// maxResults is how many results a page has at most, and where the request asks for no number.
	maxResults = 1000
	// maxAsked is how many decisions a page takes at most. A page that ends there has fewer results
	// and a token.
	maxAsked = 1000
)

// search is one under way.
type search struct {
	k    *asking
	page page
	body []byte // of the results
	n    int    // how many
	left int    // decisions that it may take yet
	more bool   // it ended before its end
}

// begin begins a search; kind is its own, and request what it is about.
func (k *asking) begin(kind byte, request *value) (*search, error) {
	p, err := pageOf(request, kind)
	if err != nil {
		return nil, err
	}
	if k.Seen.Flagged {
		return nil, fault.New(fault.NotLeased, "The node does not know whether its view is fresh enough to say what is allowed.", "")
	}
	return &search{k: k, page: p, left: maxAsked}, nil
}

// try adds a candidate to the results where it is allowed. after is the candidate's place in
// the order of the search. It returns false when the page is full, without the candidate.
func (s *search) try(after string, t *tuple, result func([]byte) []byte) (bool, error) {
	if s.n == s.page.limit || s.left == 0 {
		s.more = true
		return false, nil
	}
	s.left--
	o, err := s.k.decide(t)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code() == fault.Denied && s.page.kind == ofSubjects: // the caller may not ask about this one
	case err != nil:
		return false, err
	case o.allowed:
		if s.n > 0 {
			s.body = append(s.body, ',')
		}
		s.body = result(s.body)
		s.n++
	}
	s.page.after = after
	return true, nil
}

// answer is that of the search.
func (s *search) answer() []byte {
	b := append(make([]byte, 0, len(s.body)+outcomeSize), '{')
	if s.page.asked || s.more {
		b = append(s.page.answer(b, s.n, s.more), ',')
	}
	b = append(b, `"results":[`...)
	b = append(b, s.body...)
	return append(b, "]}"...)
}

// appendEntity writes a subject or a resource.
func appendEntity(b []byte, e entity) []byte {
	b = appendText(append(b, `{"type":`...), e.Type)
	b = appendText(append(b, `,"id":`...), e.ID)
	return append(b, '}')
}

// searchSubject finds the principals of a type that may.
func (k *asking) searchSubject(request *value) ([]byte, error) {
	t, err := tupleOf(request, &tuple{})
	if err != nil {
		return nil, err
	}
	if err := t.wants(inSubject+"."+inType, inAction+"."+inName, inResource+"."+inType, inResource+"."+inID); err != nil {
		return nil, err
	}
	s, err := k.begin(ofSubjects, request)
	if err != nil {
		return nil, err
	}
	of := k.mapping.subjectKind(t.subject.Type)
	if of == nil {
		return s.answer(), nil
	}
	t.subject.properties = value{} // which one would they be of?
	arns := k.arn(of)
	for c := range candidates(k.Seen.View, arns, s.page.after, maxWalked) {
		if c.arn == "" {
			s.page.after, s.more = c.name, true
			break
		}
		if t.subject.ID = arns.id(c.arn); t.subject.ID == "" {
			continue
		}
		if ok, err := s.try(c.name, &t, func(b []byte) []byte { return appendEntity(b, t.subject) }); !ok {
			if err != nil {
				return nil, err
			}
			break
		}
	}
	return s.answer(), nil
}

// searchResource finds the resources of a type, of those that the mapping lists, which the subject
// may use.
func (k *asking) searchResource(request *value) ([]byte, error) {
	t, err := tupleOf(request, &tuple{})
	if err != nil {
		return nil, err
	}
	if err := t.wants(inSubject+"."+inType, inSubject+"."+inID, inAction+"."+inName, inResource+"."+inType); err != nil {
		return nil, err
	}
	s, err := k.begin(ofResources, request)
	if err != nil {
		return nil, err
	}
	of := k.mapping.resourceKind(t.resource.Type)
	if of == nil {
		return s.answer(), nil
	}
	from, found := slices.BinarySearchFunc(of.list, s.page.after, func(l listed, id string) int { return strings.Compare(l.id, id) })
	if found {
		from++
	}
	for i := range of.list[from:] {
		t.resource.ID = of.list[from+i].id
		if ok, err := s.try(t.resource.ID, &t, func(b []byte) []byte { return appendEntity(b, t.resource) }); !ok {
			if err != nil {
				return nil, err
			}
			break
		}
	}
	return s.answer(), nil
}

// listed is a resource of the type by its id; nil if it is not listed.
func (k *kindOf) listed(id string) *listed {
	i, found := slices.BinarySearchFunc(k.list, id, func(l listed, id string) int { return strings.Compare(l.id, id) })
	if !found {
		return nil
	}
	return &k.list[i]
}

// searchAction finds the actions, of those that the mapping names, which the subject may do with
// the resource.
func (k *asking) searchAction(request *value) ([]byte, error) {
	t, err := tupleOf(request, &tuple{})
	if err != nil {
		return nil, err
	}
	if err := t.wants(inSubject+"."+inType, inSubject+"."+inID, inResource+"."+inType, inResource+"."+inID); err != nil {
		return nil, err
	}
	s, err := k.begin(ofActions, request)
	if err != nil {
		return nil, err
	}
	t.action.properties = value{}
	for _, name := range k.mapping.names(t.resource.Type) {
		if name <= s.page.after {
			continue
		}
		t.action.ID = name
		result := func(b []byte) []byte { return append(appendText(append(b, `{"name":`...), name), '}') }
		if ok, err := s.try(name, &t, result); !ok {
			if err != nil {
				return nil, err
			}
			break
		}
	}
	return s.answer(), nil
}

// names are those of the actions on a type of resources, in order.
func (m *mapping) names(on string) (names []string) {
	for i := range m.actions {
		if v := &m.actions[i]; v.on == "" || v.on == on {
			names = append(names, v.name)
		}
	}
	slices.Sort(names)
	return names
}
