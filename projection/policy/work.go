package policy

import "errors"

// ErrWork is returned when an evaluation would take more work than it may.
var ErrWork = errors.New("it takes more work than one request may")

// Work counts what evaluations cost, in units of about a nanosecond: the bytes of
// values and patterns that are compared, the entries of a context that are looked
// through, the statements that are visited. It bounds what policies and values of
// strangers may take, and lets its owner look up from time to time. An evaluation
// whose work has ended says no to everything, and whatever it concludes is void: who
// made the Work asks Err afterwards. One goroutine uses it at a time. A nil *Work
// counts nothing and sets no bound.
type Work struct {
	rest  int64 // of the slice: below zero, it is time to look
	slice int64
	left  int64 // behind the slice
	limit int64
	owner Looker
	err   error
}

// Looker looks up from an evaluation.
type Looker interface {
	// Look is called at least every 65,536 units of work; an error of it ends the work.
	Look() error
}

// lookEvery is how much is done at most between two looks.
const lookEvery = 1 << 16

// Begin makes room for work of limit units. A nil owner does not look up.
func (w *Work) Begin(limit int64, owner Looker) {
	*w = Work{limit: limit, left: limit, owner: owner}
	w.cut()
}

// cut takes the next slice.
func (w *Work) cut() {
	w.slice = min(w.left, lookEvery)
	w.left -= w.slice
	w.rest += w.slice
}

// Spend does n units of work, and tells whether there is room for more.
func (w *Work) Spend(n int) bool {
	if w == nil {
		return true
	}
	w.rest -= int64(n)
	return w.rest >= 0 || w.settle()
}

// settle begins the next slices, as many as were spent.
func (w *Work) settle() bool {
	for w.err == nil && w.rest < 0 {
		if w.left == 0 {
			w.err = ErrWork
			break
		}
		if w.owner != nil {
			w.err = w.owner.Look()
		}
		w.cut()
	}
	if w.err != nil {
		w.rest = -1 // for good
		return false
	}
	return true
}

// Err tells why the work has ended before its end: ErrWork, or the error of look.
func (w *Work) Err() error {
	if w == nil {
		return nil
	}
	return w.err
}

// Spent is how much was done.
func (w *Work) Spent() int64 {
	if w == nil {
		return 0
	}
	return w.limit - w.left - max(w.rest, 0)
}

// ParseCost is how much work it is to parse, check and compile a document.
func ParseCost(text string) int { return parseCost * len(text) }

// parseCost is that of one byte: of a condition or a variable, which cost most.
const parseCost = 100

// cost is how much work it is at most to match a value of n bytes.
func (p *pattern) cost(n int) int {
	switch p.shape {
	case shapeAny, shapeNone:
		return 1
	case shapeExact:
		return 1 + min(n, len(p.head))/8
	case shapeGlob:
		return 1 + n + len(p.middle)
	case shapeFields:
		return 1 + 2*n + len(p.fields)
	}
	cost := 1 + len(p.parts) + 4*n
	if len(p.parts) > fewParts || p.symbols > fewSymbols {
		cost += allowance(len(p.parts), n) + n*(min(n, p.symbols+n*p.variables)/64)
	}
	return cost
}

// Patterns of so few parts and symbols are matched in a few steps for each byte.
const (
	fewParts   = 8
	fewSymbols = 128
)

// cost is how much work it is at most to match an action of n bytes.
func (a *ActionPattern) cost(n int) int {
	if a.Exact {
		return 1
	}
	return 1 + n*min(n, len(a.Text))/4
}
