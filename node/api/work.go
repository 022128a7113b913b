package api

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

// job is the work of one request. It looks up at every slice of it: whether its
// caller is still there, and whose shift it is.
type job struct {
	policy.Work
	server *Server
	ctx    context.Context
	who    string // the caller
	free   int64  // work that needs no shift
	seen   int64  // of the work, at the start of its shift
	holds  bool   // a shift
}

// begin makes the job ready for a caller, unless it is. Its owner ends it.
func (s *Server) begin(j *job, ctx context.Context, who string) {
	if j.server == nil {
		*j = job{server: s, ctx: ctx, who: who, free: freeWork}
		j.Work.Begin(maxWork, j.look)
	}
}

func (j *job) look() error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	runtime.Gosched() // on one processor, others are not to wait for the scheduler
	spent := j.Spent()
	switch {
	case !j.holds && spent < j.free:
		return nil
	case j.holds && (spent-j.seen < shiftWork || !j.server.shifts.wanted()):
		return nil
	case j.holds:
		j.rest()
	}
	if err := j.server.shifts.take(j.ctx, j.who, j.seen > 0); err != nil {
		return err
	}
	j.holds, j.seen = true, spent
	return nil
}

// rest gives back the job's shift: nobody has one while waiting for something else.
func (j *job) rest() {
	if j.holds {
		j.server.shifts.end(j.who)
		j.holds = false
	}
}

// end ends the job, if it was begun.
func (j *job) end() {
	if j.server == nil {
		return
	}
	j.rest()
	j.server.cfg.Metrics.worked(j.Spent())
}

// problem is what a caller is told when the work has ended before its end; nil if it
// has not.
func (j *job) problem() error {
	err := j.Err()
	if errors.Is(err, policy.ErrWork) {
		return fault.New(fault.TooMuchWork, "", "")
	}
	return err
}

// checkAnswer refuses an answer that would be too long.
func checkAnswer(size int) error {
	if size <= maxAnswer {
		return nil
	}
	return fault.New(fault.AnswerTooLarge, fmt.Sprintf("The answer would be longer than %d bytes.", maxAnswer), "")
}
