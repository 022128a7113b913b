package sealing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/seal"
)

// Limits of sealing anew.
const (
	// batchSecrets and batchBytes close a batch, at the end of the record that reaches one.
	batchSecrets = 256
	batchBytes   = 128 << 10
	// rest is the least pause between two batches; it is as long as the batch before took, too.
	rest = 5 * time.Millisecond
	// stuckRest is the pause after a look through all secrets that came no further.
	stuckRest = 10 * time.Second
	// namedStuck is how many of the secrets that do not open are named.
	namedStuck = 5
)

// Log is the log of the writer that leads.
type Log interface {
	// State is what the log has come to, and Changed is closed when it has come further.
	State() *identity.State
	Changed() <-chan struct{}
	// Maintain has the log take a command of the cluster's own.
	Maintain(context.Context, identity.Command) error
}

// Resealer seals all secrets anew when another key was chosen to seal. How far it has come is in
// the log alone: whoever leads goes on.
type Resealer struct {
	Log    Log
	Keys   *Keys
	Logger *slog.Logger
}

// Run seals anew until ctx, that of the term, ends.
func (r *Resealer) Run(ctx context.Context) {
	for {
		changed := r.Log.Changed()
		if k := r.Log.State().SealKeys(); k.Active != (identity.SealKeyID{}) && k.Retired == 0 {
			if r.all(ctx, k.Active) != nil {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// pass is one look through all secrets.
type pass struct {
	to    identity.SealKeyID
	at    identity.SecretPlace
	done  int
	stuck []string // that do not open
}

// all looks through all secrets once, and says that no other key is needed, if that is so. The
// error is ctx's.
func (r *Resealer) all(ctx context.Context, to identity.SealKeyID) error {
	p := &pass{to: to}
	for {
		s := r.Log.State()
		if k := s.SealKeys(); k.Active != to || k.Retired != 0 {
			return nil
		}
		r.Keys.Follow(s) // the writer may not have shown it yet
		texts := r.batch(s, p)
		if len(texts) == 0 {
			break
		}
		began := time.Now()
		err := r.Log.Maintain(ctx, &identity.ResealSecrets{Key: to, Texts: texts})
		if refusal := (*identity.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
			r.Logger.Debug("secrets were not sealed anew; it will be tried again", "error", err)
			return wake.After(ctx, askAgain)
		} else if err == nil {
			p.done += len(texts)
		}
		if err := wake.After(ctx, max(rest, time.Since(began))); err != nil {
			return err
		}
	}
	if err := r.Log.Maintain(ctx, &identity.RetireSealKeys{Key: to}); err == nil {
		r.Logger.Info("no secret needs another seal key than the one that seals", "key", to.String())
		return ctx.Err()
	}
	if p.done > 0 { // what changed meanwhile is found by the next look
		return wake.After(ctx, rest)
	}
	if len(p.stuck) > 0 {
		r.Logger.Warn("secrets do not open, and cannot be sealed anew: put their key back, or delete them", "secrets", len(p.stuck), "first", p.stuck[:min(len(p.stuck), namedStuck)])
	}
	return wake.After(ctx, stuckRest)
}

// batch seals the next secrets anew.
func (r *Resealer) batch(s *identity.State, p *pass) (texts []identity.NewSealed) {
	size := 0
	s.Secrets(p.at, func(at identity.SecretPlace, of []identity.Secret) bool {
		p.at = at
		for i := range of {
			one := &of[i]
			if identity.SealedBy(one.Sealed) == p.to {
				continue
			}
			sealed, err := reseal(r.Keys.Key(), s.Cluster(), one)
			if err != nil {
				p.stuck = append(p.stuck, err.Error())
				continue
			}
			text := identity.NewSealed{Resealed: one.Resealed, Was: sha256.Sum256(one.Sealed)}
			text.Sealed = sealed
			texts = append(texts, text)
			size += len(sealed) + len(one.Holder)
		}
		return len(texts) < batchSecrets && size < batchBytes
	})
	return texts
}

// reseal seals a secret by the key that seals now.
func reseal(k *seal.Key, c identity.Cluster, one *identity.Secret) ([]byte, error) {
	purpose, context := place(c, one)
	plain, err := k.Open(purpose, context, one.Sealed)
	if err != nil {
		return nil, fmt.Errorf("%s %s, sealed by %s: %w", purpose, one.Name, identity.SealedBy(one.Sealed), err)
	}
	defer clear(plain)
	return k.Seal(purpose, context, plain)
}

// place is what a secret is sealed for.
func place(c identity.Cluster, one *identity.Secret) (purpose seal.Purpose, context string) {
	account := string(one.Account)
	switch one.Kind {
	case identity.SecretOfAccessKey:
		return seal.AccessKeySecret, seal.AccessKeyContext(account, one.Name)
	case identity.SecretOfRootPassword, identity.SecretOfPassword:
		return seal.PasswordHash, seal.PasswordContext(account, one.Name)
	case identity.SecretOfMFADevice:
		return seal.MFASeed, seal.SeedContext(account, one.Name)
	case identity.SecretOfService:
		return seal.ServiceCredentialSecret, seal.AccessKeyContext(account, one.Name)
	case identity.SecretOfServerCertificate:
		return seal.ServerCertificateKey, seal.AccessKeyContext(account, one.Name)
	case identity.SecretOfSAMLProvider:
		return seal.SAMLPrivateKey, seal.SAMLKeyContext(one.Holder, one.Name)
	case identity.SecretOfSessions:
		return seal.SessionKey, seal.ClusterKeyContext(c.ID, c.Incarnation, one.Name)
	case identity.SecretOfIssuer:
		return seal.IssuerKey, seal.ClusterKeyContext(c.ID, c.Incarnation, one.Name)
	}
	panic(fmt.Sprintf("sealing: no purpose for secrets of kind %d", one.Kind))
}
