package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sealedWith is what a key has sealed, in form.
func sealedWith(key byte, text string) []byte {
	return append([]byte{1, key, 0, 0, 0, 0, 0, 0, 0}, text...)
}

func sealKey(key byte) SealKeyID { return SealKeyID{key} }

func TestSealKeys(t *testing.T) { run(t, sealKeySpecs()) }

func sealKeySpecs() []spec {
	key := &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1", Sealed: sealedWith(1, "x"), Created: past}
	roots := []Event{&AccessKeyDeleted{Owner: ID(acct), ID: "AKIAROOT1"}, &AccessKeyDeleted{Owner: ID(other), ID: "AKIAROOT2"}}
	begun := []Event{alice, roots[0], roots[1], key, &SealKeyChosen{Key: sealKey(2), Former: []SealKeyID{sealKey(1)}, Begun: past}}
	anew := func(holder ID, was []byte, to byte) NewSealed {
		return NewSealed{Resealed{SecretsOfUsers, string(holder), 0, sealedWith(to, "y")}, sha256.Sum256(was)}
	}
	done := append(slices.Clone(begun), &SecretsResealed{[]Resealed{{SecretsOfUsers, "AIDA1", 0, sealedWith(2, "y")}}})
	return []spec{
		{name: "the first", given: []Event{alice, roots[0], roots[1], key}, when: &ChooseSealKey{sealKey(2)},
			then: []Event{&SealKeyChosen{Key: sealKey(2), Former: []SealKeyID{sealKey(1)}, Begun: now}},
			check: func(s *spying) {
				if k := s.SealKeys(); k.Active != sealKey(2) || k.Chosen != s.Position() || k.Retired != 0 {
					s.Errorf("%+v", k)
				}
			}},
		{name: "before it is done", given: begun, when: &ChooseSealKey{sealKey(3)},
			then: []Event{&SealKeyChosen{Key: sealKey(3), Former: []SealKeyID{sealKey(1), sealKey(2)}, Begun: now}}},
		{name: "that seals", given: begun, when: &ChooseSealKey{sealKey(2)}, refused: "InvalidInput: The key 0200000000000000 seals already."},
		{name: "that sealed", given: done, when: &ChooseSealKey{sealKey(1)},
			refused: "InvalidInput: The key 0100000000000000 sealed before; only a new one can take another's place."},
		{name: "that has sealed all there is", given: []Event{alice, roots[0], roots[1], key}, when: &ChooseSealKey{sealKey(1)},
			refused: "InvalidInput: The key 0100000000000000 sealed before; only a new one can take another's place."},
		{name: "none", when: &ChooseSealKey{}, refused: "InvalidInput: No seal key is named."},

		{name: "a secret", given: begun, when: &ResealSecrets{sealKey(2), []NewSealed{anew("AIDA1", key.Sealed, 2)}},
			then: []Event{&SecretsResealed{[]Resealed{{SecretsOfUsers, "AIDA1", 0, sealedWith(2, "y")}}}},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				want := *alice
				if k := u.Keys[0]; k.ID != "AKIA1" || !k.Active || k.Created != past || !bytes.Equal(k.Sealed, sealedWith(2, "y")) || u.Changed >= s.Position() || u.Name != want.Name {
					s.Errorf("%+v", u)
				}
				if s.SealKeys().Resealed != 1 {
					s.Errorf("%+v", s.SealKeys())
				}
			}},
		{name: "one that changed beside one that did not", given: begun,
			when: &ResealSecrets{sealKey(2), []NewSealed{anew("AIDA1", []byte("other"), 2), anew("AIDA2", nil, 2), anew("AIDA1", key.Sealed, 1), anew("AIDA1", key.Sealed, 2)}},
			then: []Event{&SecretsResealed{[]Resealed{{SecretsOfUsers, "AIDA1", 0, sealedWith(2, "y")}}}}},
		{name: "one that changed", given: done, when: &ResealSecrets{sealKey(2), []NewSealed{anew("AIDA1", key.Sealed, 2)}},
			refused: "ConcurrentModification: None of the secrets is as it was."},
		{name: "in no table", given: begun, when: &ResealSecrets{sealKey(2), []NewSealed{{Resealed{In: 99, Holder: "AIDA1"}, [32]byte{}}}},
			refused: "ConcurrentModification: None of the secrets is as it was."},
		{name: "by a key that does not seal", given: begun, when: &ResealSecrets{Key: sealKey(1)}, refused: "ConcurrentModification: Another key than 0100000000000000 seals."},
		{name: "too many", given: begun, when: &ResealSecrets{sealKey(2), make([]NewSealed, MaxResealed+1)}, refused: "LimitExceeded: 513 secrets at once, at most 512."},

		{name: "all is sealed anew", given: done, when: &RetireSealKeys{sealKey(2)}, then: []Event{&SealKeysRetired{now}},
			check: func(s *spying) {
				if k := s.SealKeys(); k.Retired != s.Position() || k.Ended != now || k.Active != sealKey(2) {
					s.Errorf("%+v", k)
				}
			}},
		{name: "something is not", given: begun, when: &RetireSealKeys{sealKey(2)}, refused: "DeleteConflict: There are secrets that the key 0100000000000000 sealed."},
		{name: "again", given: append(slices.Clone(done), &SealKeysRetired{now}), when: &RetireSealKeys{sealKey(2)},
			refused: "ConcurrentModification: No rotation to the key 0200000000000000 is under way."},
		{name: "none was chosen", when: &RetireSealKeys{sealKey(2)}, refused: "ConcurrentModification: No rotation to the key 0200000000000000 is under way."},

		{name: "by the key before", given: begun, when: &CreateAccessKey{Account: acct, User: "alice", Key: NewAccessKey{"AKIA2", sealedWith(1, "z")}},
			refused: "StaleAuthorization: A secret was sealed by another key than 0200000000000000, which seals now."},
		{name: "by the key that seals", given: begun, when: &CreateAccessKey{Account: acct, User: "alice", Key: NewAccessKey{"AKIA2", sealedWith(2, "z")}},
			then: []Event{&AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA2", Sealed: sealedWith(2, "z"), Created: now}}},
	}
}

// drawnSealKeys are the commands about seal keys.
func drawnSealKeys(t *rapid.T) []func() Command {
	key := func() SealKeyID { return sealKey(oneOf[byte](t, "seal key", 1, 2)) }
	return []func() Command{
		func() Command { return &ChooseSealKey{key()} },
		func() Command { return &RetireSealKeys{key()} },
		func() Command {
			was := oneOf(t, "was", []byte("sealed"), []byte(drawText(t)), sealedWith(1, ""))
			return &ResealSecrets{key(), []NewSealed{{Resealed{oneOf(t, "in", SecretsOfAccounts, SecretsOfUsers), oneOf(t, "holder", string(acct), "U0"), 0,
				sealedWith(oneOf[byte](t, "by", 1, 2), "")}, sha256.Sum256(was)}}}
		},
	}
}

// notSealed are the fields of records and events that have bytes which are no secret. A field of
// bytes is on this list, or the secret is sealed anew when the key is rotated.
var notSealed = []string{
	"SAMLProvider.Metadata", "SAMLProviderCreated.Metadata", "SAMLProviderUpdated.Metadata",
	"IssuerKeys.ClusterKeys.List.Public", "IssuerKeyAdded.Public",
	"CredentialReportPart.Content", "CredentialReportStored.Content",
	"Passkeys.List.Credential", "Passkeys.List.PublicKey", "PasskeyRegistered.Passkey.Credential", "PasskeyRegistered.Passkey.PublicKey",
}

// bytesIn yields every field of bytes that can be reached from a value, with its path, and makes
// room for two in each list.
func bytesIn(path string, v reflect.Value, yield func(path string, v reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[[]byte]():
		yield(path, v)
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.New(v.Type().Elem()))
		bytesIn(path, v.Elem(), yield)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				bytesIn(path+"."+f.Name, v.Field(i), yield)
			}
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			bytesIn(path, v.Index(i), yield)
		}
	}
}

// sealedIn gives each field of bytes of a value that is no exception a text of its own, and
// returns the texts.
func sealedIn(t *testing.T, v reflect.Value, exceptions map[string]bool) (texts []string) {
	bytesIn(v.Type().Name(), v, func(path string, f reflect.Value) {
		if slices.Contains(notSealed, path) {
			exceptions[path] = true
			return
		}
		texts = append(texts, fmt.Sprintf("%s %d", path, len(texts)))
		f.SetBytes([]byte(texts[len(texts)-1]))
	})
	return texts
}

// Every table's records, and every event, are looked through for bytes: none is forgotten.
func TestEverySecretIsKnown(t *testing.T) {
	exceptions := map[string]bool{}
	state := reflect.TypeFor[State]()
	sealed := 0
	for i := range state.NumField() {
		of := state.Field(i).Type
		if !strings.HasPrefix(of.Name(), "Table[") {
			continue
		}
		get, _ := reflect.PointerTo(of).MethodByName("Put")
		record := reflect.New(get.Type.In(1).Elem())
		texts := sealedIn(t, record.Elem(), exceptions)
		var found []string
		if r, ok := record.Interface().(secretive); ok {
			sealed++
			r.secrets(func(_ SecretKind, _ string, text *[]byte) { found = append(found, string(*text)) })
		}
		if slices.Sort(texts); !slices.Equal(texts, slices.Sorted(slices.Values(found))) {
			t.Errorf("%s has the bytes %q; sealed anew are %q: see secret.go", state.Field(i).Name, texts, found)
		}
	}
	if sealed != int(lastSecrets) {
		t.Errorf("%d tables of %d have secrets", sealed, lastSecrets)
	}
	events := map[reflect.Type]bool{}
	for _, c := range allSpecs() {
		for _, e := range slices.Concat(c.given, c.then) {
			events[reflect.TypeOf(e).Elem()] = true
		}
	}
	for of := range events {
		e := reflect.New(of)
		texts := sealedIn(t, e.Elem(), exceptions)
		var found []string
		for _, text := range brought(e.Interface().(Event)) {
			found = append(found, string(text))
		}
		if slices.Sort(texts); !slices.Equal(texts, slices.Sorted(slices.Values(found))) {
			t.Errorf("%s brings the bytes %q; looked at are %q: see sealkey.go", of.Name(), texts, found)
		}
	}
	for _, path := range notSealed {
		if !exceptions[path] {
			t.Errorf("there is no %s", path)
		}
	}
}

// A state with one of everything is sealed anew in parts, and nothing else of it changes.
func TestResealingEverything(t *testing.T) {
	s := everything()
	apply(s, &RootPasswordSet{Account: acct, Sealed: []byte("a password"), Set: past})
	apply(s, &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA3", Sealed: []byte("a secret of alice"), Created: past})
	before := s.Snapshot()
	mustDecide(t, s, &ChooseSealKey{sealKey(7)})
	kinds := map[SecretKind]int{}
	at, all := SecretPlace{}, 0
	for {
		var c ResealSecrets
		s.Secrets(at, func(place SecretPlace, of []Secret) bool {
			at = place
			for _, one := range of {
				kinds[one.Kind]++
				all++
				c.Texts = append(c.Texts, NewSealed{Resealed{one.In, one.Holder, one.Index, append(sealedWith(7, ""), one.Sealed...)}, sha256.Sum256(one.Sealed)})
			}
			return false // the next record in the next command
		})
		if len(c.Texts) == 0 {
			break
		}
		c.Key = sealKey(7)
		mustDecide(t, s, &c)
		verify(t, s)
	}
	mustDecide(t, s, &RetireSealKeys{sealKey(7)})
	for kind := SecretOfAccessKey; kind <= SecretOfIssuer; kind++ {
		if kinds[kind] == 0 {
			t.Errorf("there is no secret of kind %d", kind)
		}
	}
	if got := s.SealKeys().Resealed; got != uint64(all) {
		t.Errorf("%d of %d", got, all)
	}
	was, is := records(before), records(s)
	for i, r := range was[1:] { // but the header, which has the position
		if v, ok := is[i+1].(secretive); ok {
			v.unshare()
			v.secrets(func(_ SecretKind, _ string, text *[]byte) { *text = bytes.TrimPrefix(*text, sealedWith(7, "")) })
		}
		if !bytes.Equal(r.AppendDigest(nil), is[i+1].AppendDigest(nil)) {
			t.Errorf("changed:\n%+v\n%+v", r, is[i+1])
		}
	}
}

func mustDecide(t *testing.T, s *State, c Command) {
	t.Helper()
	m := Meta{Time: now, Rules: CurrentRules}
	events, err := Decide(s, m, c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	Evolve(s, s.Position()+1, m, events)
}
