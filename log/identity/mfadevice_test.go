package identity

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestMFADevices(t *testing.T) { run(t, mfaDeviceSpecs()) }

const phoneID ID = "arn:aws:iam::123456789012:mfa/team/phone"

// phone is a device of the account; in histories that begin with alice, made at firstSet.
var (
	phone      = &MFADeviceCreated{Account: acct, ID: phoneID, Name: "team/phone", Sealed: []byte("seed"), Created: past}
	alicePhone = &MFADeviceEnabled{ID: phoneID, Owner: "AIDA1", Used: 100, Enabled: past}
	rootPhone  = &MFADeviceEnabled{ID: phoneID, Owner: ID(acct), Used: 100, Enabled: past}
)

func mfaDeviceSpecs() []spec {
	return slicesOf(mfaMakingSpecs(), mfaEnablingSpecs(), mfaUsingSpecs(), mfaCodeSpecs())
}

// mfaCodeSpecs are of one code, which nothing is told of but that it is no good.
func mfaCodeSpecs() []spec {
	const refused = "AccessDenied: " + MFAFailed
	given := []Event{alice, phone, alicePhone}
	good := Codes{Made: firstSet, Step: 101}
	return []spec{
		{name: "a code", given: given, when: &UseMFACode{Account: acct, Owner: "AIDA1", ID: phoneID, Codes: good},
			then: []Event{&MFADeviceResynced{ID: phoneID, Used: 101}}},
		{name: "a code again", given: given, when: &UseMFACode{Account: acct, Owner: "AIDA1", ID: phoneID, Codes: Codes{Made: firstSet, Step: 100}}, refused: refused},
		{name: "another's code", given: given, when: &UseMFACode{Account: acct, Owner: "AIDA2", ID: phoneID, Codes: good}, refused: refused},
		{name: "code of another account", given: given, when: &UseMFACode{Account: other, Owner: "AIDA1", ID: phoneID, Codes: good}, refused: refused},
		{name: "code of a device made again", given: given, when: &UseMFACode{Account: acct, Owner: "AIDA1", ID: phoneID, Codes: Codes{Made: 1, Step: 101}}, refused: refused},
		{name: "code of no device", when: &UseMFACode{Account: acct, Owner: "AIDA1", ID: phoneID, Codes: good}, refused: refused},
	}
}

func mfaMakingSpecs() []spec {
	tags := []Tag{{Key: "k", Value: "v"}}
	return []spec{
		{name: "new", when: &CreateMFADevice{Account: acct, Name: "team/phone", Sealed: []byte("seed"), Tags: tags},
			then: []Event{&MFADeviceCreated{Account: acct, ID: phoneID, Name: "team/phone", Sealed: []byte("seed"), Tags: tags, Created: now}},
			check: func(s *spying) {
				d, ok := s.MFADevice(phoneID)
				if !ok || d.Made != s.Position() || d.Owner != "" || len(d.Tags) != 1 || s.Count(acct, KindMFADevice) != 1 {
					s.Errorf("the device is %+v", d)
				}
			}},
		{name: "of the same path and name", given: []Event{phone}, when: &CreateMFADevice{Account: acct, Name: "Team/Phone"},
			refused: "EntityAlreadyExists: MFA device already exists."},
		{name: "of another path", given: []Event{phone}, when: &CreateMFADevice{Account: acct, Name: "phone"},
			then: []Event{&MFADeviceCreated{Account: acct, ID: "arn:aws:iam::123456789012:mfa/phone", Name: "phone", Created: now}}},
		{name: "one too many", given: []Event{&AccountQuotasSet{Account: acct, Quotas: FirstQuotas{Users: 1}}, phone}, when: &CreateMFADevice{Account: acct, Name: "phone"},
			refused: "LimitExceeded: Cannot exceed quota for VirtualMFADevicesPerAccount: 1"},
		{name: "tagged twice", when: &CreateMFADevice{Account: acct, Name: "phone", Tags: append(tags, tags...)},
			refused: "InvalidInput: Duplicate tag keys found."},
		{name: "a device", given: []Event{phone}, when: &TagEntity{Kind: KindMFADevice, Account: acct, Name: "team/phone", Tags: tags, AnyCase: true},
			then: []Event{&EntityTagged{Kind: KindMFADevice, ID: phoneID, Tags: tags}},
			check: func(s *spying) {
				if d, _ := s.MFADevice(phoneID); len(d.Tags) != 1 {
					s.Errorf("the device is %+v", d)
				}
			}},

		{name: "there", given: []Event{phone}, when: &DeleteMFADevice{Account: acct, ID: phoneID}, then: []Event{&MFADeviceDeleted{ID: phoneID}}},
		{name: "in use", given: []Event{alice, phone, alicePhone}, when: &DeleteMFADevice{Account: acct, ID: phoneID},
			refused: "DeleteConflict: MFA VirtualDevice in use. Must deactivate first."},
		{name: "another account's", given: []Event{phone}, when: &DeleteMFADevice{Account: other, ID: phoneID},
			refused: "NoSuchEntity: MFA Device with serial number arn:aws:iam::123456789012:mfa/team/phone does not exist."},
		{name: "with a device", given: []Event{alice, phone, alicePhone}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete MFA device first."},
	}
}

func mfaEnablingSpecs() []spec {
	good := Codes{Made: firstSet, Step: 102}
	full := []Event{alice, phone}
	for i := range MaxMFADevices {
		name := fmt.Sprintf("phone-%d", i)
		full = append(full, &MFADeviceCreated{Account: acct, ID: PartitionAWS.SerialNumber(acct, name), Name: name, Created: past},
			&MFADeviceEnabled{ID: PartitionAWS.SerialNumber(acct, name), Owner: "AIDA1", Enabled: past})
	}
	return []spec{
		{name: "for a user", given: []Event{alice, phone}, when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: good},
			then: []Event{&MFADeviceEnabled{ID: phoneID, Owner: "AIDA1", Used: 102, Enabled: now}},
			check: func(s *spying) {
				if list := s.MFADevicesOf("AIDA1"); len(list) != 1 || list[0].Enabled != now || list[0].Used != 102 {
					s.Errorf("alice has %v", list)
				}
			}},
		{name: "for the root", given: []Event{alice, phone}, when: &EnableMFADevice{Account: acct, ID: phoneID, Codes: good},
			then: []Event{&MFADeviceEnabled{ID: phoneID, Owner: ID(acct), Used: 102, Enabled: now}}},
		{name: "in use", given: []Event{alice, phone, rootPhone}, when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: good},
			refused: "EntityAlreadyExists: MFA Device is already in use."},
		{name: "one too many", given: full, when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: good},
			refused: "LimitExceeded: Cannot exceed quota for MfaDevicesPerUser: 8"},
		{name: "by codes of the device of that name before", given: []Event{alice, phone, &MFADeviceDeleted{ID: phoneID}, phone},
			when:    &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: good},
			refused: "StaleAuthorization: The device arn:aws:iam::123456789012:mfa/team/phone was made again meanwhile."},
		{name: "by codes that were used", given: []Event{alice, phone, alicePhone, &MFADeviceDeactivated{ID: phoneID}},
			when:    &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: Codes{Made: firstSet, Step: 101}},
			refused: "InvalidAuthenticationCode: Authentication code for device is not valid."},
		{name: "without codes", given: []Event{alice, phone}, when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: Codes{Made: firstSet}},
			refused: "StaleAuthorization: The attempt that this one repeats is not known any more."},
		{name: "by codes that nobody looked at", given: []Event{alice, phone}, when: &EnableMFADevice{Account: acct, User: "alice", ID: phoneID},
			refused: "StaleAuthorization: The device arn:aws:iam::123456789012:mfa/team/phone was made again meanwhile."},
		{name: "unknown", given: []Event{alice, phone}, when: &EnableMFADevice{Account: acct, User: "bob", ID: phoneID, Codes: good},
			refused: "NoSuchEntity: The user with name bob cannot be found."},
		{name: "of hardware", given: []Event{alice}, when: &EnableMFADevice{Account: acct, User: "alice", ID: "GAHT12345678", Codes: good},
			refused: "NoSuchEntity: MFA Device with serial number GAHT12345678 does not exist."},
	}
}

func mfaUsingSpecs() []spec {
	history := []Event{alice, phone, alicePhone, bob}
	return []spec{
		{name: "by later codes", given: history, when: &ResyncMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: Codes{Made: firstSet, Step: 102}},
			then: []Event{&MFADeviceResynced{ID: phoneID, Used: 102}},
			check: func(s *spying) {
				if d, _ := s.MFADevice(phoneID); d.Used != 102 || d.Owner != "AIDA1" || d.Enabled != past {
					s.Errorf("the device is %+v", d)
				}
			}},
		{name: "by a code that was used", given: history, when: &ResyncMFADevice{Account: acct, User: "alice", ID: phoneID, Codes: Codes{Made: firstSet, Step: 101}},
			refused: "InvalidAuthenticationCode: Authentication code for device is not valid."},
		{name: "by codes that nobody looked at", given: history, when: &ResyncMFADevice{Account: acct, User: "alice", ID: phoneID},
			refused: "StaleAuthorization: The device arn:aws:iam::123456789012:mfa/team/phone was made again meanwhile."},
		{name: "another user's", given: history, when: &ResyncMFADevice{Account: acct, User: "bob", ID: phoneID, Codes: Codes{Made: firstSet, Step: 102}},
			refused: "NoSuchEntity: MFA Device invalid for user."},

		{name: "a user's", given: history, when: &DeactivateMFADevice{Account: acct, User: "alice", ID: phoneID},
			then: []Event{&MFADeviceDeactivated{ID: phoneID}},
			check: func(s *spying) {
				if d, _ := s.MFADevice(phoneID); d.Owner != "" || d.Used != 100 || len(s.MFADevicesOf("AIDA1")) != 0 {
					s.Errorf("the device is %+v", d)
				}
			}},
		{name: "the root's", given: []Event{phone, rootPhone}, when: &DeactivateMFADevice{Account: acct, ID: phoneID}, then: []Event{&MFADeviceDeactivated{ID: phoneID}}},
		{name: "another user's", given: history, when: &DeactivateMFADevice{Account: acct, User: "bob", ID: phoneID},
			refused: "NoSuchEntity: MFA Device invalid for user."},
	}
}

// drawnDevices are commands about MFA devices, of the users "a" and "b" of populated for the most part.
func drawnDevices(t *rapid.T) []func() Command {
	serial := func() ID { return PartitionAWS.SerialNumber(acct, drawName(t)) }
	codes := func() Codes {
		return Codes{Made: Position(rapid.IntRange(20, 40).Draw(t, "made")), Step: rapid.Uint64Max(100).Draw(t, "step")}
	}
	return []func() Command{
		func() Command { return &CreateMFADevice{Account: drawAccount(t), Name: drawName(t), Tags: drawTags(t)} },
		func() Command { return &DeleteMFADevice{Account: drawAccount(t), ID: serial()} },
		func() Command {
			return &EnableMFADevice{Account: acct, User: drawName(t), ID: serial(), Codes: codes()}
		},
		func() Command {
			return &ResyncMFADevice{Account: acct, User: drawName(t), ID: serial(), Codes: codes()}
		},
		func() Command { return &DeactivateMFADevice{Account: acct, User: drawName(t), ID: serial()} },
		func() Command {
			return &UseMFACode{Account: acct, Owner: ID(acct), ID: serial(), Codes: codes()}
		},
	}
}
