package bucket

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestEndlessAnswers asks a store for a list whose answer has no end, as a list and as an error.
func TestEndlessAnswers(t *testing.T) {
	t.Setenv(EnvAccessKeyID, "a")
	t.Setenv(EnvSecretAccessKey, "b")
	part := strings.Repeat("<Contents><Key>"+strings.Repeat("k", 100)+"</Key></Contents>", 1000)
	for _, status := range []int{http.StatusBadRequest, http.StatusOK} {
		store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, err := io.WriteString(w, "<ListBucketResult>")
			for sent := 0; err == nil; sent += len(part) {
				if sent > 20*maxAnswer {
					t.Errorf("%d: more than %d bytes were taken", status, sent)
					return
				}
				_, err = io.WriteString(w, part)
			}
		}))
		defer store.Close()
		s, err := Config{Endpoint: store.URL, backoff: time.Millisecond}.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.List(t.Context(), Location{"bucket", "w1/"}); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%d: %v", status, err)
		}
	}
}
