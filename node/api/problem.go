package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is an error of the native API: RFC 9457 "Problem Details for HTTP
// APIs", with a code for programs and a hint for people.
type problem struct {
	Status int
	Code   string
	Detail string
	Hint   string
}

// Error gives code and detail.
func (p problem) Error() string { return p.Code + ": " + p.Detail }

func badRequest(hint, format string, args ...any) problem {
	return problem{http.StatusBadRequest, "InvalidRequest", fmt.Sprintf(format, args...), hint}
}

// retryAfter is the Retry-After of answers that ask for another try, in seconds.
const retryAfter = "1"

func writeProblem(w http.ResponseWriter, requestID string, p problem) {
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
		Detail    string `json:"detail,omitempty"`
		Hint      string `json:"hint,omitempty"`
		RequestID string `json:"request_id"`
	}{"about:blank", http.StatusText(p.Status), p.Status, p.Code, p.Detail, p.Hint, requestID})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	h := w.Header()
	h.Set(headerRequestID, requestID)
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(p.Status)
	w.Write(body) // an error here means that the caller has gone
}
