package build

import (
	"errors"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
)

// TestCondition holds that a build below the level in force says so, and one above it is in order.
func TestCondition(t *testing.T) {
	own := Own()
	for level, want := range map[uint32]error{0: nil, own.Level - 1: nil, own.Level: nil, own.Level + 1: ErrTooOld} {
		if _, err := Condition(&own, level); !errors.Is(err, want) {
			t.Errorf("at level %d: %v", level, err)
		}
	}
	if own.Level != identity.FeatureLevel || own.Go == "" || own.Version == "" {
		t.Errorf("%+v", own)
	}
}

// TestTaken holds that what another node says of its build comes to no terminal as it likes, and
// is bounded.
func TestTaken(t *testing.T) {
	good := shape.Build{Version: "v1.2.3-rc.1+dirty", Revision: "0123abcd", Go: "go1.26.1 X:nodwarf5", Level: 2}
	if got := Taken(&good); got == nil || *got != good {
		t.Errorf("%+v", got)
	}
	for _, bad := range []*shape.Build{nil, {Version: "v1\x1b[2J"}, {Revision: "a\nb"}, {Go: strings.Repeat("a", 101)}} {
		if got := Taken(bad); got != nil {
			t.Errorf("%+v is taken", got)
		}
	}
}

// TestNames holds how builds are called.
func TestNames(t *testing.T) {
	for want, b := range map[string]*shape.Build{
		"unknown":            nil,
		"v1.2.3":             {Version: "v1.2.3", Revision: "0123456789abcdef"},
		"devel-0123456789ab": {Version: "v0.0.0-20260102030405-0123456789ab", Revision: "0123456789abcdef"},
		"(devel)":            {Version: "(devel)"},
	} {
		if got := b.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
