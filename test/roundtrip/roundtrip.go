// Package roundtrip answers HTTP requests without a network, for tests.
package roundtrip

import (
	"context"
	"errors"
	"net/http"
)

// ByHost answers by the host and port of the URL.
type ByHost map[string]func(*http.Request) (*http.Response, error)

// RoundTrip answers a request whose context has not ended.
func (b ByHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return b[r.URL.Host](r)
}

// Dead cannot be reached.
func Dead(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

// Silent never answers.
func Silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}
