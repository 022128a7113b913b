package fault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/log/identity"
)

// Fault is why a request is not carried out. It does not change; Because and About
// return others.
type Fault struct {
	code   Code
	detail string // empty: the table's text
	hint   string // empty: the table's
	cause  error  // for the node's log alone; may be nil
}

// New returns a fault. detail says what is wrong, hint what to do about it, both in
// sentences for people; where they are empty, the table's text and hint stand.
func New(c Code, detail, hint string) *Fault { return &Fault{code: c, detail: detail, hint: hint} }

// BadRequest returns a fault of a request that is wrong by itself.
func BadRequest(hint, format string, args ...any) *Fault {
	return New(InvalidRequest, fmt.Sprintf(format, args...), hint)
}

// Later returns a fault that may be over a little later: what the caller is told of
// it, and the cause, which only the node's log is told and which may be nil.
func Later(detail string, cause error) *Fault {
	return &Fault{code: Unavailable, detail: detail, cause: cause}
}

// Because returns the fault with its cause, which only the node's log is told.
func (f *Fault) Because(cause error) *Fault {
	g := *f
	g.cause = cause
	return &g
}

// About returns the fault with what it is about before its detail.
func (f *Fault) About(what string) *Fault {
	g := *f
	g.detail = what + ": " + f.Detail()
	return &g
}

// Code is the reason.
func (f *Fault) Code() Code { return f.code }

// Detail says what is wrong.
func (f *Fault) Detail() string {
	if f.detail == "" {
		return table[f.code].native.text
	}
	return f.detail
}

// Error gives the code, the detail and the cause, as far as one does not tell the other.
func (f *Fault) Error() string {
	text := f.Detail()
	switch f.code {
	case TookEffect: // the detail tells the cause
		return text
	case Unavailable:
	default:
		text = f.code.String() + ": " + text
	}
	if f.cause != nil {
		text += " " + f.cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.cause }

// Answer is what a caller is told of a fault.
type Answer struct {
	Code   string
	Status int    // of HTTP
	Detail string // what is wrong
	Hint   string // what to do; empty in AWS's dialect
}

// Native is the fault in the words of the native API.
func (f *Fault) Native() Answer {
	n := table[f.code].native
	if f.hint != "" {
		n.hint = f.hint
	}
	return Answer{n.code, n.status, f.Detail(), n.hint}
}

// AWS is the fault in the words of AWS's protocols.
func (f *Fault) AWS() Answer {
	a, n := table[f.code].aws, table[f.code].native
	if a.code == "" {
		return Answer{n.code, n.status, f.Detail(), ""}
	}
	if a.text == "" {
		a.text = f.Detail()
	}
	if a.hint != "" {
		a.text += " " + a.hint
	}
	return Answer{a.code, a.status, a.text, ""}
}

// Retry tells whether the same request may succeed a little later; the answer then
// says so by RetryAfter.
func (f *Fault) Retry() bool { return table[f.code].retry }

// String is the code's name in the native API.
func (c Code) String() string { return table[c].native.code }

// worded is implemented by errors of other packages that have AWS's words: the name of
// one of the table's codes, and a message.
type worded interface {
	error
	Words() (code, message string)
}

// Of returns what an error is to a caller. Of faults and worded errors in one chain the
// outermost counts, and a fault before a worded error. What the table does not know is
// the node's own failure.
func Of(err error) *Fault {
	var f *Fault
	var said worded
	var refused *identity.Refusal
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &said):
		return named(said.Words()).Because(err)
	case errors.As(err, &refused):
		return named(string(refused.Code), refused.Message).Because(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Later("The request was not served in time.", err)
	}
	return New(InternalFailure, "", "").Because(err)
}

// named returns the fault of a code of a name, in AWS's words.
func named(name, message string) *Fault {
	for c := range codes {
		if table[c].native.code == name {
			return New(c, message, "")
		}
	}
	return New(InternalFailure, "", "")
}

// Quote shortens what a client sent to what a message should repeat, in quotes.
func Quote(s string) string {
	const longest = 64
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return strconv.Quote(s)
}
