package authzen

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
)

// evaluation answers one.
func (k *asking) evaluation(request *value) ([]byte, error) {
	t, err := tupleOf(request, &tuple{})
	if err != nil {
		return nil, err
	}
	return k.one(&t)
}

func (k *asking) one(t *tuple) ([]byte, error) {
	if err := t.complete(); err != nil {
		return nil, err
	}
	o, err := k.decide(t)
	return o.append(nil), err
}

// outcomeSize is about what an outcome takes, in bytes.
const outcomeSize = 256

// evaluations answers many from one view, in the order in which they stand, or one where there are
// none. What is wrong with one alone denies it.
func (k *asking) evaluations(request *value) ([]byte, error) {
	b, err := batchOf(request)
	if err != nil {
		return nil, err
	}
	if len(b.items) == 0 {
		return k.one(&b.defaults)
	}
	body := append(make([]byte, 0, outcomeSize*min(len(b.items), decision.MaxBatch)), `{"evaluations":[`...)
	for i := range b.items {
		o, err := k.item(&b, i)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = o.append(body)
		if err := admission.CheckAnswer(len(body)); err != nil {
			return nil, err
		}
		if b.semantic == denyOnFirstDeny && !o.allowed || b.semantic == permitOnFirstPermit && o.allowed {
			break
		}
	}
	return append(body, "]}"...), nil
}

// item evaluates one of many. The error is of all of them.
func (k *asking) item(b *batch, i int) (outcome, error) {
	t, err := b.item(i)
	if err == nil {
		var o outcome
		if o, err = k.decide(&t); err == nil {
			return o, nil
		}
	}
	var f *fault.Fault
	if errors.As(err, &f) {
		if a := f.Native(); a.Status == http.StatusBadRequest || f.Code() == fault.Denied {
			return outcome{status: a.Status, reason: a.Detail}, nil
		}
	}
	return outcome{}, err
}

// append writes an outcome: an allow says nothing more.
func (o *outcome) append(b []byte) []byte {
	switch {
	case o.allowed:
		return append(b, `{"decision":true}`...)
	case o.status != 0:
		b = append(b, `{"decision":false,"context":{"error":{"status":`...)
		b = strconv.AppendInt(b, int64(o.status), 10)
		b = append(b, `,"message":`...)
		return append(appendText(b, o.reason), `}}}`...)
	}
	b = append(b, `{"decision":false,"context":{"code":`...)
	b = appendText(b, o.code)
	if o.reason != "" {
		b = append(b, `,"reason_admin":{"en":`...)
		b = append(appendText(b, o.reason), '}')
	}
	return append(b, "}}"...)
}
