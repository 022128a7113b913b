package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// cleaning is how long it may take to give up what was begun.
const cleaning = 10 * time.Second

// metaUpload is the metadata by which an object is known as that of one upload.
const metaUpload = "writ-upload"

// Create has write make an object, which must not be there yet: the error is fs.ErrExist where it
// is. If write or the store fails, there is no such object, and nothing is left of it, unless the
// error says what is. It sends one part after the other, while write waits.
func (s *Store) Create(ctx context.Context, at Location, write func(io.Writer) error) error {
	switch _, err := s.head(ctx, at); {
	case err == nil:
		return fmt.Errorf("%s: %w: archives are never replaced", at, fs.ErrExist)
	case status(err) == http.StatusForbidden: // who may put may not have the right to look
	case status(err) != http.StatusNotFound:
		return explain("look for "+at.String(), err)
	}
	u, err := s.begin(ctx, at)
	if err != nil {
		return err
	}
	if err = write(u); err == nil {
		err = u.finish()
	}
	if err != nil {
		return errors.Join(err, u.abort())
	}
	return nil
}

func (s *Store) head(ctx context.Context, at Location) (*s3.HeadObjectOutput, error) {
	return s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.Bucket, Key: &at.Key})
}

// upload is an object that is being sent. What was sent shows when it is finished.
type upload struct {
	ctx   context.Context
	store *Store
	at    Location
	id    string // that the store gave it
	mark  string // that the object has, to be known by
	part  []byte // what comes next
	sent  []types.CompletedPart
	size  int64 // of what was sent
}

func (s *Store) begin(ctx context.Context, at Location) (*upload, error) {
	u := &upload{ctx: ctx, store: s, at: at, mark: rand.Text(), part: make([]byte, 0, PartSize)}
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &at.Bucket, Key: &at.Key, ContentType: aws.String("application/octet-stream"), Metadata: map[string]string{metaUpload: u.mark},
	})
	if err != nil {
		return nil, explain("begin "+at.String(), err)
	}
	u.id = aws.ToString(out.UploadId)
	return u, nil
}

// Write sends what fills parts.
func (u *upload) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(u.part) == PartSize {
			if err := u.send(); err != nil {
				return n, err
			}
		}
		took := min(len(p), PartSize-len(u.part))
		u.part = append(u.part, p[:took]...)
		n, p = n+took, p[took:]
	}
	return n, nil
}

// send sends a part. Its signature covers what is in it.
func (u *upload) send() error {
	if len(u.sent) == MaxParts {
		return fmt.Errorf("%w: %s would have more than %d bytes; keep it in a file", ErrTooLarge, u.at, int64(MaxSize))
	}
	number := aws.Int32(int32(len(u.sent) + 1))
	out, err := u.store.client.UploadPart(u.ctx, &s3.UploadPartInput{
		Bucket: &u.at.Bucket, Key: &u.at.Key, UploadId: &u.id, PartNumber: number, Body: bytes.NewReader(u.part), ContentLength: aws.Int64(int64(len(u.part))),
	})
	if err != nil {
		return explain(fmt.Sprintf("send part %d of %s", *number, u.at), err)
	}
	u.sent = append(u.sent, types.CompletedPart{ETag: out.ETag, PartNumber: number})
	u.size += int64(len(u.part))
	u.part = u.part[:0]
	return nil
}

// finish sends the rest and has the object appear, if there is none.
func (u *upload) finish() error {
	if err := u.send(); err != nil {
		return err
	}
	err := u.complete(aws.String("*"))
	if code(err) == "NotImplemented" { // a store without conditions: Create has looked
		err = u.complete(nil)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleaning) // what was begun is known, whoever ended it
	defer cancel()
	there, unseen := u.store.head(ctx, u.at)
	switch {
	case err == nil && status(unseen) == http.StatusForbidden:
		return nil
	case err == nil && unseen != nil:
		return explain("look for "+u.at.String()+", which is there", unseen)
	case unseen == nil && there.Metadata[metaUpload] == u.mark || err == nil: // the answer may have been lost
		if size := aws.ToInt64(there.ContentLength); size != u.size {
			return fmt.Errorf("%s has %d bytes, and %d were sent: remove it", u.at, size, u.size)
		}
		return nil
	case unseen == nil || status(err) == http.StatusPreconditionFailed || status(err) == http.StatusConflict:
		return fmt.Errorf("%s: %w: archives are never replaced, and somebody else made it meanwhile", u.at, fs.ErrExist)
	}
	return explain("finish "+u.at.String(), err)
}

func (u *upload) complete(ifNone *string) error {
	_, err := u.store.client.CompleteMultipartUpload(u.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.at.Bucket, Key: &u.at.Key, UploadId: &u.id, IfNoneMatch: ifNone, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.sent},
	})
	return err
}

// abort gives up what was sent, even when what it was sent for has ended.
func (u *upload) abort() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleaning)
	defer cancel()
	err := u.store.abort(ctx, u.at, u.id)
	if err != nil {
		err = fmt.Errorf("parts of %s are left there, as those of upload %s, until they are aborted: %w", u.at, u.id, err)
	}
	return err
}

func (s *Store) abort(ctx context.Context, at Location, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &at.Bucket, Key: &at.Key, UploadId: &id})
	if status(err) == http.StatusNotFound { // it was finished, or is aborted
		return nil
	}
	return err
}
