package client

import (
	"encoding/json"
	"net/http"
	"strconv"
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
		text += " " + p.Hint
	}
	return text
}

// Temporary tells whether the same request may succeed a little later.
func (p *Problem) Temporary() bool { return p.Status == http.StatusServiceUnavailable }

// problem reads an answer that is not one of success.
func (c *Client) problem(status int, text []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Code == "" {
		p = &Problem{Code: http.StatusText(status), Detail: c.base.Host + " gave an answer that is not of Writ."}
	}
	p.Status = status
	return p
}

// retryAfter is how long a server in temporary trouble asks to be left alone.
func retryAfter(answer *http.Response) time.Duration {
	if answer.StatusCode != http.StatusServiceUnavailable {
		return never
	}
	seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}
