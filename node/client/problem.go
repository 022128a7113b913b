package client

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Problem is an error that the server gave: RFC 9457 problem details.
type Problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Hint      string `json:"hint"`
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
func (p *Problem) Temporary() bool { return temporaryStatus(p.Status) }

// temporaryStatus tells whether a status is that of a node, or of a proxy before
// it, that cannot serve now.
func temporaryStatus(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}

// problemOf reads an answer that is not one of success.
func problemOf(from *url.URL, status int, _ http.Header, text []byte) error {
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Code == "" {
		p = &Problem{Code: http.StatusText(status), Detail: from.Host + " gave an answer that is not of Writ."}
	}
	p.Status = status
	return p
}

// retryAfter is how long a server in temporary trouble asks to be left alone.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}
