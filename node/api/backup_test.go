package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/archive"
)

// TestBackupsAtOnce holds that a writer makes no more archives at once than it may, and others
// again when these are done.
func TestBackupsAtOnce(t *testing.T) {
	asked, let := make(chan struct{}, native.MaxBackups+1), make(chan struct{})
	w := newWorld(t, func(c *config) {
		c.Node.Source = func() *archive.Source {
			asked <- struct{}{}
			<-let
			return nil // it has not caught up
		}
	})
	get := func() *httptest.ResponseRecorder { return w.native(w.root, http.MethodGet, "/v1/backup", "") }
	answers := make(chan *httptest.ResponseRecorder, native.MaxBackups)
	for range cap(answers) {
		go func() { answers <- get() }()
	}
	for range cap(answers) {
		<-asked
	}
	if rec := get(); rec.Code != http.StatusServiceUnavailable || len(asked) > 0 {
		t.Errorf("one more: %d %s", rec.Code, rec.Body)
	}
	close(let)
	for range cap(answers) {
		<-answers
	}
	if get(); len(asked) != 1 {
		t.Error("the places were not given back")
	}
}
