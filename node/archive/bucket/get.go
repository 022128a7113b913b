package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// resumes is how often in a row an object whose reading breaks off is read on, where nothing came.
const resumes = 4

// Open reads an object from its beginning. The error is fs.ErrNotExist where there is none. What
// breaks off is read on from there, of the same object.
func (s *Store) Open(ctx context.Context, at Location) (io.ReadCloser, error) {
	d := &download{ctx: ctx, store: s, at: at}
	if err := d.open(); err != nil {
		if status(err) == http.StatusNotFound && code(err) == "NoSuchKey" {
			return nil, fmt.Errorf("%s: %w", at, fs.ErrNotExist)
		}
		return nil, explain("read "+at.String(), err)
	}
	return d, nil
}

// download is an object that is being read.
type download struct {
	ctx   context.Context
	store *Store
	at    Location
	body  io.ReadCloser
	etag  *string // of the object
	size  int64
	next  int64 // byte
	from  int64 // byte, that the latest answer began with
	tries int   // since leastMoved came of one answer
}

func (d *download) open() error {
	in := &s3.GetObjectInput{Bucket: &d.at.Bucket, Key: &d.at.Key, IfMatch: d.etag}
	if d.next > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", d.next))
	}
	out, err := d.store.client.GetObject(d.ctx, in)
	if err != nil {
		return err
	}
	if d.next == 0 {
		d.size, d.etag = aws.ToInt64(out.ContentLength), out.ETag
	} else if !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", d.next)) {
		return errors.Join(errors.New("the store reads objects from their beginning alone"), out.Body.Close())
	}
	d.body, d.from = out.Body, d.next
	return nil
}

// Read reads on.
func (d *download) Read(p []byte) (int, error) {
	for {
		if d.next == d.size {
			return 0, io.EOF
		}
		n, err := d.body.Read(p)
		if d.next += int64(n); n > 0 {
			if d.next-d.from >= leastMoved {
				d.tries = 0
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		if d.tries++; d.tries > resumes || d.ctx.Err() != nil {
			return 0, explain(fmt.Sprintf("read %s behind byte %d of %d", d.at, d.next, d.size), err)
		}
		d.body.Close() // nothing is left to be lost by it
		if err := d.open(); err != nil {
			d.tries = resumes
			d.body = broken{err}
		}
	}
}

// Close ends the reading.
func (d *download) Close() error { return d.body.Close() }

// broken is a body that could not be opened.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func (broken) Close() error { return nil }

// List returns the names of the objects below a location, without it, in order; those below
// another / are left out.
func (s *Store) List(ctx context.Context, at Location) (names []string, err error) {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &at.Bucket, Prefix: &at.Key, Delimiter: aws.String("/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain("list "+at.String(), err)
		}
		for i := range page.Contents {
			names = append(names, strings.TrimPrefix(aws.ToString(page.Contents[i].Key), at.Key))
		}
		if len(names) > MaxListed {
			return nil, fmt.Errorf("list %s: it has more than %d objects; keep backups below a prefix of their own", at, MaxListed)
		}
	}
	return names, nil
}

// Remove removes an object.
func (s *Store) Remove(ctx context.Context, at Location) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.Bucket, Key: &at.Key})
	return explain("remove "+at.String(), err)
}

// AbortBelow gives up the unfinished objects below a location whose names are ours: what a crash
// left. The caller owns the location, since one that is being sent looks the same.
func (s *Store) AbortBelow(ctx context.Context, at Location, ours func(name string) bool) error {
	out, err := s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &at.Bucket, Prefix: &at.Key})
	if err != nil {
		return explain("list what is unfinished in "+at.String(), err)
	}
	var failed error
	for _, u := range out.Uploads {
		failed = errors.Join(failed, s.abortOne(ctx, at, u, ours))
	}
	return failed
}

func (s *Store) abortOne(ctx context.Context, at Location, u types.MultipartUpload, ours func(string) bool) error {
	name, below := strings.CutPrefix(aws.ToString(u.Key), at.Key)
	if !below || !ours(name) {
		return nil
	}
	return explain("abort "+at.Below(name).String(), s.abort(ctx, at.Below(name), aws.ToString(u.UploadId)))
}
