package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// SignIn is what a user or root signs in with, and SignedIn the session that this yields.
type (
	SignIn   = shape.SignIn
	SignedIn = shape.SignedIn
)

// SignInAt signs in at the first of some endpoints that can serve. It needs no access key, and
// nothing is sent twice to one node: a code is good once. hc may be nil. What a node refuses is a
// *Problem.
func SignInAt(ctx context.Context, hc *http.Client, endpoints []string, with SignIn) (*SignedIn, error) {
	return openly[SignedIn](ctx, hc, endpoints, "/signin", with)
}

// openly sends a request that nobody signs to the first of some endpoints that can serve.
func openly[A any](ctx context.Context, hc *http.Client, endpoints []string, path string, with any) (*A, error) {
	body, err := json.Marshal(with)
	if err != nil {
		return nil, errors.New("the request to sign in has no form in JSON")
	}
	if hc == nil {
		hc = &http.Client{}
	}
	err = fmt.Errorf("%w: no endpoint; set WRIT_ENDPOINT", ErrConfig)
	for _, text := range endpoints {
		var said *A
		said, err = openlyAt[A](ctx, hc, text, path, body)
		var p *Problem
		if err == nil || errors.Is(err, ErrConfig) || errors.As(err, &p) && (!p.Temporary() || p.Code == "OutcomeUnknown") {
			return said, err
		}
	}
	return nil, err
}

func openlyAt[A any](ctx context.Context, hc *http.Client, endpoint, path string, body []byte) (*A, error) {
	node, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: the endpoint %q is no http or https URL", ErrConfig, endpoint)
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, node.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := direct(hc).Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", node.Host, err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, MaxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", node.Host, err)
	}
	if got.StatusCode != http.StatusOK {
		return nil, problemOf(node, got.StatusCode, got.Header, text)
	}
	var said A
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", node.Host, err)
	}
	return &said, nil
}
