package upgrade

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed previous
var previous string

// ErrNoHistory is returned where the sources of the previous release are not at hand: git is
// missing, or the repository was cloned without its history.
var ErrNoHistory = errors.New("the previous release cannot be built here: that needs git, and a clone with the whole history")

// Commit is the commit of the previous release.
func Commit() string {
	for line := range strings.Lines(previous) {
		if hash, _, _ := strings.Cut(strings.TrimSpace(line), " "); hash != "" && hash[0] != '#' {
			return hash
		}
	}
	panic("upgrade: the file previous names no commit")
}

// Previous returns the binary of the previous release; $WRIT_PREVIOUS_BINARY names one that is
// there already. It is built once, from the history of the repository in root, and kept below
// root's .cache. Any number of processes may call it at once.
func Previous(ctx context.Context, root string) (string, error) {
	if binary := os.Getenv("WRIT_PREVIOUS_BINARY"); binary != "" {
		return binary, nil
	}
	dir, err := filepath.Abs(filepath.Join(root, ".cache", "previous", Commit()[:12]))
	if err != nil {
		return "", fmt.Errorf("find the previous release: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a place for the previous release: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("build the previous release: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("wait for another build of the previous release: %w", err)
	}
	binary := filepath.Join(dir, "writ")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	return binary, build(ctx, root, dir, binary)
}

// build compiles the previous release in dir.
func build(ctx context.Context, root, dir, binary string) error {
	run := func(in string, words ...string) error {
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Dir = in
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GIT_INDEX_FILE="+filepath.Join(dir, "index"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the previous release: %s: %w\n%s", strings.Join(words, " "), err, out)
		}
		return nil
	}
	if err := run(root, "git", "cat-file", "-e", Commit()+"^{commit}"); err != nil {
		return fmt.Errorf("%w (%w)", ErrNoHistory, err)
	}
	source := filepath.Join(dir, "source")
	defer func() { _ = os.RemoveAll(source) }() // the binary is what is kept; what is left is written over
	for _, words := range [][]string{
		{"git", "read-tree", Commit()},
		{"git", "checkout-index", "--all", "--force", "--prefix=" + source + "/"},
	} {
		if err := run(root, words...); err != nil {
			return err
		}
	}
	if err := run(source, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", binary+".new", "./cmd/writ"); err != nil {
		return err
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		return fmt.Errorf("keep the previous release: %w", err)
	}
	return nil
}
