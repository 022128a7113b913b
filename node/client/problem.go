package client

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// Problem is an error that the server gave.
type Problem = shape.Problem

// problemOf reads an answer that is not one of success.
func problemOf(from *url.URL, status int, _ http.Header, text []byte) error {
	p := &Problem{}
	if json.Unmarshal(text, p) != nil || p.Code == "" {
		p = &Problem{Code: http.StatusText(status), Detail: from.Host + " gave an answer that is not of Writ.",
			Hint: "Set the endpoint to a node's port for clients, with https where the node serves that."}
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
