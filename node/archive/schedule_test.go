package archive

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/archive/bucket/buckettest"
)

// TestSchedule makes archives for a while, is stopped, and goes on.
func TestSchedule(t *testing.T) {
	p := newPast(t, 5)
	dir := filepath.Join(t.TempDir(), "backups")
	s := Schedule{Dir: dir, Every: time.Hour, Keep: 3, Unencrypted: true}
	logger := slog.New(slog.DiscardHandler)
	must(t, os.MkdirAll(dir, 0o700))
	for _, strange := range []string{"notes.txt", "writ-20990101T000000Z-1.archive.old"} {
		must(t, os.WriteFile(filepath.Join(dir, strange), nil, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "unfinished-1"), nil, 0o600))
	run := func(t *testing.T, d time.Duration) *Keeper {
		k, err := NewKeeper(s)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		k.run(ctx, func() *Source { return p.at(5) }, time.Now, logger)
		return k
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if k := run(t, 4*time.Hour+time.Minute); k.Last() != float64(begun.Add(4*time.Hour).Unix()) {
			t.Errorf("the last of %v was made at %v", begun, k.Last())
		}
		if k := run(t, time.Minute); k.Last() != float64(begun.Add(4*time.Hour).Unix()) { // none is due
			t.Errorf("made again at %v", k.Last())
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3+2 {
		t.Errorf("left are %v, %v", left, err)
	}
	k, err := NewKeeper(s)
	must(t, err)
	names, err := k.list(t.Context(), time.Now())
	must(t, err)
	b, err := os.ReadFile(filepath.Join(dir, names[0]))
	must(t, err)
	if found, err := Verify(opened(b)); err != nil || found[0].Position != 5 {
		t.Errorf("found %+v, %v", found, err)
	}
	if k, err := NewKeeper(Schedule{}); k != nil || err != nil {
		t.Errorf("none became %v, %v", k, err)
	}
	for _, bad := range []Schedule{
		{Dir: dir, Every: time.Second, Keep: 1, Unencrypted: true}, {Dir: dir, Every: time.Hour, Unencrypted: true}, {Dir: dir, Every: time.Hour, Keep: 1},
		{Dir: dir, Every: time.Hour, Keep: 1, RecipientsFile: "none"}, {Dir: dir, Every: time.Hour, Keep: 1, RecipientsFile: "x", Unencrypted: true},
	} {
		if _, err := NewKeeper(bad); !errors.Is(err, ErrSchedule) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestScheduleInStore makes archives in a store, which is not there at first.
func TestScheduleInStore(t *testing.T) {
	store := buckettest.New(t)
	t.Setenv(bucket.EnvAccessKeyID, buckettest.AccessKeyID)
	t.Setenv(bucket.EnvSecretAccessKey, buckettest.Secret)
	p := newPast(t, 5)
	schedule := Schedule{Dir: "s3://" + buckettest.Bucket + "/w1", S3: bucket.Config{Endpoint: store.URL}, Every: time.Hour, Keep: 2, Unencrypted: true}
	now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	store.Fails = closed{}
	k, err := NewKeeper(schedule)
	must(t, err)
	if _, err := k.make(t.Context(), p.at(5), now); err == nil || k.Last() != 0 {
		t.Errorf("made at %v, %v", k.Last(), err)
	}
	store.Fails = nil
	for _, key := range []string{"w1/notes.txt", "w1/old/writ-20200101T000000Z-1.archive", "w2/writ-20200101T000000Z-1.archive"} {
		store.Put(key, nil)
	}
	for i := range 4 {
		_, err := k.make(t.Context(), p.at(5), now.Add(time.Duration(i)*time.Hour))
		must(t, err)
	}
	kept := []string{"w1/writ-20261130T100000Z-5.archive", "w1/writ-20261130T110000Z-5.archive"}
	if keys := store.Keys(); len(keys) != 3+2 || !slices.Contains(keys, kept[0]) || !slices.Contains(keys, kept[1]) {
		t.Errorf("kept %v", keys)
	}
	if found, err := Verify(opened(store.Object(kept[1]))); err != nil || found[0].Position != 5 {
		t.Errorf("found %+v, %v", found, err)
	}
	k, err = NewKeeper(schedule)
	must(t, err)
	if err := k.look(t.Context(), now.Add(4*time.Hour)); err != nil || k.Last() != float64(now.Add(3*time.Hour).Unix()) {
		t.Errorf("the last was made at %v, %v", k.Last(), err)
	}
	schedule.S3 = bucket.Config{}
	if _, err := NewKeeper(schedule); !errors.Is(err, ErrSchedule) || !errors.Is(err, bucket.ErrConfig) {
		t.Errorf("without a store: %v", err)
	}
}

// closed is how a store fails to which the credentials give no right.
type closed struct{}

// Fail refuses everything.
func (closed) Fail(_ string, w http.ResponseWriter) bool {
	buckettest.Refuse(w, http.StatusForbidden, "AccessDenied")
	return true
}
