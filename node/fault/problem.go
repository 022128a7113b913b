package fault

import (
	"encoding/json"
	"net/http"
)

// WriteProblem answers a request of the native API with a fault: RFC 9457 "Problem
// Details for HTTP APIs", with a code for programs and a hint for people.
func WriteProblem(w http.ResponseWriter, requestID string, f *Fault) {
	a := f.Native()
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
		Detail    string `json:"detail,omitempty"`
		Hint      string `json:"hint,omitempty"`
		RequestID string `json:"request_id"`
	}{"about:blank", http.StatusText(a.Status), a.Status, a.Code, a.Detail, a.Hint, requestID})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	h := w.Header()
	h.Set("X-Amzn-Requestid", requestID)
	h.Set("Content-Type", "application/problem+json")
	if f.Retry() {
		h.Set("Retry-After", RetryAfter)
	}
	w.WriteHeader(a.Status)
	w.Write(body) // an error here means that the caller has gone
}
