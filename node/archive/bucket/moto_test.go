package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-iam/writ/node/archive/bucket/buckettest"
	"github.com/writ-iam/writ/node/setup"
)

// motoPatience is how long moto's server may take until it answers.
const motoPatience = 2 * time.Minute

// moto runs moto's server, a store that others wrote, until the test ends.
func moto(t *testing.T) (url string) {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed: pip install 'moto[server]'")
	}
	addr, err := setup.FreeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(addr[0], ":")
	ctx, cancel := context.WithTimeout(t.Context(), motoPatience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.Command(program, "-H", host, "-p", port)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		r, err := http.Get("http://" + addr[0] + "/moto-api/")
		if err == nil {
			r.Body.Close()
			return "http://" + addr[0]
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("moto_server ended: %s", out.String())
		case <-ctx.Done():
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

func TestMoto(t *testing.T) {
	s := opened(t, moto(t))
	bucket := buckettest.Bucket
	if err := put(s, content(1)); err == nil || !strings.Contains(err.Error(), "make the bucket first") {
		t.Errorf("without the bucket: %v", err)
	}
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	want := content(PartSize + 1000)
	if err := put(s, want); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if err := put(s, want); !errors.Is(err, fs.ErrExist) {
		t.Errorf("again: %v", err)
	}
	broken := errors.New("broken")
	if err := s.Create(t.Context(), at.Below("2"), func(w io.Writer) error {
		_, err := w.Write(want)
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Error(err)
	}
	d := &download{ctx: t.Context(), store: s, at: at, size: int64(len(want)), next: PartSize}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(d); err != nil || !bytes.Equal(rest, want[PartSize:]) {
		t.Errorf("%d bytes of the second part came, %v", len(rest), err)
	}
	prefix := Location{bucket, "w1/"}
	if _, err := s.begin(t.Context(), prefix.Below("crashed")); err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return true }
	if err := s.AbortBelow(t.Context(), prefix, all); err != nil {
		t.Error(err)
	}
	left, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("left %+v, %v", left, err)
	}
	if names, err := s.List(t.Context(), prefix); err != nil || !slices.Equal(names, []string{"a.archive.age"}) {
		t.Errorf("%v, %v", names, err)
	}
	if err := s.Remove(t.Context(), at); err != nil {
		t.Error(err)
	}
	if _, err := get(t, s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}
