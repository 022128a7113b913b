// Package buckettest is a store that speaks as much of the S3 protocol as package bucket does, for
// tests: in memory, over HTTP, with failures that a test asks for.
package buckettest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The credentials that the store takes, its bucket, and the name of an upload's metadata.
const (
	AccessKeyID = "AKIASTORE"
	Secret      = "the-secret-of-the-store"
	Bucket      = "backups"
	mark        = "X-Amz-Meta-Writ-Upload"
)

// unsigned is what a client says in place of a body's hash: over TLS it may.
var unsigned = map[bool]string{true: "UNSIGNED-PAYLOAD"}

// Store is the store.
type Store struct {
	*httptest.Server
	// Fails, if set, is asked of each request first.
	Fails Failure

	mu      sync.Mutex
	objects map[string]object // by key; guarded by mu
	uploads map[string]upload // by id; guarded by mu
	seen    []string          // requests; guarded by mu
	next    int               // guarded by mu
}

// Failure is how a store fails.
type Failure interface {
	// Fail answers true if it has answered the request, which has a name such as "PUT part 2", "POST
	// uploads", "POST complete" or "GET object".
	Fail(request string, w http.ResponseWriter) bool
}

type object struct {
	content []byte
	mark    string
}

type upload struct {
	key, mark string
	parts     map[int][]byte
}

// New runs a store until the test ends.
func New(t testing.TB) *Store {
	s := NewHandler()
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// NewHandler makes a store that the caller serves.
func NewHandler() *Store {
	return &Store{objects: map[string]object{}, uploads: map[string]upload{}}
}

// Keys are those of all objects.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Uploads are the keys of what is unfinished.
func (s *Store) Uploads() (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		keys = append(keys, u.key)
	}
	return keys
}

// Put makes an object.
func (s *Store) Put(key string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = object{content, ""}
}

// Object returns an object.
func (s *Store) Object(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key].content
}

// Seen are the requests that came, as a Failure is told them.
func (s *Store) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Refuse answers with an error of S3.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>refused</Message></Error>`, code)
}

// ServeHTTP answers a request.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	request := name(r, key)
	s.mu.Lock()
	s.seen = append(s.seen, request)
	s.mu.Unlock()
	switch {
	case err != nil:
		return
	case s.Fails != nil && s.Fails.Fail(request, w):
	case !strings.Contains(r.Header.Get("Authorization"), "Credential="+AccessKeyID+"/"):
		Refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
	case !slices.Contains([]string{hex.EncodeToString(sum[:]), unsigned[r.TLS != nil]}, r.Header.Get("X-Amz-Content-Sha256")):
		Refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	case bucket != Bucket:
		Refuse(w, http.StatusNotFound, "NoSuchBucket")
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serve(w, r, request, key, body)
	}
}

// name says what a request is.
func name(r *http.Request, key string) string {
	q := r.URL.Query()
	switch {
	case q.Has("partNumber"):
		return r.Method + " part " + q.Get("partNumber")
	case q.Has("uploads"):
		return r.Method + " uploads"
	case r.Method == http.MethodPost:
		return "POST complete"
	case q.Has("uploadId"):
		return r.Method + " upload"
	case key == "":
		return r.Method + " list"
	}
	return r.Method + " object"
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request, request, key string, body []byte) {
	q := r.URL.Query()
	u, begun := s.uploads[q.Get("uploadId")]
	if q.Has("uploadId") && !begun {
		Refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch of, _, _ := strings.Cut(request, " "); {
	case request == "POST uploads":
		s.next++
		id := fmt.Sprintf("upload-%d", s.next)
		s.uploads[id] = upload{key, r.Header.Get(mark), map[int][]byte{}}
		answer(w, struct {
			XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
			UploadID string   `xml:"UploadId"`
		}{UploadID: id})
	case q.Has("partNumber"):
		n, _ := strconv.Atoi(q.Get("partNumber"))
		u.parts[n] = body
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(body)))
	case request == "POST complete":
		s.complete(w, r, u, q.Get("uploadId"), body)
	case request == "DELETE upload":
		delete(s.uploads, q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	case request == "GET uploads" || request == "GET list":
		s.list(w, q.Get("prefix"), request == "GET list")
	case of == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.get(w, r, key)
	}
}

// complete makes an object of the parts that are named.
func (s *Store) complete(w http.ResponseWriter, r *http.Request, u upload, id string, body []byte) {
	var asked struct {
		Parts []struct{ PartNumber int } `xml:"Part"`
	}
	if _, there := s.objects[u.key]; there && r.Header.Get("If-None-Match") == "*" {
		Refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if xml.Unmarshal(body, &asked) != nil || len(asked.Parts) != len(u.parts) {
		Refuse(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	o := object{mark: u.mark}
	for _, p := range asked.Parts {
		o.content = append(o.content, u.parts[p.PartNumber]...)
	}
	s.objects[u.key] = o
	delete(s.uploads, id)
	answer(w, struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
	}{})
}

func (s *Store) list(w http.ResponseWriter, prefix string, objects bool) {
	type entry struct {
		Key      string
		UploadID string `xml:"UploadId,omitempty"`
	}
	var all struct {
		XMLName  xml.Name `xml:"Result"`
		Contents []entry
		Upload   []entry
	}
	for key := range s.objects {
		if rest, below := strings.CutPrefix(key, prefix); objects && below && !strings.Contains(rest, "/") {
			all.Contents = append(all.Contents, entry{Key: key})
		}
	}
	for id, u := range s.uploads {
		if !objects && strings.HasPrefix(u.key, prefix) {
			all.Upload = append(all.Upload, entry{u.key, id})
		}
	}
	slices.SortFunc(all.Contents, func(a, b entry) int { return cmp.Compare(a.Key, b.Key) })
	answer(w, all)
}

func (s *Store) get(w http.ResponseWriter, r *http.Request, key string) {
	o, there := s.objects[key]
	if !there {
		Refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(o.content)))
	w.Header().Set(mark, o.mark)
	if match := r.Header.Get("If-Match"); match != "" && match != w.Header().Get("ETag") {
		Refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	from := 0
	if text := r.Header.Get("Range"); text != "" {
		from, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(text, "bytes="), "-"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(o.content)-1, len(o.content)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(o.content)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, bytes.NewReader(o.content[from:]))
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(v)
}
