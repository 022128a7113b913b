package bucket

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/archive/bucket/buckettest"
)

var at = Location{buckettest.Bucket, "w1/a.archive.age"}

// opened is a store that is reached as the test's server is. The variables of AWS's tools name another
// store and other credentials.
func opened(t *testing.T, url string) *Store {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAROOT", "AWS_SECRET_ACCESS_KEY": "of-the-root", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
		"AWS_REGION": "mars-1", EnvAccessKeyID: buckettest.AccessKeyID, EnvSecretAccessKey: buckettest.Secret,
	} {
		t.Setenv(name, value)
	}
	s, err := Config{Endpoint: url, backoff: time.Millisecond}.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content is what no compression and no repetition hides.
func content(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b)
	return b
}

func put(s *Store, b []byte) error {
	return s.Create(context.Background(), at, func(w io.Writer) error {
		_, err := io.CopyBuffer(w, struct{ io.Reader }{bytes.NewReader(b)}, make([]byte, 100_000))
		return err
	})
}

func get(t *testing.T, s *Store) ([]byte, error) {
	r, err := s.Open(t.Context(), at)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestObjects(t *testing.T) {
	for _, size := range []int{1, PartSize, PartSize + 1, 2*PartSize + 77} {
		store := buckettest.New(t)
		s := opened(t, store.URL)
		if _, err := get(t, s); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("before: %v", err)
		}
		want := content(size)
		if err := put(s, want); err != nil {
			t.Fatal(err)
		}
		if got, err := get(t, s); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
		parts := slices.DeleteFunc(store.Seen(), func(r string) bool { return !strings.HasPrefix(r, "PUT part") })
		if len(parts) != (size+PartSize-1)/PartSize {
			t.Errorf("%d bytes came in %v", size, parts)
		}
		if err := put(s, want); !errors.Is(err, fs.ErrExist) || len(store.Uploads()) != 0 {
			t.Errorf("again: %v, left %v", err, store.Uploads())
		}
	}
}

// TestFailures has the store fail amid an object: it is there whole or not at all, and of what is
// not there nothing is left.
func TestFailures(t *testing.T) {
	down := func(w http.ResponseWriter) bool {
		buckettest.Refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	}
	cut := func(w http.ResponseWriter) bool { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		request string
		times   int // that it fails
		with    func(http.ResponseWriter) bool
		says    string // empty: it goes well
	}{
		"a busy moment":            {"PUT part 2", 3, down, ""},
		"busy for good":            {"PUT part 2", 1 << 20, down, "try later"},
		"cut once":                 {"PUT part 3", 1, cut, ""},
		"cut for good":             {"PUT part 3", 1 << 20, cut, "send part 3 of s3://"},
		"no begin":                 {"POST uploads", 1 << 20, down, "begin s3://"},
		"the end cut once":         {"POST complete", 1, cut, ""},
		"no end":                   {"POST complete", 1 << 20, down, "finish s3://"},
		"no right to look":         {"HEAD object", 1 << 20, func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true }, ""},
		"a store of no conditions": {"POST complete", 1, func(w http.ResponseWriter) bool { buckettest.Refuse(w, 501, "NotImplemented"); return true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := buckettest.New(t)
			store.Fails = &failing{c.request, c.times, c.with}
			want := content(2*PartSize + 5)
			err := put(opened(t, store.URL), want)
			if c.says == "" {
				if err != nil || !bytes.Equal(store.Object(at.Key), want) {
					t.Errorf("%v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.says) || len(store.Keys()) != 0 {
				t.Errorf("%v, left %v", err, store.Keys())
			}
			if len(store.Uploads()) != 0 {
				t.Errorf("left %v", store.Uploads())
			}
		})
	}
}

// failing fails a request so many times.
type failing struct {
	request string
	times   int
	with    func(http.ResponseWriter) bool
}

// Fail fails.
func (f *failing) Fail(request string, w http.ResponseWriter) bool {
	if request != f.request || f.times == 0 {
		return false
	}
	f.times--
	return f.with(w)
}

// TestLostAnswer loses the answers to the end of an object, which the store has made.
func TestLostAnswer(t *testing.T) {
	store, lost := buckettest.NewHandler(), 0
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			store.ServeHTTP(httptest.NewRecorder(), r)
			lost++
			panic(http.ErrAbortHandler)
		}
		store.ServeHTTP(w, r)
	}))
	defer front.Close()
	if err := put(opened(t, front.URL), content(10)); err != nil || lost != attempts {
		t.Errorf("%v after %d answers were lost", err, lost)
	}
}

// TestSomebodyElse has another object appear while one is sent.
func TestSomebodyElse(t *testing.T) {
	store := buckettest.New(t)
	err := opened(t, store.URL).Create(t.Context(), at, func(w io.Writer) error {
		store.Put(at.Key, []byte("theirs"))
		_, err := w.Write([]byte("ours"))
		return err
	})
	if !errors.Is(err, fs.ErrExist) || string(store.Object(at.Key)) != "theirs" || len(store.Uploads()) != 0 {
		t.Errorf("%v, %q, left %v", err, store.Object(at.Key), store.Uploads())
	}
}

// TestGivenUp ends an object by what writes it, and by whoever waits.
func TestGivenUp(t *testing.T) {
	store := buckettest.New(t)
	s := opened(t, store.URL)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := errors.New("the archive did not come whole")
	for _, err := range []error{broken, context.Canceled} {
		got := s.Create(ctx, at, func(w io.Writer) error {
			if _, err := w.Write(content(PartSize + 1)); err != nil {
				return err
			}
			if err == context.Canceled {
				cancel()
				_, err = w.Write(content(PartSize))
			}
			return err
		})
		if !errors.Is(got, err) || len(store.Keys()) != 0 || len(store.Uploads()) != 0 {
			t.Errorf("%v, left %v, %v", got, store.Keys(), store.Uploads())
		}
	}
}

// TestHangs asks stores that answer nothing: one that takes no bytes, one that sends half, and one
// that sends a byte now and then.
func TestHangs(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	opened(t, "http://"+silent.Addr().String())
	s, err := Config{Endpoint: "http://" + silent.Addr().String(), idle: 20 * time.Millisecond, backoff: time.Millisecond}.Open()
	if err != nil {
		t.Fatal(err)
	}
	var slow net.Error
	if err := put(s, content(1)); !errors.As(err, &slow) || !slow.Timeout() {
		t.Errorf("%v", err)
	}
	ended := make(chan struct{})
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write(make([]byte, 50))
		w.(http.Flusher).Flush()
		<-ended
	}))
	defer half.Close()
	defer close(ended)
	if s, err = (Config{Endpoint: half.URL, idle: 50 * time.Millisecond, backoff: time.Millisecond}).Open(); err != nil {
		t.Fatal(err)
	}
	if b, err := get(t, s); err == nil || len(b) != 50 || !strings.Contains(err.Error(), "behind byte 50 of 100") {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	gone := make(chan struct{}, 2*resumes)
	drips := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000000")
		defer func() { gone <- struct{}{} }()
		for pause := time.NewTicker(time.Millisecond); ; {
			if _, err := w.Write([]byte{0}); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-pause.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer drips.Close()
	if s, err = (Config{Endpoint: drips.URL, idle: 10 * time.Millisecond, backoff: time.Millisecond}).Open(); err != nil {
		t.Fatal(err)
	}
	if b, err := get(t, s); err == nil || len(b) == 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	<-gone
}

// TestReadOn breaks the reading of an object off again and again.
func TestReadOn(t *testing.T) {
	store := buckettest.NewHandler()
	want := content(1 << 20)
	store.Put(at.Key, want)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		store.ServeHTTP(&short{w, 200_000}, r)
	}))
	defer front.Close()
	s := opened(t, front.URL)
	if got, err := get(t, s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r, err := s.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	store.Put(at.Key, content(1<<20-1))
	if _, err := io.ReadAll(r); code(err) != "PreconditionFailed" {
		t.Errorf("another object was read on: %v", err)
	}
}

// short is an answer that breaks off.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	if s.left -= n; s.left == 0 {
		s.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestBelow(t *testing.T) {
	store := buckettest.New(t)
	s := opened(t, store.URL)
	for _, key := range []string{"w1/b", "w1/a", "w10", "w1/c/d", "x"} {
		store.Put(key, nil)
	}
	prefix, err := ParsePrefix("s3://backups/w1")
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.List(t.Context(), prefix)
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%v, %v", names, err)
	}
	if err := s.Remove(t.Context(), prefix.Below("a")); err != nil || slices.Contains(store.Keys(), "w1/a") {
		t.Errorf("%v, %v", store.Keys(), err)
	}
	for _, name := range []string{"ours", "theirs"} {
		if _, err := s.begin(t.Context(), prefix.Below(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AbortBelow(t.Context(), prefix, func(n string) bool { return n == "ours" }); err != nil || !slices.Equal(store.Uploads(), []string{"w1/theirs"}) {
		t.Errorf("%v, %v", store.Uploads(), err)
	}
	for i := range MaxListed + 1 {
		store.Put(fmt.Sprintf("many/%d", i), nil)
	}
	if _, err := s.List(t.Context(), Location{buckettest.Bucket, "many/"}); err == nil {
		t.Error("listed too many")
	}
}

func TestTooLarge(t *testing.T) {
	u := &upload{at: at, part: make([]byte, PartSize)}
	u.sent = slices.Grow(u.sent, MaxParts)[:MaxParts]
	if _, err := u.Write([]byte("x")); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	t.Setenv(EnvAccessKeyID, "")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAROOT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-the-root")
	dir := t.TempDir()
	file := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const keys = `{"Version":1,"AccessKeyId":"AKIASTORE","SecretAccessKey":"sesame"`
	good := file("good", keys+`,"SessionToken":"t","Expiration":"2999-01-01T00:00:00Z"}`, 0o600)
	for _, c := range []struct {
		Config
		want error
		says string
	}{
		{Config{Endpoint: "https://s3.example.com"}, ErrCredentials, "AWS_ACCESS_KEY_ID is that of the cluster"},
		{Config{CredentialsFile: good}, ErrConfig, "--s3-region"},
		{Config{CredentialsFile: good, Region: "eu-central-1"}, nil, ""},
		{Config{CredentialsFile: good, Endpoint: "s3.example.com"}, ErrConfig, "https://"},
		{Config{CredentialsFile: good, Endpoint: "https://u:p@s3.example.com"}, ErrConfig, "https://"},
		{Config{CredentialsFile: good, Endpoint: "https://s3.example.com/bucket"}, ErrConfig, "https://"},
		{Config{CredentialsFile: good, Endpoint: "https://s3.example.com/", CAFile: good}, ErrConfig, "no certificates"},
		{Config{CredentialsFile: dir + "/none", Region: "r"}, fs.ErrNotExist, ""},
		{Config{CredentialsFile: file("open", keys+"}", 0o644), Region: "r"}, ErrCredentials, "chmod 600"},
		{Config{CredentialsFile: file("old", keys+`,"Expiration":"2020-01-01T00:00:00Z"}`, 0o600), Region: "r"}, ErrCredentials, "ended at"},
		{Config{CredentialsFile: file("other", "[default]\naws_secret_access_key=sesame", 0o600), Region: "r"}, ErrCredentials, "AccessKeyId"},
	} {
		_, err := c.Open()
		if !errors.Is(err, c.want) || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "sesame")) {
			t.Errorf("%+v: %v", c.Config, err)
		}
	}
	for url, ok := range map[string]bool{
		"s3://bucket/a/b": true, "s3://bucket/": false, "s3://bucket": false, "s3://bucket/a/": false, "s3://Bucket/a": false, "s3:///a": false, "s3://b/a": false, "s3://bucket/../other/a": false, "s3://bucket/a/./b": false, "s3://bucket/a..b": true,
		"s3://bucket/" + strings.Repeat("k", maxKey+1): false,
	} {
		if _, err := Parse(url); (err == nil) != ok || err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestTLS believes a store by a file of certificates alone.
func TestTLS(t *testing.T) {
	store := httptest.NewUnstartedServer(buckettest.NewHandler())
	store.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	store.StartTLS()
	defer store.Close()
	if err := put(opened(t, store.URL), content(1)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: store.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Config{Endpoint: store.URL, CAFile: ca}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, content(1)); err != nil {
		t.Error(err)
	}
}

// TestStrangers has wrong credentials and a wrong bucket.
func TestStrangers(t *testing.T) {
	store := buckettest.New(t)
	s := opened(t, store.URL)
	if err := s.Create(t.Context(), Location{"another", "key"}, nil); err == nil || !strings.Contains(err.Error(), "make the bucket first") {
		t.Error(err)
	}
	t.Setenv(EnvAccessKeyID, "AKIASOMEBODY")
	if err := put(s, content(1)); err == nil || !strings.Contains(err.Error(), "does not know the access key") || strings.Contains(err.Error(), buckettest.Secret) {
		t.Error(err)
	}
	if _, err := get(t, s); err == nil || !strings.Contains(err.Error(), "does not know the access key") {
		t.Error(err)
	}
}
