package decision

import (
	"strconv"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of a question.
const (
	// MaxBatch is how many questions one request may ask.
	MaxBatch = 1000
	// MaxContextKeys bounds the context of one question, and MaxContextValues each key of it.
	MaxContextKeys   = 256
	MaxContextValues = 1000
	// answerSize is about what an answer takes, in bytes.
	answerSize = 512
)

// Hints for those who ask.
const (
	Hint      = `Send {"principal": ARN, "action": "service:Action", "resource": ARN, "context": {"prefix:key": "value" or ["value", ...]}}.`
	batchHint = `Send {"questions": [...]}, each as for /v1/authorize; with "defaults" for members that they lack, "semantics" and "errors": "each" if wanted.`
)

// Question asks whether a principal may do something.
type Question struct {
	Principal string // ARN
	Action    string
	Resource  string // ARN, or "*"
	Context   []policy.Entry
	Given     string // the context's JSON, as it was given
	Explain   bool   // ask for the statements that decided

	trustShown bool // who asks may see the trust policy of the role that it is about

	given int   // the members that it came with
	wrong error // why it is no question: it is one of a batch
}

// Members of a question. HasExtra is the first bit that is free for more.
const (
	hasPrincipal = 1 << iota
	hasAction
	hasResource
	hasContext
	hasExplain
	HasExtra
)

// Parse reads a question from the body of a request.
func Parse(body []byte) (q Question, err error) {
	err = Decode(body, Hint, func(r *Reader) error { return r.question(&q) })
	return q, err
}

// Body is the question as other nodes are asked it.
func (q *Question) Body() []byte {
	given := q.Given
	if given == "" {
		given = "{}"
	}
	b := append(make([]byte, 0, answerSize), `{"principal":`...)
	b = append(appendJSON(b, q.Principal), `,"action":`...)
	b = append(appendJSON(b, q.Action), `,"resource":`...)
	b = append(appendJSON(b, q.Resource), `,"context":`...)
	return append(append(b, given...), '}')
}

// question reads one question. No member is given twice.
func (r *Reader) question(q *Question) error { return r.QuestionAnd(q, nil) }

// QuestionAnd reads a question with more members: extra reads one of a name, and
// returns a bit of its own from HasExtra on, or 0 for a name that it does not know.
func (r *Reader) QuestionAnd(q *Question, extra func(name string) (int, error)) error {
	err := r.members(q, extra)
	if q.given&hasResource == 0 {
		q.Resource = everything
	}
	return err
}

// everything is the resource of a question that names none.
const everything = "*"

// members reads the members that a question is given.
func (r *Reader) members(q *Question, extra func(name string) (int, error)) error {
	return r.Object(func(name string) (err error) {
		member := 0
		switch name {
		case "principal":
			member = hasPrincipal
			q.Principal, err = r.String()
		case "action":
			member = hasAction
			q.Action, err = r.String()
		case "resource":
			member = hasResource
			q.Resource, err = r.String()
		case "context":
			member = hasContext
			err = r.context(q)
		case "explain":
			member = hasExplain
			q.Explain, err = r.bool()
		default:
			if extra != nil {
				member, err = extra(name)
			}
			if member == 0 && err == nil {
				return r.fail("a question has no member " + fault.Quote(name))
			}
		}
		if q.given&member != 0 {
			return r.fail("the member " + fault.Quote(name) + " is given twice")
		}
		q.given |= member
		return err
	})
}

// context reads condition keys and their values: a text, or a list for a key that
// is multivalued by its type.
func (r *Reader) context(q *Question) error {
	r.peek()
	from := r.at
	defer func() { q.Given = r.text[from:r.at] }()
	return r.Object(func(name string) error {
		if err := authz.CheckContextKey(name); err != nil {
			return r.fail(err.Error())
		}
		key := policy.NewKey(name)
		for i := range q.Context {
			if q.Context[i].Key == key {
				return r.fail("the condition key " + fault.Quote(name) + " is given twice")
			}
		}
		if len(q.Context) == MaxContextKeys {
			return r.fail("the context has more than " + strconv.Itoa(MaxContextKeys) + " keys")
		}
		if r.peek() == '"' {
			value, err := r.String()
			q.Context = append(q.Context, policy.Single(key, value))
			return err
		}
		var values []string
		err := r.Array(func() error {
			if len(values) == MaxContextValues {
				return r.fail("a condition key has more than " + strconv.Itoa(MaxContextValues) + " values")
			}
			value, err := r.String()
			values = append(values, value)
			return err
		})
		q.Context = append(q.Context, policy.Multi(key, values))
		return err
	})
}

// Check says what is wrong with a question beyond its form: what would be answered
// and mean nothing is refused.
func (q *Question) Check() error {
	if q.wrong != nil {
		return fault.BadRequest(Hint, "The question is not the JSON that is expected: %v.", q.wrong)
	}
	if err := authz.CheckPrincipal(q.Principal); err != nil {
		return meaningless(err)
	}
	return q.CheckAsked()
}

// CheckAsked is Check but for the principal.
func (q *Question) CheckAsked() error {
	for _, err := range [...]error{authz.CheckAction(q.Action), authz.CheckResource(q.Resource)} {
		if err != nil {
			return meaningless(err)
		}
	}
	return nil
}

func meaningless(err error) error {
	return fault.BadRequest(Hint, "The question cannot be answered: %v.", err)
}
