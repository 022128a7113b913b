package decision

import (
	"errors"
	"slices"
	"strconv"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
)

// Semantics say when the answers to a list of questions end.
type Semantics uint8

// The semantics, with the meaning that AuthZEN's have.
const (
	// ExecuteAll answers every question.
	ExecuteAll Semantics = iota
	// DenyOnFirstDeny ends behind the first answer that is no allow, an error among them.
	DenyOnFirstDeny
	// PermitOnFirstPermit ends behind the first allow.
	PermitOnFirstPermit
)

// semantics are their names on the wire.
var semantics = [...]string{ExecuteAll: shape.SemanticsAll, DenyOnFirstDeny: shape.SemanticsFirstDeny, PermitOnFirstPermit: shape.SemanticsFirstPermit}

// SemanticsNamed are the semantics of a name on the wire; ok is false for another text.
func SemanticsNamed(name string) (s Semantics, ok bool) {
	i := slices.Index(semantics[:], name)
	return Semantics(max(i, 0)), i >= 0
}

// Batch are questions that are asked together.
type Batch struct {
	Questions []Question
	Semantics Semantics
	// Apart gives a question that has no answer its own problem; else the whole batch is
	// refused for it.
	Apart bool
}

// ParseBatch reads a batch from the body of a request, with the defaults put into its questions. With Apart
// a question that is JSON and no question is one whose Check says so.
func ParseBatch(body []byte) (Batch, error) {
	var b Batch
	if err := Decode(body, batchHint, func(r *Reader) error { return r.batch(&b) }); err != nil {
		return Batch{}, err
	}
	if len(b.Questions) == 0 {
		return Batch{}, fault.BadRequest(batchHint, "The batch has no questions.")
	}
	return b, nil
}

// batch reads {"defaults": {...}, "questions": [...], "semantics": ..., "errors": ...}.
// The members come in any order, so that what the others mean for the questions is seen to
// at the end.
func (r *Reader) batch(b *Batch) error {
	var defaults Question
	var wrong error // of the first question that is none
	seen := map[string]bool{}
	err := r.Object(func(name string) error {
		if seen[name] {
			return r.fail("the member " + fault.Quote(name) + " is given twice")
		}
		switch name {
		case "defaults", "questions", "semantics", "errors":
			seen[name] = true
		default:
			return r.fail("a batch has no member " + fault.Quote(name))
		}
		switch name {
		case "defaults":
			return r.members(&defaults, nil)
		case "semantics":
			return r.word(name, semantics[:], func(i int) { b.Semantics = Semantics(i) })
		case "errors":
			return r.word(name, []string{shape.ErrorsWhole, shape.ErrorsEach}, func(i int) { b.Apart = i == 1 })
		}
		b.Questions = make([]Question, 0, 8)
		return r.Array(func() error {
			if len(b.Questions) == MaxBatch {
				return r.fail("a batch has at most " + strconv.Itoa(MaxBatch) + " questions")
			}
			q, err := r.ofBatch()
			if wrong == nil {
				wrong = q.wrong
			}
			b.Questions = append(b.Questions, q)
			return err
		})
	})
	if err == nil && !b.Apart {
		err = wrong
	}
	for i := range b.Questions {
		b.Questions[i].lacking(&defaults)
	}
	return err
}

// ofBatch reads one question of a batch. The error is of what is no JSON.
func (r *Reader) ofBatch() (q Question, err error) {
	r.peek()
	start := r.at
	if err := r.members(&q, nil); err != nil {
		r.at = start
		return Question{wrong: err}, r.skip()
	}
	return q, nil
}

// word reads a text that is one of some words, and calls is with which.
func (r *Reader) word(name string, words []string, is func(int)) error {
	r.peek()
	start := r.at
	text, err := r.String()
	if err != nil {
		return err
	}
	i := slices.Index(words, text)
	if i < 0 {
		r.at = start
		return r.fail(name + " is one of " + quoted(words))
	}
	is(i)
	return nil
}

func quoted(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += strconv.Quote(w)
	}
	return text
}

// lacking gives a question the members of another that it lacks. A context is one member: it
// is replaced and never merged, as in AuthZEN.
func (q *Question) lacking(d *Question) {
	lacks := d.given &^ q.given
	if lacks&hasPrincipal != 0 {
		q.Principal = d.Principal
	}
	if lacks&hasAction != 0 {
		q.Action = d.Action
	}
	if lacks&hasResource != 0 {
		q.Resource = d.Resource
	}
	if lacks&hasContext != 0 {
		q.Context, q.Given = d.Context, d.Given
	}
	if lacks&hasExplain != 0 {
		q.Explain = d.Explain
	}
	if q.given |= lacks; q.given&hasResource == 0 {
		q.Resource = everything
	}
}

// Each decides questions in the one view, one after the other, until the semantics end it,
// and tells each answer, or the error that its question has instead; see OfQuestion. An error
// of tell ends it, and is returned; so is what keeps all questions from an answer: the
// node cannot tell now, or the work of the one request is spent.
func (k *Asker) Each(questions []Question, s Semantics, tell func(i int, a Answer, err error) error) error {
	if len(questions) > MaxBatch {
		return fault.BadRequest(batchHint, "There are more than %d questions.", MaxBatch)
	}
	for i := range questions {
		a, err := k.Decide(&questions[i])
		if spent := k.Pass.Job.Fault(); spent != nil { // whatever was found then is void
			return ofBatch(spent, i)
		}
		if err != nil && !OfQuestion(err) {
			return ofBatch(err, i)
		}
		if err := tell(i, a, err); err != nil {
			return err
		}
		allowed := err == nil && a.Told(k.Seen.Flagged) == Allow
		if s == DenyOnFirstDeny && !allowed || s == PermitOnFirstPermit && allowed {
			return nil
		}
	}
	return nil
}

// OfQuestion tells errors of one question, beside which others may have answers: it is wrong,
// its principal is not there, or the caller may not ask about it.
func OfQuestion(err error) bool {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return false
	}
	return f.Code() == fault.InvalidRequest || f.Code() == fault.NoSuchPrincipal || f.Code() == fault.Denied
}

// Batch appends the answers to a batch, as a JSON list. Where the whole batch is refused it
// says of which question what is wrong.
func (k *Asker) Batch(b []byte, batch *Batch) ([]byte, error) {
	b = append(slices.Grow(b, answerSize*len(batch.Questions)), '[')
	err := k.Each(batch.Questions, batch.Semantics, func(i int, a Answer, err error) error {
		if err != nil && !batch.Apart {
			return ofBatch(err, i)
		}
		if err != nil {
			a = k.problem(err)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = k.appendAnswer(b, a)
		return admission.CheckAnswer(len(b))
	})
	return append(b, ']'), err
}

// problem is the answer to a question that has no decision.
func (k *Asker) problem(err error) Answer {
	f := fault.Of(err)
	return Answer{Decision: Indeterminate, Message: f.Detail(), problem: fault.Problem(k.Pass.Request.ID, f)}
}

// ofBatch says which question of a batch a problem is about, counted from 1.
func ofBatch(err error, i int) error {
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code() == fault.Unavailable || f.Code() == fault.Denied {
		return err
	}
	return f.About("Question " + strconv.Itoa(i+1))
}
