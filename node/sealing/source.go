package sealing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/seal"
)

// Limits of programs that tell keys.
const (
	// CommandTimeout is how long a program may take.
	CommandTimeout = 10 * time.Second
	// afterTimeout is how much longer what it started may hold its output open.
	afterTimeout = time.Second
	// maxCommandOutput bounds what is read of a program: more than a key file may have.
	maxCommandOutput = 32 << 10
)

// CredentialPrefix begins the name of a file that is a credential of systemd.
const CredentialPrefix = "credential:"

// credentials is the variable that names the directory of a unit's credentials (systemd.exec(5)).
const credentials = "CREDENTIALS_DIRECTORY"

// ErrSource is returned where it is not well said where the keys come from.
var ErrSource = errors.New("where the seal keys come from is not well said")

// Source is where keys come from.
type Source struct {
	// File is the path of a key file, or CredentialPrefix with the name of a credential.
	File string
	// Command is a program, by its absolute path, and its arguments, with spaces between them;
	// File does not count then. It is run without a shell, and prints keys as a key file has them.
	Command string
}

// Load reads the keys. Errors never quote them.
func (s Source) Load(ctx context.Context) (*seal.Key, error) {
	if s.Command != "" {
		return s.run(ctx)
	}
	path, by := s.File, seal.OwnerAlone
	dir := os.Getenv(credentials)
	if name, ok := strings.CutPrefix(path, CredentialPrefix); ok {
		switch {
		case name == "" || name != filepath.Base(name) || name == "..":
			return nil, fmt.Errorf("%w: %q is no name of a credential", ErrSource, name)
		case dir == "":
			return nil, fmt.Errorf("%w: there is no $%s: the unit needs LoadCredential=%s:/path/of/seal.key, or LoadCredentialEncrypted=", ErrSource, credentials, name)
		}
		path = filepath.Join(dir, name)
	}
	if dir != "" && filepath.Dir(path) == filepath.Clean(dir) {
		by = seal.OwnGroup
	}
	return seal.LoadFileFor(path, by)
}

// run has a program print the keys.
func (s Source) run(ctx context.Context) (*seal.Key, error) {
	words := strings.Fields(s.Command)
	if len(words) == 0 || !filepath.IsAbs(words[0]) {
		return nil, fmt.Errorf("%w: the program has to be named by its absolute path, as /usr/local/bin/seal-key", ErrSource)
	}
	ctx, cancel := context.WithTimeout(ctx, CommandTimeout)
	defer cancel()
	out := capped{most: maxCommandOutput}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env, cmd.Stdout, cmd.WaitDelay = environment(), &out, afterTimeout
	defer out.clear()
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it did not end within %v", CommandTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("seal keys of %s: %w; run it by hand, as the node's user, to see what it says: that may hold keys, and is not logged", words[0], err)
	}
	k, err := seal.Read(bytes.NewReader(out.b))
	if err != nil {
		return nil, fmt.Errorf("seal keys of %s: what it printed: %w", words[0], err)
	}
	return k, nil
}

// environment is the node's own without its settings, which secrets may be among.
func environment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "WRIT_") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// capped keeps the beginning of what is written to it.
type capped struct {
	b    []byte
	most int
}

// Write takes all, and keeps one byte more than may be: who reads on sees that it was too much.
func (c *capped) Write(p []byte) (int, error) {
	c.b = append(c.b, p[:min(len(p), c.most+1-min(len(c.b), c.most+1))]...)
	return len(p), nil
}

func (c *capped) clear() { clear(c.b) }
