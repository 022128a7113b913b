package identity

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPasskeys(t *testing.T) { run(t, passkeySpecs()) }

const (
	yubiID     ID = "arn:aws:iam::123456789012:u2f/user/Alice/yubi-SUFFIX"
	rootYubiID ID = "arn:aws:iam::123456789012:u2f/root/yubi-SUFFIX"
)

// yubi is a passkey of alice's, whose challenge was made at 500.
var (
	yubi      = &PasskeyRegistered{Account: acct, Owner: "AIDA1", Challenged: 500, Passkey: yubiKey(yubiID)}
	rootYubi  = &PasskeyRegistered{Account: acct, Owner: ID(acct), Challenged: 500, Passkey: yubiKey(rootYubiID)}
	yubiAgain = &PasskeyUsed{Owner: "AIDA1", ID: yubiID, Challenged: 600, Count: 8, BackedUp: true}
)

func yubiKey(id ID) Passkey {
	return Passkey{ID: id, Name: "yubi", Credential: []byte("credential"), PublicKey: []byte("key"), AAGUID: [16]byte{1}, Transports: []string{"usb"},
		Count: 7, Eligible: true, Enabled: past}
}

func registerYubi(user string, owner ID, challenged Time) *RegisterPasskey {
	return &RegisterPasskey{Account: acct, User: user, Owner: owner, Challenged: challenged, Name: "yubi", Suffix: "SUFFIX", Credential: []byte("credential"),
		PublicKey: []byte("key"), AAGUID: [16]byte{1}, Transports: []string{"usb"}, Count: 7, Eligible: true}
}

func passkeySpecs() []spec {
	return slicesOf(passkeyRegistrationSpecs(), passkeyUseSpecs(), passkeyRemovalSpecs())
}

func passkeyRegistrationSpecs() []spec {
	made := func(owner, id ID) *PasskeyRegistered {
		k := yubiKey(id)
		k.Enabled = now
		return &PasskeyRegistered{Account: acct, Owner: owner, Challenged: 500, Passkey: k}
	}
	another := registerYubi("alice", "AIDA1", 501)
	another.Credential, another.Suffix = []byte("another"), "OTHER"
	second := &PasskeyRegistered{Account: acct, Owner: "AIDA1", Challenged: 501, Passkey: yubiKey("arn:aws:iam::123456789012:u2f/user/Alice/yubi-OTHER")}
	second.Passkey.Credential, second.Passkey.Enabled = another.Credential, now
	bobs := made("AIDA2", "arn:aws:iam::123456789012:u2f/user/bob/yubi-SUFFIX")
	bobs.Challenged = 501
	sameSerial := registerYubi("alice", "AIDA1", 501)
	sameSerial.Credential = []byte("another")
	full := []Event{alice, yubi}
	for i := range MaxMFADevices - 1 {
		name := fmt.Sprintf("phone-%d", i)
		full = append(full, &MFADeviceCreated{Account: acct, ID: PartitionAWS.SerialNumber(acct, name), Name: name, Created: past},
			&MFADeviceEnabled{ID: PartitionAWS.SerialNumber(acct, name), Owner: "AIDA1", Enabled: past})
	}
	return []spec{
		{name: "for a user", given: []Event{alice}, when: registerYubi("alice", "AIDA1", 500), then: []Event{made("AIDA1", yubiID)},
			check: func(s *spying) {
				p, ok := s.Passkeys("AIDA1")
				if !ok || p.Used != 500 || len(p.List) != 1 || s.CountMFA("AIDA1") != 1 || s.CountPasskeys(acct) != 1 || len(s.MFADevicesOf("AIDA1")) != 0 {
					s.Errorf("alice has %+v", p)
				}
				if s.PermissionsChanged("AIDA1") == s.Position() {
					s.Error("a passkey counts as a change of permissions")
				}
			}},
		{name: "for the root", when: registerYubi("", ID(acct), 500), then: []Event{made(ID(acct), rootYubiID)}},
		{name: "another", given: []Event{alice, yubi}, when: another, then: []Event{second},
			check: func(s *spying) {
				if p := s.PasskeysOf("AIDA1"); len(p) != 2 || p[1].ID != "arn:aws:iam::123456789012:u2f/user/Alice/yubi-OTHER" {
					s.Errorf("alice has %+v", p)
				}
			}},
		{name: "the same credential", given: []Event{alice, yubi}, when: registerYubi("alice", "AIDA1", 501),
			refused: "EntityAlreadyExists: The passkey is registered already."},
		{name: "the credential of another user", given: []Event{alice, bob, yubi}, when: registerYubi("bob", "AIDA2", 501), then: []Event{bobs},
			check: func(s *spying) {
				if len(s.PasskeysOf("AIDA1")) != 1 || len(s.PasskeysOf("AIDA2")) != 1 || s.CountPasskeys(acct) != 2 {
					s.Error("not both have it")
				}
			}},
		{name: "of the same serial number", given: []Event{alice, yubi}, when: sameSerial, refused: "EntityAlreadyExists: MFA device already exists."},
		{name: "by a challenge that was used", given: []Event{alice, yubi, &PasskeyRemoved{Owner: "AIDA1", ID: yubiID}}, when: registerYubi("alice", "AIDA1", 500),
			refused: "InvalidAuthenticationCode: The challenge was used, or another that was made later. Ask for another one."},
		{name: "by a challenge that was made before the latest used", given: []Event{alice, yubi, yubiAgain, &PasskeyRemoved{Owner: "AIDA1", ID: yubiID}}, when: registerYubi("alice", "AIDA1", 599),
			refused: "InvalidAuthenticationCode: The challenge was used, or another that was made later. Ask for another one."},
		{name: "by a challenge for the user of that name before", given: []Event{bob}, when: registerYubi("bob", "AIDA1", 500),
			refused: "StaleAuthorization: The challenge was not made for the user bob of now."},
		{name: "one too many, beside virtual ones", given: full, when: another, refused: "LimitExceeded: Cannot exceed quota for MfaDevicesPerUser: 8"},
		{name: "a virtual one too many, beside passkeys", given: append(full, phone), when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: Codes{Made: 1, Step: 9}},
			refused: "LimitExceeded: Cannot exceed quota for MfaDevicesPerUser: 8"},
		{name: "unknown", when: registerYubi("alice", "AIDA1", 500), refused: "NoSuchEntity: The user with name alice cannot be found."},
	}
}

func passkeyUseSpecs() []spec {
	const refused = "AccessDenied: " + PasskeyFailed
	use := func(change func(*UsePasskey)) *UsePasskey {
		c := &UsePasskey{Account: acct, Owner: "AIDA1", ID: yubiID, Challenged: 600, Count: 8, BackedUp: true}
		if change != nil {
			change(c)
		}
		return c
	}
	given := []Event{alice, bob, yubi}
	countless := yubiKey(yubiID)
	countless.Count = 0
	none := []Event{alice, &PasskeyRegistered{Account: acct, Owner: "AIDA1", Challenged: 500, Passkey: countless}}
	return []spec{
		{name: "a passkey", given: given, when: use(nil), then: []Event{yubiAgain},
			check: func(s *spying) {
				if p, _ := s.Passkeys("AIDA1"); p.Used != 600 || p.List[0].Count != 8 || !p.List[0].BackedUp {
					s.Errorf("alice has %+v", p)
				}
			}},
		{name: "a challenge again", given: append(given, yubiAgain), when: use(func(c *UsePasskey) { c.Count = 9 }), refused: refused},
		{name: "an earlier challenge", given: given, when: use(func(c *UsePasskey) { c.Challenged = 499 }), refused: refused},
		{name: "a count that did not rise", given: given, when: use(func(c *UsePasskey) { c.Count = 7 }), refused: refused},
		{name: "a count that fell", given: given, when: use(func(c *UsePasskey) { c.Count = 1 }), refused: refused},
		{name: "a count that is gone", given: given, when: use(func(c *UsePasskey) { c.Count = 0 }), refused: refused},
		{name: "without counting", given: none, when: use(func(c *UsePasskey) { c.Count, c.BackedUp = 0, false }),
			then: []Event{&PasskeyUsed{Owner: "AIDA1", ID: yubiID, Challenged: 600}}},
		{name: "another's passkey", given: given, when: use(func(c *UsePasskey) { c.Owner = "AIDA2" }), refused: refused},
		{name: "a passkey of another account", given: given, when: use(func(c *UsePasskey) { c.Account = other }), refused: refused},
		{name: "no passkey", given: given, when: use(func(c *UsePasskey) { c.ID = phoneID }), refused: refused},
		{name: "a passkey that is gone", given: append(given, &PasskeyRemoved{Owner: "AIDA1", ID: yubiID}), when: use(nil), refused: refused},
	}
}

func passkeyRemovalSpecs() []spec {
	removed := &PasskeyRemoved{Owner: "AIDA1", ID: yubiID}
	again := &PasskeyRegistered{Account: acct, Owner: "AIDA1", Challenged: 501, Passkey: yubiKey(yubiID)}
	again.Passkey.Enabled = now
	return []spec{
		{name: "a passkey", given: []Event{alice, yubi}, when: &DeactivateMFADevice{Account: acct, User: "alice", ID: yubiID}, then: []Event{removed},
			check: func(s *spying) {
				if p, ok := s.Passkeys("AIDA1"); !ok || len(p.List) != 0 || p.Used != 500 || s.CountMFA("AIDA1") != 0 || s.CountPasskeys(acct) != 0 {
					s.Errorf("alice has %+v", p)
				}
			}},
		{name: "a passkey of the root", given: []Event{rootYubi}, when: &DeactivateMFADevice{Account: acct, ID: rootYubiID},
			then: []Event{&PasskeyRemoved{Owner: ID(acct), ID: rootYubiID}}},
		{name: "a passkey of another user", given: []Event{alice, bob, yubi}, when: &DeactivateMFADevice{Account: acct, User: "bob", ID: yubiID},
			refused: "NoSuchEntity: MFA Device with serial number " + string(yubiID) + " does not exist."},
		{name: "registered again", given: []Event{alice, yubi, removed}, when: registerYubi("alice", "AIDA1", 501), then: []Event{again},
			check: func(s *spying) {
				if s.CountMFA("AIDA1") != 1 {
					s.Error("it is not there")
				}
			}},
		{name: "a user with a passkey", given: []Event{alice, yubi}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete MFA device first."},
		{name: "a user who had a passkey", given: []Event{alice, yubi, removed}, when: &DeleteUser{Account: acct, Name: "alice"}, then: []Event{&UserDeleted{ID: "AIDA1"}},
			check: func(s *spying) {
				if p, ok := s.Passkeys("AIDA1"); ok {
					s.Errorf("it left %+v", p)
				}
			}},
		{name: "a user who is called otherwise", given: []Event{alice, yubi}, when: &UpdateUser{Account: acct, Name: "alice", NewName: "alicia", NewPath: "/"},
			then: []Event{&UserUpdated{ID: "AIDA1", Name: "alicia", Path: "/"}},
			check: func(s *spying) {
				if p := s.PasskeysOf("AIDA1"); len(p) != 1 || p[0].ID != yubiID {
					s.Errorf("alicia has %+v", p)
				}
			}},
	}
}

// The serial number of a passkey is one that AWS's API takes, whatever its user and partition.
func TestPasskeySerial(t *testing.T) {
	long := PartitionUSGov.PasskeySerial(acct, strings.Repeat("u", 64), strings.Repeat("d", 64), strings.Repeat("A", 26))
	if len(long) > 256 {
		t.Errorf("%d bytes", len(long))
	}
	if got := PartitionCN.PasskeySerial(acct, "", "key", "X"); got != "arn:aws-cn:iam::123456789012:u2f/root/key-X" {
		t.Error(got)
	}
}

// drawnPasskeys are commands about passkeys, of the users "a" and "b" of populated and the root for the most part.
func drawnPasskeys(t *rapid.T) []func() Command {
	owner := func() (string, ID) {
		if rapid.Bool().Draw(t, "root") {
			return "", ID(acct)
		}
		return "a", oneOf(t, "owner", ID("U0"), "U0", "U0", "U1")
	}
	challenged := func() Time { return Time(rapid.IntRange(0, 20).Draw(t, "challenged")) }
	serial := func(user string) ID { return PartitionAWS.PasskeySerial(acct, user, "k", drawName(t)) }
	return []func() Command{
		func() Command {
			user, id := owner()
			return &RegisterPasskey{Account: acct, User: user, Owner: id, Challenged: challenged(), Name: "k", Suffix: drawName(t),
				Credential: []byte(drawName(t)), PublicKey: []byte("key"), Count: uint32(rapid.IntRange(0, 3).Draw(t, "count"))}
		},
		func() Command {
			user, id := owner()
			return &UsePasskey{Account: acct, Owner: id, ID: serial(user), Challenged: challenged(), Count: uint32(rapid.IntRange(0, 9).Draw(t, "count"))}
		},
		func() Command {
			user, _ := owner()
			return &DeactivateMFADevice{Account: acct, User: user, ID: serial(user)}
		},
	}
}
