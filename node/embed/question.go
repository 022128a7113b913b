package embed

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Question asks whether a principal may do something, and how fresh the answer must be. The zero values
// of its last two fields are the safe ones.
type Question struct {
	// Principal is the ARN of a user, a role, a session of a role or a root.
	Principal string
	// Action is one action, such as s3:GetObject, in any letter case.
	Action string
	// Resource is an ARN; "*" or nothing for an action without resources.
	Resource string
	// Context has the condition keys of the request, each once: up to decision.MaxContextKeys.
	// aws:CurrentTime, and the keys that tell of the principal, are known without it.
	Context []Entry

	// Any takes an answer from a view that nobody knows to be current, too: then an allow is told
	// as one, and flagged. Without it an allow that no lease covers is Indeterminate.
	Any bool
	// MaxStaleness, where positive, refuses an answer that may be staler, with ErrTooStale.
	MaxStaleness time.Duration
}

// ErrQuestion is returned for a question that cannot be answered: whatever was said would mean nothing.
var ErrQuestion = errors.New("the question cannot be answered")

// Key is the name of a condition key, checked. Make it once, and use it for many questions.
type Key struct{ key policy.Key }

// NewKey returns the key of a name, such as aws:SourceIp, in any letter case. The error is ErrQuestion.
func NewKey(name string) (Key, error) {
	if err := authz.CheckContextKey(name); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	return Key{policy.NewKey(name)}, nil
}

// Entry is a condition key with its values.
type Entry struct{ entry policy.Entry }

// Single is the entry of a key that has one value by its type.
func (k Key) Single(value string) Entry { return Entry{policy.Single(k.key, value)} }

// Multi is the entry of a key that is multivalued by its type, with up to decision.MaxContextValues. The values
// are copied.
func (k Key) Multi(values ...string) Entry {
	return Entry{policy.Multi(k.key, slices.Clone(values))}
}

// read puts a question into the room for it. The error is ErrQuestion.
func (s *scratch) read(q *Question) error {
	resource := q.Resource
	if resource == "" {
		resource = "*"
	}
	for _, err := range [...]error{authz.CheckAction(q.Action), authz.CheckResource(resource)} {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrQuestion, err)
		}
	}
	if len(q.Context) > decision.MaxContextKeys {
		return fmt.Errorf("%w: the context has more than %d keys", ErrQuestion, decision.MaxContextKeys)
	}
	s.context = s.context[:0]
	for i := range q.Context {
		e := &q.Context[i].entry
		switch {
		case e.Key == "":
			return fmt.Errorf("%w: entry %d of the context has no key: make it by NewKey", ErrQuestion, i+1)
		case len(e.Values) > decision.MaxContextValues:
			return fmt.Errorf("%w: a condition key has more than %d values", ErrQuestion, decision.MaxContextValues)
		}
		for j := range s.context {
			if s.context[j].Key == e.Key {
				return fmt.Errorf("%w: the condition key %s is given twice", ErrQuestion, e.Key)
			}
		}
		s.context = append(s.context, *e)
	}
	s.question = decision.Question{Principal: q.Principal, Action: q.Action, Resource: resource, Context: s.context}
	return nil
}
