// Package build is which build a node runs, and whether that can read its cluster's log.
package build

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
)

// Version and Revision are the release that `make release` built, and the commit that it is of:
// the linker sets them (-X). They are empty in other builds, where Go notes by itself what it
// knows of the source.
var Version, Revision string

// ErrTooOld is what a node says whose build supports less than the feature level in force.
var ErrTooOld = errors.New("this build is too old for its cluster")

// Own is the build that runs.
func Own() shape.Build {
	b := shape.Build{Version: Version, Revision: Revision, Go: runtime.Version(), Level: identity.FeatureLevel}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = cmp.Or(b.Revision, s.Value)
			}
		}
	}
	b.Version = cmp.Or(b.Version, "unknown")
	return b
}

// taken is what is taken of what another node says of its build: up to 100 letters that no
// terminal takes for anything else.
var taken = regexp.MustCompile(`^[0-9A-Za-z.()+:~_ -]{0,100}$`)

// Taken is what another node says of its build, read with care; nil: nothing.
func Taken(said *shape.Build) *shape.Build {
	if said == nil || !taken.MatchString(said.Version) || !taken.MatchString(said.Revision) || !taken.MatchString(said.Go) {
		return nil
	}
	return said
}

// Condition is a line of /readyz, at the feature level in force as the node knows it; 0: it knows
// no cluster yet. A build that supports more is in order: the level rises when all nodes do.
func Condition(own *shape.Build, inForce uint32) (string, error) {
	if inForce > own.Level {
		return "", fmt.Errorf("%w: %v supports feature level %d, and level %d is in force: install the build that the other nodes run", ErrTooOld, own, own.Level, inForce)
	}
	return fmt.Sprintf("%v, feature level %d of %d that it supports", own, inForce, own.Level), nil
}
