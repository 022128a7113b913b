package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is what a binary runs on.
type target struct{ os, arch string }

// targets are those of a release.
var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

// release is what is built.
type release struct {
	source   string // the root of the sources
	out      string // an absolute path
	version  string // "v1.2.3", or what `git describe` says
	revision string // of the sources, in hexadecimal; empty: not known
}

var (
	versionName  = regexp.MustCompile(`^v?[0-9A-Za-z][0-9A-Za-z.+-]{0,99}$`)
	revisionName = regexp.MustCompile(`^([0-9a-f]{40}([0-9a-f]{24})?)?$`)
)

// errName is returned for a version or a revision that would be no name of a file, or more than
// one word of the linker.
var errName = errors.New("is no version such as v1.2.3, or no commit's whole hash")

func (r *release) check() error {
	if !versionName.MatchString(r.version) || !revisionName.MatchString(r.revision) {
		return fmt.Errorf("%q, %q: %w", r.version, r.revision, errName)
	}
	return nil
}

// environment is what a build goes by: of what would change its bytes, nothing but what is said
// here.
func (t target) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GOWORK", "GODEBUG"}, name)
	})
	return append(env, "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
}

// build makes the binary of a target, and returns its name. Its bytes depend on the sources, the
// version, the revision and the version of Go alone: neither on where the sources are nor on git.
func (r *release) build(ctx context.Context, t target) (name string, err error) {
	const stamp = "-X github.com/writ-iam/writ/node/build."
	name = fmt.Sprintf("writ_%s_%s_%s", r.version, t.os, t.arch)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags", "-s -w "+stamp+"Version="+r.version+" "+stamp+"Revision="+r.revision, "-o", filepath.Join(r.out, name), "./cmd/writ")
	cmd.Dir, cmd.Env = r.source, t.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build writ for %s/%s: %w\n%s", t.os, t.arch, err, out)
	}
	return name, nil
}

// sums is the file of all checksums, as sha256sum makes and checks it.
const sums = "SHA256SUMS"

// sum writes the checksums of files.
func (r *release) sum(names []string) error {
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(names)) {
		content, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return fmt.Errorf("sum the files up: %w", err)
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(content), name)
	}
	return r.write(sums, []byte(b.String()))
}

func (r *release) write(name string, content []byte) error {
	const mode = 0o644 // everybody's
	if err := os.WriteFile(filepath.Join(r.out, name), content, mode); err != nil {
		return fmt.Errorf("write the release: %w", err)
	}
	return nil
}

// sign signs the checksums by a key of SSH, into SHA256SUMS.sig. OpenSSH asks for its passphrase.
func (r *release) sign(ctx context.Context, key string) error {
	path := filepath.Join(r.out, sums)
	if err := os.RemoveAll(path + ".sig"); err != nil {
		return fmt.Errorf("take the old signature away: %w", err)
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-n", "file", "-f", key, path)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sign the checksums: %w", err)
	}
	return nil
}
