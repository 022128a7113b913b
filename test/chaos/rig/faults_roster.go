package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// rosterFaults are what operators do to replicas while they serve.
func rosterFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "replica-removed", about: "a replica taken off the roster while it runs, admitted and started again", on: onReplica, min: s / 10, max: 14 * s, run: removed},
		{name: "replica-drained", about: "a replica drained, and resumed", on: onReplica, min: s / 10, max: 14 * s, run: drained},
	}
}

// rosterPatience bounds a change of the roster with all tries.
const rosterPatience = 30 * time.Second

// roster changes the victim's entry, at whoever leads, until that is done.
func (s *strike) roster(ctx context.Context, change func(*client.Client, context.Context, string) (*client.RosterChange, error)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rosterPatience)
	defer cancel()
	for {
		m, _ := s.lab.leader()
		err := errors.New("nobody leads")
		if m != nil {
			var c *client.Client
			c, err = client.New(client.Config{Endpoint: m.url, AccessKeyID: s.lab.root.AccessKeyID, SecretAccessKey: s.lab.root.SecretAccessKey})
			if err != nil {
				return err
			}
			var p *client.Problem
			_, err = change(c, ctx, s.victim().name)
			if err == nil || errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusConflict) { // an earlier try did it
				return nil
			}
		}
		if !pause(ctx, pollEvery) {
			return fmt.Errorf("%w: %w", errSkipped, err)
		}
	}
}

// removed takes the victim off the roster. It stays out, also when it is started
// again, until it is admitted.
func removed(ctx context.Context, s *strike) error {
	err := s.roster(ctx, (*client.Client).Remove)
	s.hold(ctx)
	err = errors.Join(err, s.end(ctx), s.victim().start())
	return errors.Join(err, s.must(ctx, (*client.Client).Admit)) // it may be off the roster even so
}

// must is roster for a change without which the victim is of no more use.
func (s *strike) must(ctx context.Context, change func(*client.Client, context.Context, string) (*client.RosterChange, error)) error {
	for {
		err := s.roster(ctx, change)
		if !errors.Is(err, errSkipped) || broken(s.judge) {
			return err
		}
	}
}

// drained ends the victim's leases for a while.
func drained(ctx context.Context, s *strike) error {
	err := s.roster(ctx, (*client.Client).Drain)
	s.hold(ctx)
	return errors.Join(err, s.must(ctx, (*client.Client).Resume))
}
