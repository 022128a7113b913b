package rig

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// keyFaults have an operator replace keys by the verbs, beside whatever else goes wrong. (Session
// keys are rotated and revoked by the clients, all the time.)
func keyFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "seal-key-rotated", about: "another key seals, and all secrets are sealed anew", on: onFabric, levels: true, min: s / 10, max: 2 * s, run: rotateSealKey},
		{name: "certificates-renewed", about: "certificates of all nodes renewed by hand, the old ones revoked", on: onFabric, levels: true, min: s / 10, max: 2 * s, run: renewCertificates},
		{name: "authority-replaced", about: "another authority issues the certificates of nodes, and the old one is dropped", on: onFabric, levels: true, min: s / 10, max: 2 * s, run: replaceAuthority},
	}
}

// maxSealKeys is how many keys the file gets at most: disks from earlier need the old ones.
const maxSealKeys = 14

// rotateSealKey adds a key, takes it to all nodes and waits until nothing needs another one.
func rotateSealKey(ctx context.Context, s *strike) error {
	file := filepath.Join(s.lab.layout, "seal.key")
	certificates.Lock()
	defer certificates.Unlock()
	list, err := s.lab.verb(ctx, "seal", "list", "--file", file)
	if err != nil {
		return err
	}
	if keys := strings.Fields(list); len(keys) >= maxSealKeys {
		return fmt.Errorf("%w: the file has %d keys", errSkipped, len(keys))
	}
	said, err := s.lab.verb(ctx, "seal", "add", "--file", file)
	if err != nil {
		return err
	}
	words := strings.Fields(said) // "key ID is in ..."
	if len(words) < 2 {
		return fmt.Errorf("seal add says %q", said)
	}
	if err := s.tries(ctx, func(ctx context.Context) error {
		s.lab.hup(ctx)
		var now client.Seal
		if err := s.lab.ask(ctx, &now, "seal", "status"); err == nil && now.Active == words[1] {
			return nil // an earlier try did it
		}
		_, err := s.lab.verb(ctx, "seal", "rotate", "--key", words[1])
		return err
	}); err != nil {
		return err
	}
	s.hold(ctx)
	return s.tries(ctx, s.verbs("seal", "status", "--wait", "--timeout", "20s"))
}

// issued is a row of `writ cert list`.
type issued struct {
	Name string `json:"name"`
	client.Certificate
}

// filed are the serial numbers of the nodes' certificates in the layout, by name.
func (l *lab) filed(ctx context.Context) (map[string]string, error) {
	var list []issued
	if err := l.ask(ctx, &list, "cert", "list", "--dir", l.layout); err != nil {
		return nil, err
	}
	serials := map[string]string{}
	for _, c := range list {
		if c.Which == client.CertificateOfNode {
			serials[c.Name] = c.Serial
		}
	}
	return serials, nil
}

// renewCertificates has all nodes use other certificates, and ends the old ones when the cluster
// lets it: when no node uses them.
func renewCertificates(ctx context.Context, s *strike) error {
	certificates.Lock()
	defer certificates.Unlock()
	old, err := s.lab.filed(ctx)
	if err != nil {
		return err
	}
	if _, err := s.lab.verb(ctx, "cert", "renew", "--all", "--dir", s.lab.layout); err != nil {
		return err
	}
	s.hold(ctx)
	for _, m := range s.lab.members {
		if err := s.tries(ctx, func(ctx context.Context) error {
			s.lab.hup(ctx)
			_, err := s.lab.verb(ctx, "cert", "revoke", old[m.name])
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// replaceAuthority takes the three steps to another authority.
func replaceAuthority(ctx context.Context, s *strike) error {
	certificates.Lock()
	defer certificates.Unlock()
	if _, err := s.lab.verb(ctx, "cert", "authority", "rotate", "--dir", s.lab.layout); err != nil {
		return err
	}
	s.hold(ctx)
	for _, step := range []string{"use", "drop"} {
		s.insists(ctx, func(ctx context.Context) error {
			s.lab.hup(ctx)
			_, err := s.lab.verb(ctx, "cert", "authority", step, "--dir", s.lab.layout)
			return err
		})
	}
	s.lab.hup(ctx)
	if broken(s.judge) {
		return errors.Join(errSkipped, ctx.Err())
	}
	return nil
}
