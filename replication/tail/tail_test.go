package tail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/replication/tail"
	"github.com/writ-iam/writ/test/history"
)

func TestRequestsThatAreRefused(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 100)
	h.Forget(50)
	w := history.Serve(t, h)
	w.Leading = true
	for query, want := range map[string]int{
		tail.EventsPath:                                http.StatusBadRequest,
		tail.EventsPath + "?from=0":                    http.StatusBadRequest,
		tail.EventsPath + "?from=-1":                   http.StatusBadRequest,
		tail.EventsPath + "?from=99999999999999999999": http.StatusBadRequest,
		tail.EventsPath + "?from=60&to=59":             http.StatusBadRequest,
		tail.EventsPath + "?from=60&wait=soon":         http.StatusBadRequest,
		tail.EventsPath + "?from=60&wait=-1s":          http.StatusBadRequest,
		tail.EventsPath + "?from=49":                   http.StatusGone,
		tail.EventsPath + "?from=60&cluster=x":         http.StatusConflict,
		tail.EventsPath + "?from=60&incarnation=x":     http.StatusConflict,
		tail.EventsPath + "?from=50":                   http.StatusOK,
		tail.SnapshotPath + "?cluster=x":               http.StatusConflict,
		tail.SnapshotPath + "?leader=no":               http.StatusMisdirectedRequest,
		tail.SnapshotPath:                              http.StatusOK,
		"/peer/else":                                   http.StatusNotFound,
	} {
		response, err := http.Get(w.URL + query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", query, response.Status, want)
		}
	}
	response, err := http.Post(w.URL+tail.EventsPath+"?from=50", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Error(response.Status)
	}
}

// follower is a history at a writer that follows.
type follower struct{ *history.History }

func (follower) Leading() bool { return false }

func TestPlacesAreLimited(t *testing.T) {
	h := history.New(t, "aa")
	events, snapshot := tail.Full(tail.HandlerConfig{Events: h, Log: follower{h}})
	for path, serve := range map[string]http.HandlerFunc{tail.EventsPath + "?from=1": events, tail.SnapshotPath: snapshot} {
		answer := &recorder{header: http.Header{}}
		request, err := http.NewRequest(http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		serve(answer, request)
		if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v", path, answer.status, answer.header)
		}
	}
}

type recorder struct {
	header http.Header
	status int
	bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(s int)   { r.status = s }

// TestBusyWritersAreAskedAgain has the only writer refuse twice.
func TestBusyWritersAreAskedAgain(t *testing.T) {
	h := history.New(t, "aa")
	w := history.Serve(t, h)
	refused := 0
	w.Mangle = func(_ string, rw http.ResponseWriter) http.ResponseWriter {
		if refused++; refused <= 2 {
			http.Error(rw, "busy", http.StatusServiceUnavailable)
			return nil
		}
		return rw
	}
	if _, header, err := history.SourceOf(t, w).Snapshot(t.Context(), identity.Cluster{}); err != nil || header.Head != h.Last() {
		t.Error(header.Head, err)
	}
}

func TestTailIsTheStoresBytes(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 5000)
	s := history.SourceOf(t, history.Serve(t, h))
	var got [][]byte
	head, err := s.Tail(t.Context(), h.Cluster(), 11, 0, func(some [][]byte) error {
		got = append(got, some...)
		return nil
	})
	if err != nil || head != 5001 || len(got) != 4991 {
		t.Fatal(head, len(got), err)
	}
	for i, b := range got {
		if !bytes.Equal(b, h.Batches[10+i]) {
			t.Fatalf("batch %d differs", 11+i)
		}
	}
	if head, err := s.Head(t.Context(), h.Cluster()); err != nil || head != 5001 {
		t.Error(head, err)
	}
}

// TestTailWaits has batches committed while a reader waits at the head.
func TestTailWaits(t *testing.T) {
	h := history.New(t, "aa")
	s := history.SourceOf(t, history.Serve(t, h))
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := s.Tail(ctx, h.Cluster(), 1, tail.MaxTailWait, func(some [][]byte) error {
		if n += len(some); n == 100 {
			cancel()
		} else {
			h.Grow(t, 1)
		}
		return nil
	})
	if n != 100 || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	h := history.New(t, "aa")
	enough := errors.New("enough")
	w, other := history.Serve(t, h), history.Serve(t, h)
	if _, err := history.SourceOf(t, w, other).Tail(t.Context(), h.Cluster(), 1, 0, func([][]byte) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	if n := w.Count("GET "+tail.EventsPath) + other.Count("GET "+tail.EventsPath); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestNobodyToAsk(t *testing.T) {
	h := history.New(t, "aa")
	down := history.Serve(t, h)
	down.Down = true
	for name, s := range map[string]*tail.Source{"no writers": history.SourceOf(t), "silent writers": history.SourceOf(t, down, down)} {
		if _, err := s.Head(t.Context(), h.Cluster()); !errors.Is(err, tail.ErrUnavailable) {
			t.Errorf("%s: head: %v", name, err)
		}
		if _, _, err := s.Snapshot(t.Context(), h.Cluster()); !errors.Is(err, tail.ErrUnavailable) {
			t.Errorf("%s: snapshot: %v", name, err)
		}
		if _, err := s.Fetch(t.Context(), h.Cluster(), 1, 1); !errors.Is(err, tail.ErrUnavailable) {
			t.Errorf("%s: fetch: %v", name, err)
		}
	}
}

// TestFetch reads a run from the one writer that has it.
func TestFetch(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, tail.FetchCount+1000)
	lacking := history.Copy(t, h)
	lacking.Forget(tail.FetchCount)
	s := history.SourceOf(t, history.Serve(t, lacking), history.Serve(t, h))
	for range 2 { // whichever is asked first
		run, err := s.Fetch(t.Context(), h.Cluster(), 10, tail.FetchCount+9)
		if err != nil || len(run) != tail.FetchCount {
			t.Fatal(len(run), err)
		}
		for i, b := range run {
			if !bytes.Equal(b, h.Batches[9+i]) {
				t.Fatalf("batch %d differs", 10+i)
			}
		}
		s.Rotate()
	}
	for _, bounds := range [][2]event.Position{{5, 4}, {1, tail.FetchCount + 1}} {
		if _, err := s.Fetch(t.Context(), h.Cluster(), bounds[0], bounds[1]); err == nil {
			t.Errorf("fetched %v", bounds)
		}
	}
	end := h.Last().Position
	if _, err := s.Fetch(t.Context(), h.Cluster(), end, end+1); err == nil || errors.Is(err, tail.ErrUnavailable) {
		t.Errorf("fetched beyond the end: %v", err)
	}
}

// TestBrokenAnswers has a writer break off or announce what cannot be.
func TestBrokenAnswers(t *testing.T) {
	h := history.New(t, "aa")
	for name, body := range map[string]string{
		"a huge batch":  "\xff\xff\xff\xff",
		"half a length": "\x00\x00",
		"half a batch":  "\x00\x00\x00\x09half",
		"nothing":       "",
	} {
		w := history.Serve(t, h)
		w.Mangle = func(_ string, rw http.ResponseWriter) http.ResponseWriter {
			rw.Header().Set(tail.HeaderHead, "9")
			_, _ = io.WriteString(rw, body)
			return nil
		}
		if _, err := history.SourceOf(t, w).Fetch(t.Context(), h.Cluster(), 1, 1); err == nil || errors.Is(err, tail.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadFrames(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x01a\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x09half"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		err := tail.ReadFrames(bytes.NewReader(in), func(batches [][]byte) error {
			for _, b := range batches {
				if len(b) > wire.MaxBatchSize {
					t.Fatal("too large")
				}
			}
			out := new(tail.Sender)
			out.Frame(batches)
			again = append(again, out.Buffer()...)
			return nil
		})
		if err == nil && !bytes.Equal(again, in) || !bytes.HasPrefix(in, again) {
			t.Errorf("%x was read as %x, %v", in, again, err)
		}
	})
}

func TestHeadersTellWhereTheWriterIs(t *testing.T) {
	h := history.New(t, "aa")
	h.Grow(t, 41)
	response, err := http.Head(history.Serve(t, h).URL + tail.EventsPath)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get(tail.HeaderHead); got != strconv.Itoa(42) || response.Header.Get(tail.HeaderIncarnation) != "aa" {
		t.Errorf("%v", response.Header)
	}
}
