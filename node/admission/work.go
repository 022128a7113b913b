package admission

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection/policy"
)

// Bounds of the work of one request, in units of policy.Work.
const (
	// maxWork is what finding out may take whether the caller may, and evaluating a
	// request's own policies, contexts and questions: an action on a thousand resources,
	// with as many policies of the greatest length as a user may have. A simulation of
	// more actions comes in more pages.
	maxWork = 100_000_000
	// freeWork is what a request does before it needs a shift: nearly all requests
	// never do. freeAgain is that of finding a right anew, which one request does again
	// and again.
	freeWork  = 2_000_000
	freeAgain = 100_000
	// shiftWork is how much it does in one shift, while others wait for theirs.
	shiftWork = 4_000_000
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 8 << 20
)

// Job is the work of one request. It looks up at every slice of it: whether its
// caller is still there, and whose shift it is.
type Job struct {
	policy.Work
	desk  *Desk // nil: not begun
	ctx   context.Context
	who   string // the caller
	free  int64  // work that needs no shift
	seen  int64  // of the work, at the start of its shift
	holds bool   // a shift
}

// Begin makes a job ready for a caller, unless it is. Its owner ends it.
func (d *Desk) Begin(j *Job, ctx context.Context, who string) {
	if j.desk == nil {
		*j = Job{desk: d, ctx: ctx, who: who, free: freeWork}
		j.Work.Begin(maxWork, (*lookout)(j))
	}
}

// Again makes the job one that finds a right anew.
func (j *Job) Again() { j.free = freeAgain }

// lookout is a job that looks up.
type lookout Job

// Look waits for the job's shift, and ends work that nobody waits for.
func (l *lookout) Look() error {
	j := (*Job)(l)
	if err := j.ctx.Err(); err != nil {
		return err
	}
	runtime.Gosched() // on one processor, others are not to wait for the scheduler
	spent := j.Spent()
	switch {
	case !j.holds && spent < j.free:
		return nil
	case j.holds && (spent-j.seen < shiftWork || !j.desk.shifts.wanted()):
		return nil
	case j.holds:
		j.Rest()
	}
	if err := j.desk.shifts.take(j.ctx, j.who, j.seen > 0); err != nil {
		return err
	}
	j.holds, j.seen = true, spent
	return nil
}

// Heavy waits for the job's shift, for work that cannot be cut into slices, such as the
// hash of a password. Whoever called it rests afterwards. A job that was not begun, which
// no request has, waits for nothing.
func (j *Job) Heavy() error {
	if j.desk == nil || j.holds {
		return nil
	}
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if err := j.desk.shifts.take(j.ctx, j.who, false); err != nil {
		return err
	}
	j.holds, j.seen = true, j.Spent()
	return nil
}

// Rest gives back the job's shift: nobody has one while waiting for something else.
func (j *Job) Rest() {
	if j.holds {
		j.desk.shifts.end(j.who)
		j.holds = false
	}
}

// End ends the job, if it was begun.
func (j *Job) End() {
	if j.desk == nil {
		return
	}
	j.Rest()
	j.desk.cfg.Meter.Worked(j.Spent())
}

// Fault is what a caller is told when the work has ended before its end; nil if it
// has not.
func (j *Job) Fault() error {
	err := j.Err()
	if errors.Is(err, policy.ErrWork) {
		return fault.New(fault.TooMuchWork, "", "")
	}
	return err
}

// CheckAnswer refuses an answer that would be too long.
func CheckAnswer(size int) error {
	if size <= maxAnswer {
		return nil
	}
	return fault.New(fault.AnswerTooLarge, fmt.Sprintf("The answer would be longer than %d bytes.", maxAnswer), "")
}
