// Package durable puts files where they survive a crash: their content, and their
// names in the directory, are on disk before a call returns. A reader sees all of a
// file or none of it.
//
// Everything that a node cannot make again by itself is written by this package:
// certificates, keys, settings, ids, checkpoints. Databases have ways of their own.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// unfinished is the pattern of names that files have while they are written. One
// that a crash left behind may be removed; see Unfinished.
const unfinished = "unfinished-*"

// Write makes content the file at path, and replaces the one that is there.
func Write(path string, mode fs.FileMode, content []byte) error {
	return Replace(path, mode, bytesOf(content))
}

// Replace makes what write writes the file at path, and replaces the one that is
// there. If it fails, that one is still there.
func Replace(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return put(path, mode, write, os.Rename, SyncDir)
}

// Create is Write for a file that must not be there yet: the error is fs.ErrExist
// where it is.
func Create(path string, mode fs.FileMode, content []byte) error {
	return CreateFrom(path, mode, bytesOf(content))
}

// CreateFrom is Create for what write writes. If it fails, there is no such file.
func CreateFrom(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return put(path, mode, write, os.Link, SyncDir)
}

// Overwrite makes content what the file at path holds, which stays the same file: whoever has
// it open, or mounted into a container, sees the new content. A crash or a full disk may leave
// a part of both contents, so it is for what can be made again.
func Overwrite(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("overwrite %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = errors.Join(f.Truncate(int64(len(content))), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("overwrite %s: %w", path, err)
	}
	return nil
}

// Append adds content at the end of a file that is there, which keeps its owner, its mode and its
// place: it may be mounted by itself. If it fails the file is as it was; a crash may leave a
// part of the content.
func Append(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", path, errors.Join(err, f.Truncate(info.Size())))
	}
	return nil
}

func bytesOf(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

// put writes and syncs a file under another name, gives it its own by name, and
// syncs the directory: without that a crash can bring back the file of before, or
// none.
func put(path string, mode fs.FileMode, write func(io.Writer) error, name func(from, to string) error, syncDir func(string) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where it was renamed
	if err = write(f); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = name(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Rename gives a file or directory, which is on disk already, another name in its directory.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Unfinished returns the files in a directory that a crash left half-written. Only
// the directory's owner may ask: a file that is being written looks the same.
func Unfinished(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, unfinished))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished files in %s: %w", dir, err)
	}
	return paths, nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the directory %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes a directory and those above it that are missing, each of them
// durably.
func MkdirAll(dir string, mode fs.FileMode) error { return mkdirAll(dir, mode, SyncDir) }

func mkdirAll(dir string, mode fs.FileMode, syncDir func(string) error) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := mkdirAll(above, mode, syncDir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if info, again := os.Stat(dir); again == nil && info.IsDir() {
			return nil // somebody else was quicker
		}
		return err
	}
	return syncDir(above)
}
