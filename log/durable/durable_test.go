package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The directory is synced after the file has got its name and before the call returns,
// and a sync that fails is told.
func TestDirectoryIsSynced(t *testing.T) {
	broken := errors.New("the disk is gone")
	for name, give := range map[string]func(from, to string) error{"replaced": os.Rename, "created": os.Link} {
		path := filepath.Join(t.TempDir(), "key")
		var synced []string
		sync := func(dir string) error {
			synced = append(synced, dir)
			if got := content(t, path); got != "new" {
				t.Errorf("%s: the directory is synced while the file holds %q", name, got)
			}
			return broken
		}
		if err := put(path, 0o600, bytesOf([]byte("new")), give, sync); !errors.Is(err, broken) {
			t.Errorf("%s: a sync that fails gives %v", name, err)
		}
		if !slices.Equal(synced, []string{filepath.Dir(path)}) {
			t.Errorf("%s: synced are %v", name, synced)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := Write(path, 0o644, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no more")
	if err := Replace(path, 0o600, func(w io.Writer) error { w.Write([]byte("half")); return broken }); !errors.Is(err, broken) {
		t.Errorf("a write that fails gives %v", err)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("after a write that failed it holds %q", got)
	}
	if err := Write(path, 0o600, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || content(t, path) != "new" {
		t.Errorf("%v, %v", info, err)
	}
	if err := Create(path, 0o600, []byte("another")); !errors.Is(err, fs.ErrExist) || content(t, path) != "new" {
		t.Errorf("one that is there: %v", err)
	}
	if left, err := Unfinished(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := Write(filepath.Join(dir, "nowhere", "key"), 0o600, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}

// Each directory that is made is synced into the one above it.
func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	var synced []string
	sync := func(dir string) error { synced = append(synced, dir); return nil }
	deep := filepath.Join(root, "a", "b")
	for range 2 {
		if err := mkdirAll(deep, 0o700, sync); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{root, filepath.Join(root, "a")}; !slices.Equal(synced, want) {
		t.Errorf("synced are %v, not %v", synced, want)
	}
	if err := Write(filepath.Join(root, "file"), 0o600, nil); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(root, "file", "below"), 0o700); err == nil {
		t.Error("a directory below a file was made")
	}
}
