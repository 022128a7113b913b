package main

import (
	"bytes"
	"cmp"
	"crypto/md5" //nolint:gosec // ETags are that
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/client/signed"
	"github.com/writ-iam/writ/node/sigv4"
)

// Limits of the store, which is in memory.
const (
	maxObject  = 64 << 20  // bytes of an object or part
	maxBytes   = 512 << 20 // of all
	maxUploads = 100
	maxKeys    = 1000 // in one answer
)

// split takes a path-style target apart.
func split(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// asker says what requests need permission for.
type asker struct{}

// Ask is signed.Asker's.
func (asker) Ask(r *http.Request) (action, resource string, more shape.Context) {
	bucket, key := split(r)
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // the listener's own form
	more = shape.Context{"aws:SourceIp": {host}, "aws:SecureTransport": {strconv.FormatBool(r.TLS != nil)}}
	arn := "arn:aws:s3:::" + bucket
	switch {
	case bucket == "":
		return "s3:ListAllMyBuckets", "*", more
	case key == "" && r.Method == http.MethodPut:
		return "s3:CreateBucket", arn, more
	case key == "" && r.Method == http.MethodDelete:
		return "s3:DeleteBucket", arn, more
	case key == "":
		return "s3:ListBucket", arn, more
	}
	arn += "/" + key
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return "s3:GetObject", arn, more
	case r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId"):
		return "s3:DeleteObject", arn, more
	}
	return "s3:PutObject", arn, more
}

// object is one that is stored. It is not changed.
type object struct {
	data []byte
	etag string
	at   time.Time
	by   string // ARN of who put it
}

// upload is an object that comes in parts.
type upload struct {
	bucket, key string
	parts       map[int]*object
}

// store has objects in memory.
type store struct {
	mu      sync.Mutex
	bytes   int
	number  int
	buckets map[string]map[string]*object // guarded by mu, as the others
	uploads map[string]*upload
}

func newStore() *store {
	return &store{buckets: map[string]map[string]*object{}, uploads: map[string]*upload{}}
}

func refuse(code string, status int) *sigv4.Error {
	return sigv4.Refusal(code, status, code)
}

// ServeHTTP serves a request that was verified.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.serve(w, r)
	var said *sigv4.Error
	switch {
	case errors.As(err, &said):
		signed.RefuseXML(w, r, said)
	case err != nil:
		signed.RefuseXML(w, r, refuse("InternalError", http.StatusInternalServerError))
	}
}

func (s *store) serve(w http.ResponseWriter, r *http.Request) error {
	bucket, key := split(r)
	q := r.URL.Query()
	switch {
	case bucket == "":
		return s.listBuckets(w)
	case key == "":
		return s.serveBucket(w, r, bucket)
	case r.Method == http.MethodPost && q.Has("uploads"):
		return s.begin(w, bucket, key)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return s.complete(w, r, q.Get("uploadId"))
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
		return nil
	case r.Method == http.MethodPut:
		return s.put(w, r, bucket, key)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.get(w, r, bucket, key)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		defer s.mu.Unlock()
		if o := s.buckets[bucket][key]; o != nil {
			s.bytes -= len(o.data)
			delete(s.buckets[bucket], key)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return refuse("MethodNotAllowed", http.StatusMethodNotAllowed)
}

func (s *store) serveBucket(w http.ResponseWriter, r *http.Request, bucket string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.buckets[bucket]
	switch {
	case r.Method == http.MethodPut:
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<16)); err != nil {
			return err
		}
		if !ok {
			s.buckets[bucket] = map[string]*object{}
		}
		return nil
	case !ok:
		return refuse("NoSuchBucket", http.StatusNotFound)
	case r.Method == http.MethodDelete && len(s.buckets[bucket]) > 0:
		return refuse("BucketNotEmpty", http.StatusConflict)
	case r.Method == http.MethodDelete:
		delete(s.buckets, bucket)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case r.Method == http.MethodHead:
		return nil
	}
	return s.list(w, r, bucket)
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
}

type listing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix          string
	KeyCount, MaxKeys     int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listed
}

// list lists the objects of a bucket. The lock is held.
func (s *store) list(w http.ResponseWriter, r *http.Request, bucket string) error {
	q := r.URL.Query()
	l := listing{Name: bucket, Prefix: q.Get("prefix"), MaxKeys: maxKeys}
	after := cmp.Or(q.Get("continuation-token"), q.Get("start-after"))
	for key, o := range s.buckets[bucket] {
		if strings.HasPrefix(key, l.Prefix) && key > after {
			l.Contents = append(l.Contents, listed{key, o.at.UTC().Format("2006-01-02T15:04:05.000Z"), o.etag, len(o.data)})
		}
	}
	slices.SortFunc(l.Contents, func(a, b listed) int { return cmp.Compare(a.Key, b.Key) })
	if len(l.Contents) > maxKeys {
		l.Contents, l.IsTruncated = l.Contents[:maxKeys], true
		l.NextContinuationToken = l.Contents[maxKeys-1].Key
	}
	l.KeyCount = len(l.Contents)
	return answer(w, l)
}

func (s *store) listBuckets(w http.ResponseWriter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	type bucket struct{ Name, CreationDate string }
	var l struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Buckets []bucket `xml:"Buckets>Bucket"`
	}
	for name := range s.buckets {
		l.Buckets = append(l.Buckets, bucket{name, "2026-01-01T00:00:00.000Z"})
	}
	slices.SortFunc(l.Buckets, func(a, b bucket) int { return cmp.Compare(a.Name, b.Name) })
	return answer(w, l)
}

func answer(w http.ResponseWriter, v any) error {
	body, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Write(append([]byte(xml.Header), body...)) // an error means that the caller has gone
	return nil
}

// read reads a body to its end: before that nothing of it is verified.
func (s *store) read(w http.ResponseWriter, r *http.Request) (*object, error) {
	if r.ContentLength > maxObject {
		return nil, refuse("EntityTooLarge", http.StatusBadRequest)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxObject))
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(data) //nolint:gosec // as above
	return &object{data, `"` + hex.EncodeToString(sum[:]) + `"`, time.Now(), signed.CallerOf(r.Context()).ARN}, nil
}

func (s *store) put(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	o, err := s.read(w, r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	into, ok := s.buckets[bucket]
	if !ok {
		return refuse("NoSuchBucket", http.StatusNotFound)
	}
	if s.bytes+len(o.data) > maxBytes {
		return refuse("SlowDown", http.StatusServiceUnavailable)
	}
	w.Header().Set("ETag", o.etag)
	if q.Has("uploadId") {
		u := s.uploads[q.Get("uploadId")]
		n, err := strconv.Atoi(q.Get("partNumber"))
		if u == nil || err != nil || n < 1 || n > 10_000 {
			return refuse("NoSuchUpload", http.StatusNotFound)
		}
		if old := u.parts[n]; old != nil {
			s.bytes -= len(old.data)
		}
		u.parts[n] = o
	} else {
		if old := into[key]; old != nil {
			s.bytes -= len(old.data)
		}
		into[key] = o
	}
	s.bytes += len(o.data)
	return nil
}

func (s *store) get(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	s.mu.Lock()
	o := s.buckets[bucket][key]
	s.mu.Unlock()
	if o == nil {
		return refuse("NoSuchKey", http.StatusNotFound)
	}
	w.Header().Set("ETag", o.etag)
	w.Header().Set("Content-Type", "binary/octet-stream")
	w.Header().Set("X-Amz-Meta-Put-By", o.by)
	http.ServeContent(w, r, "", o.at, bytes.NewReader(o.data))
	return nil
}

func (s *store) begin(w http.ResponseWriter, bucket, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uploads) >= maxUploads {
		return refuse("SlowDown", http.StatusServiceUnavailable)
	}
	s.number++
	id := "upload-" + strconv.Itoa(s.number)
	s.uploads[id] = &upload{bucket, key, map[int]*object{}}
	return answer(w, struct {
		XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket, Key string
		ID          string `xml:"UploadId"`
	}{Bucket: bucket, Key: key, ID: id})
}

func (s *store) complete(w http.ResponseWriter, r *http.Request, id string) error {
	var said struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(body, &said); err != nil {
		return refuse("MalformedXML", http.StatusBadRequest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil || s.buckets[u.bucket] == nil {
		return refuse("NoSuchUpload", http.StatusNotFound)
	}
	var data []byte
	for _, p := range said.Part {
		o := u.parts[p.PartNumber]
		if o == nil || o.etag != p.ETag {
			return refuse("InvalidPart", http.StatusBadRequest)
		}
		data = append(data, o.data...)
	}
	s.drop(id)
	sum := md5.Sum(data) //nolint:gosec // as above
	o := &object{data, `"` + hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(said.Part)) + `"`, time.Now(), signed.CallerOf(r.Context()).ARN}
	if old := s.buckets[u.bucket][u.key]; old != nil {
		s.bytes -= len(old.data)
	}
	s.buckets[u.bucket][u.key], s.bytes = o, s.bytes+len(data)
	return answer(w, struct {
		XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}{Bucket: u.bucket, Key: u.key, ETag: o.etag})
}

// drop forgets an upload. The lock is held.
func (s *store) drop(id string) {
	if u := s.uploads[id]; u != nil {
		for _, p := range u.parts {
			s.bytes -= len(p.data)
		}
		delete(s.uploads, id)
	}
}
