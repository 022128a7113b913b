package catalog

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// transport answers in place of a node.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An import that is stopped says in one line what it changed, and that it may be repeated.
func TestStoppedImport(t *testing.T) {
	unread, write := io.Pipe()
	defer write.Close()
	for _, c := range []struct {
		at, name, says string
	}{
		{"GET /v1/catalog", "", "stopped before any policy was changed; importing them again is safe: "},
		{"standard input", "-", "stopped before any policy was changed; importing them again is safe: "},
		{"/parts/1", "", "stopped before any policy was changed; importing them again is safe: "},
		{"/install?", "", "stopped while the policies came into force: `writ catalog show` says whether they have; importing them again is safe: "},
		{"nowhere", "", ""},
	} {
		ctx, stop := context.WithCancel(t.Context())
		cluster, err := client.New(client.Config{Endpoint: "http://writ.test", AccessKeyID: "a", SecretAccessKey: "b", HTTP: &http.Client{
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.Method+" "+r.URL.RequestURI(), c.at) {
					stop()
					return nil, ctx.Err()
				}
				if c.at == "standard input" {
					stop()
				}
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"partition":"aws"}`))}, nil
			})}})
		if err != nil {
			t.Fatal(err)
		}
		err = Replace(ctx, cluster, unread, io.Discard, &shell.Output{}, c.name)
		stop()
		switch {
		case c.says == "" && err != nil:
			t.Errorf("one that is not stopped: %v", err)
		case c.says != "" && (err == nil || !strings.HasPrefix(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || !errors.Is(err, context.Canceled)):
			t.Errorf("stopped at %s: %v", c.at, err)
		}
	}
}
