package rig

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// buildFaults have nodes run one build or another, as an upgrade and what goes back from it do.
func buildFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "other-build", about: "SIGTERM or kill -9 of a node, started again with the other build (-other)", on: onNode, builds: true, min: s / 10, max: 2 * s, run: otherBuild},
	}
}

// fits tells whether a fault is one of a cluster with another build, or of one without.
func (f *fault) fits(other string) bool {
	if other == "" {
		return !f.builds
	}
	return !f.levels && f.on != onClockedWriter && f.on != onClockedReplica
}

// otherBuild changes the victim's build. The last replica keeps the one that the cluster began
// with: so the feature level stays, and nodes may go back.
func otherBuild(ctx context.Context, s *strike) error {
	m := s.victim()
	if m == s.lab.members[len(s.lab.members)-1] {
		return fmt.Errorf("%w: %s holds the feature level", errSkipped, m.name)
	}
	err := s.end(ctx)
	s.hold(ctx)
	m.mu.Lock()
	m.other = !m.other
	s.ended("%s", map[bool]string{true: "to the other build", false: "to the build under test"}[m.other])
	m.mu.Unlock()
	return errors.Join(err, m.start())
}
