package fault

import (
	"encoding/json"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// WriteProblem answers a request of the native API with a fault.
func WriteProblem(w http.ResponseWriter, requestID string, f *Fault) {
	a, body := f.Native(), Problem(requestID, f)
	h := w.Header()
	h.Set(shape.HeaderRequestID, requestID)
	h.Set("Content-Type", "application/problem+json")
	if f.Retry() {
		h.Set("Retry-After", RetryAfter)
	}
	w.WriteHeader(a.Status)
	w.Write(body) // an error here means that the caller has gone
}

// Problem is a fault as problem details, in JSON.
func Problem(requestID string, f *Fault) []byte {
	a := f.Native()
	text, err := json.Marshal(shape.Problem{
		Type: "about:blank", Title: http.StatusText(a.Status), Status: a.Status, Code: a.Code, Detail: a.Detail, Hint: a.Hint, RequestID: requestID,
	})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	return text
}
