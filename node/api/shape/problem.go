package shape

import (
	"net/http"
	"strings"
)

// Problem is an answer that refuses: RFC 9457 "Problem Details for HTTP APIs", with a code
// for programs and a hint for people.
type Problem struct {
	Type      string `json:"type"`  // "about:blank"
	Title     string `json:"title"` // Of the status.
	Status    int    `json:"status"`
	Code      string `json:"code"`             // for programs
	Detail    string `json:"detail,omitempty"` // What is wrong.
	Hint      string `json:"hint,omitempty"`   // What to do.
	RequestID string `json:"request_id"`
}

// Error says what is wrong, and what to do.
func (p *Problem) Error() string {
	text := p.Code
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Hint != "" {
		if !strings.HasSuffix(text, ".") {
			text += "."
		}
		text += " " + p.Hint
	}
	return text
}

// Temporary tells whether the same request may succeed a little later, or at
// another node.
func (p *Problem) Temporary() bool { return TemporaryStatus(p.Status) }

// TemporaryStatus tells whether a status is that of a node, or of a proxy before
// it, that cannot serve now.
func TemporaryStatus(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}
