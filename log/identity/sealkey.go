package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of rotations.
const (
	// MaxResealed is how many secrets one command seals anew.
	MaxResealed = 512
	// MaxFormerSealKeys is how many keys are remembered that sealed before and never will again.
	MaxFormerSealKeys = 64
)

// SealKeyID names a key that seals secrets, which the log never has. It is public, and stands
// in each sealed text. The zero SealKeyID is none.
type SealKeyID [8]byte

// String is the id in hexadecimal.
func (id SealKeyID) String() string { return hex.EncodeToString(id[:]) }

// SealedBy is the key that sealed a text: it follows the byte of the format (package seal
// of the node). Zero for what is no sealed text.
func SealedBy(sealed []byte) (id SealKeyID) {
	if len(sealed) > len(id) {
		copy(id[:], sealed[1:])
	}
	return id
}

// SealKeys say by which key secrets are sealed. A cluster in which no key was ever chosen has
// none: there each node seals by the first of its key file.
type SealKeys struct {
	Active SealKeyID // seals all that enters the log from Chosen on
	Chosen Position
	Begun  Time
	// Retired is where no record needed another key any more; 0 while one may.
	Retired  Position
	Ended    Time
	Resealed uint64      // texts sealed anew since Chosen
	Former   []SealKeyID // sealed before, the oldest first, and are never chosen again
}

// sealKeysKey is the key of the one record of seal keys.
const sealKeysKey = "seal-keys"

// Handle makes SealKeys a record of a table, by its key, as do Is and AppendDigest.
func (k *SealKeys) Handle() table.Handle { return table.HandleOf(sealKeysKey) }

// Is tells whether the SealKeys have that key.
func (k *SealKeys) Is(key string) bool { return key == sealKeysKey }

// AppendDigest appends all that the SealKeys have.
func (k *SealKeys) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, sealKeysKey)
	b = digest.AppendString(b, k.Active[:])
	b = digest.AppendInt(b, uint64(k.Chosen))
	b = digest.AppendInt(b, int64(k.Begun))
	b = digest.AppendInt(b, uint64(k.Retired))
	b = digest.AppendInt(b, int64(k.Ended))
	b = digest.AppendInt(b, k.Resealed)
	b = digest.AppendInt(b, len(k.Former))
	for _, id := range k.Former {
		b = digest.AppendString(b, id[:])
	}
	return b
}

// SealKeys are those of the cluster, the zero value where none was chosen.
func (s *State) SealKeys() SealKeys {
	if k, ok := s.sealKeys.Get(sealKeysKey); ok {
		return *k
	}
	return SealKeys{}
}

// ChooseSealKey has another key seal from now on. Whoever proposes it has made sure that
// every node has it.
type ChooseSealKey struct{ Key SealKeyID }

// SealKeyChosen had another key seal. Former are all that sealed before.
type SealKeyChosen struct {
	Key    SealKeyID
	Former []SealKeyID
	Begun  Time
}

// decide looks at all secrets for the keys that sealed them: a key that was replaced, since
// somebody stole it, does not come back by mistake.
func (c *ChooseSealKey) decide(s *State, m Meta) ([]Event, error) {
	k := s.SealKeys()
	switch c.Key {
	case SealKeyID{}:
		return nil, refuse(InvalidInput, "No seal key is named.")
	case k.Active:
		return nil, refuse(InvalidInput, "The key %s seals already.", c.Key)
	}
	former := slices.Clone(k.Former)
	if k.Active != (SealKeyID{}) {
		former = append(former, k.Active)
	}
	s.Secrets(SecretPlace{}, func(_ SecretPlace, of []Secret) bool {
		for i := range of {
			if by := SealedBy(of[i].Sealed); by != k.Active && !slices.Contains(former, by) {
				former = append(former, by)
			}
		}
		return len(former) <= 2*MaxFormerSealKeys // of texts that are none
	})
	if slices.Contains(former, c.Key) {
		return nil, refuse(InvalidInput, "The key %s sealed before; only a new one can take another's place.", c.Key)
	}
	former = former[max(0, len(former)-MaxFormerSealKeys):]
	return []Event{&SealKeyChosen{Key: c.Key, Former: slices.Clip(former), Begun: m.Time}}, nil
}

func (e *SealKeyChosen) evolve(s *State) {
	s.sealKeys.Put(&SealKeys{Active: e.Key, Chosen: s.position, Begun: e.Begun, Former: e.Former})
}

// ResealSecrets replaces sealed texts by others of the same secrets, under the key that seals
// now. A text that has changed meanwhile is left alone.
type ResealSecrets struct {
	Key   SealKeyID
	Texts []NewSealed
}

// NewSealed is a secret that the proposer has sealed anew.
type NewSealed struct {
	Resealed
	Was [sha256.Size]byte // SHA-256 of the sealed text that it was opened from
}

// Resealed is a secret under another key, with its place: the text of that index of the record.
type Resealed struct {
	In     SecretsOf
	Holder string
	Index  uint32
	Sealed []byte
}

// SecretsResealed replaced sealed texts. Nothing else of their records changed.
type SecretsResealed struct{ Texts []Resealed }

func (c *ResealSecrets) decide(s *State, _ Meta) ([]Event, error) {
	k := s.SealKeys()
	switch {
	case k.Active == (SealKeyID{}) || k.Active != c.Key:
		return nil, refuse(ConcurrentModification, "Another key than %s seals.", c.Key)
	case len(c.Texts) > MaxResealed:
		return nil, refuse(LimitExceeded, "%d secrets at once, at most %d.", len(c.Texts), MaxResealed)
	}
	e := &SecretsResealed{}
	for i := range c.Texts {
		t := &c.Texts[i]
		old, ok := s.sealedAt(&t.Resealed)
		if ok && SealedBy(t.Sealed) == k.Active && SealedBy(old) != k.Active && sha256.Sum256(old) == t.Was {
			e.Texts = append(e.Texts, t.Resealed)
		}
	}
	if len(e.Texts) == 0 {
		return nil, refuse(ConcurrentModification, "None of the secrets is as it was.")
	}
	return []Event{e}, nil
}

// sealedAt finds the text that another is to replace.
func (s *State) sealedAt(r *Resealed) (old []byte, ok bool) {
	v := s.vault(r.In)
	if v == nil {
		return nil, false
	}
	i := uint32(0)
	v.look(r.Holder, func(_ SecretKind, _ string, text *[]byte) {
		if i == r.Index {
			old, ok = *text, len(*text) > 0
		}
		i++
	})
	return old, ok
}

func (e *SecretsResealed) evolve(s *State) {
	for i := range e.Texts {
		t := &e.Texts[i]
		v := s.vault(t.In)
		if v == nil {
			continue
		}
		n := uint32(0)
		v.change(t.Holder, func(_ SecretKind, _ string, text *[]byte) {
			if n == t.Index {
				*text = t.Sealed
			}
			n++
		})
	}
	k := s.SealKeys()
	k.Resealed += uint64(len(e.Texts))
	s.sealKeys.Put(&k)
}

// RetireSealKeys says that no record needs another key than the one that seals.
type RetireSealKeys struct{ Key SealKeyID }

// SealKeysRetired said so.
type SealKeysRetired struct{ Ended Time }

// decide looks at all secrets: what is retired here is needed by nothing in this state, nor
// by what comes later; see mustSeal.
func (c *RetireSealKeys) decide(s *State, m Meta) ([]Event, error) {
	k := s.SealKeys()
	if k.Active == (SealKeyID{}) || k.Active != c.Key || k.Retired != 0 {
		return nil, refuse(ConcurrentModification, "No rotation to the key %s is under way.", c.Key)
	}
	needed := k.Active
	s.Secrets(SecretPlace{}, func(_ SecretPlace, of []Secret) bool {
		for i := range of {
			if by := SealedBy(of[i].Sealed); by != k.Active {
				needed = by
			}
		}
		return needed == k.Active
	})
	if needed != k.Active {
		return nil, refuse(DeleteConflict, "There are secrets that the key %s sealed.", needed)
	}
	return []Event{&SealKeysRetired{Ended: m.Time}}, nil
}

func (e *SealKeysRetired) evolve(s *State) {
	k := s.SealKeys()
	k.Retired, k.Ended = s.position, e.Ended
	s.sealKeys.Put(&k)
}

// mustSeal refuses events that bring secrets under another key than the one that was chosen:
// what others sealed only becomes less. Whoever proposed them seals anew in a newer view.
func (s *State) mustSeal(events []Event) *Refusal {
	k, ok := s.sealKeys.Get(sealKeysKey)
	if !ok {
		return nil
	}
	for _, e := range events {
		for _, text := range brought(e) {
			if len(text) > 0 && SealedBy(text) != k.Active {
				return refuse(StaleAuthorization, "A secret was sealed by another key than %s, which seals now.", k.Active)
			}
		}
	}
	return nil
}

// brought are the sealed texts that an event brings.
func brought(e Event) [][]byte {
	switch e := e.(type) {
	case *AccessKeyCreated:
		return [][]byte{e.Sealed}
	case *RootPasswordSet:
		return [][]byte{e.Sealed}
	case *LoginProfileCreated:
		return [][]byte{e.Sealed}
	case *PasswordSet:
		return [][]byte{e.Sealed}
	case *MFADeviceCreated:
		return [][]byte{e.Sealed}
	case *ServiceCredentialCreated:
		return [][]byte{e.Sealed}
	case *ServiceCredentialReset:
		return [][]byte{e.Sealed}
	case *ServerCertificateUploaded:
		return [][]byte{e.Sealed}
	case *SessionKeyAdded:
		return [][]byte{e.Sealed}
	case *IssuerKeyAdded:
		return [][]byte{e.Sealed}
	case *SAMLProviderUpdated:
		if e.AddedKey != nil {
			return [][]byte{e.AddedKey.Sealed}
		}
	case *SAMLProviderCreated:
		return sealedOf(e.Keys, func(k *SAMLKey) []byte { return k.Sealed })
	case *SecretsResealed:
		return sealedOf(e.Texts, func(t *Resealed) []byte { return t.Sealed })
	}
	return nil
}

func sealedOf[T any](list []T, of func(*T) []byte) (texts [][]byte) {
	for i := range list {
		texts = append(texts, of(&list[i]))
	}
	return texts
}
