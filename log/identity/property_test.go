package identity

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/writ-iam/writ/log/digest"
)

// Commands are drawn from few names, so that they meet; and for a populated
// state, so that most are accepted.

// oneOf draws each value as often: the library's own choices prefer the first.
func oneOf[T any](t *rapid.T, label string, of ...T) T {
	n := 0
	for range 10 {
		n *= 2
		if rapid.Bool().Draw(t, label) {
			n++
		}
	}
	return of[n%len(of)]
}

func populated() *State {
	s := given(readS3, awsAll)
	for i, name := range []string{"a", "b"} {
		id := func(prefix string) ID { return ID(fmt.Sprintf("%s%d", prefix, i)) }
		for _, e := range []Event{
			&UserCreated{Account: acct, ID: id("U"), Name: name, Path: "/"},
			&GroupCreated{Account: acct, ID: id("G"), Name: name, Path: "/"},
			&RoleCreated{Account: acct, ID: id("R"), Name: name, Path: "/"},
			&PolicyCreated{Account: acct, ID: id("P"), Name: name, Path: "/"},
			&PolicyVersionCreated{ID: id("P"), Number: 2},
			&PolicyAttached{Kind: KindUser, ID: id("U"), Policy: id("P")},
			&PolicyAttached{Kind: KindRole, ID: id("R"), Policy: id("P")},
			&UserAddedToGroup{Group: id("G"), User: id("U")},
			&AccessKeyCreated{Account: acct, Owner: id("U"), ID: fmt.Sprintf("AKIA%d", i+1)},
			&InlinePolicyPut{Kind: KindGroup, ID: id("G"), Name: name},
			&InstanceProfileCreated{Account: acct, ID: id("I"), Name: name, Path: "/"},
			&ServerCertificateUploaded{Account: acct, ID: id("S"), Name: name, Path: "/"},
			&SSHPublicKeyUploaded{Account: acct, Owner: id("U"), ID: "1", Fingerprint: name},
			&SigningCertificateUploaded{Account: acct, Owner: id("U"), ID: "1", Sum: CertificateSum{byte(i)}},
			&ServiceCredentialCreated{Account: acct, Owner: id("U"), ID: "1", Service: "s"},
		} {
			apply(s, e)
		}
	}
	return s
}

func drawAccount(t *rapid.T) AccountID {
	return oneOf(t, "account", acct, acct, acct, acct, acct, acct, acct, acct, acct, other, other, AWSAccount, "0")
}

func drawEmail(t *rapid.T) string { return oneOf(t, "email", "", "a@x", "A@X", "b@x") }
func drawName(t *rapid.T) string  { return oneOf(t, "name", "a", "A", "b", "b", "c") }
func drawPath(t *rapid.T) string  { return oneOf(t, "path", "/", "/", "/", "/x/") }
func drawText(t *rapid.T) string  { return oneOf(t, "text", "", "{1}", "{2}") }
func drawKeyID(t *rapid.T) string {
	return oneOf(t, "key", "AKIAROOT1", "AKIA1", "AKIA2", "AKIA3", "AKIA4")
}
func drawNumber(t *rapid.T) int { return rapid.IntRange(1, 7).Draw(t, "number") }

func drawID(t *rapid.T) ID {
	return ID(fmt.Sprintf("ID%d", rapid.IntRange(1, 1000).Draw(t, "id")))
}

func drawARN(t *rapid.T) string {
	return PartitionAWS.ARN(KindPolicy, drawAccount(t), drawPath(t), drawName(t))
}

func drawBoundary(t *rapid.T) string { return oneOf(t, "boundary", "", "", drawARN(t)) }

func drawKind(t *rapid.T) Kind {
	return oneOf(t, "kind", KindUser, KindGroup, KindRole, KindPolicy, KindInstanceProfile, KindServerCertificate)
}

func drawOwner(t *rapid.T) Owner {
	return Owner{Kind: drawKind(t), Account: drawAccount(t), Name: drawName(t)}
}

func drawTags(t *rapid.T) []Tag {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Tag {
		return Tag{Key: oneOf(t, "tag", "k", "K", "l", "\u212A"), Value: oneOf(t, "value", "", "v")}
	}), 0, 2).Draw(t, "tags")
}

func drawNewKey(t *rapid.T) NewAccessKey {
	return NewAccessKey{ID: drawKeyID(t), Sealed: []byte(drawText(t))}
}

// drawImport draws from so few catalogues that what comes is often put in force.
func drawImport(t *rapid.T) Command {
	c := oneOf(t, "catalogue",
		[]CataloguePolicy{amazon("ANPAA", "a")},
		[]CataloguePolicy{amazon("ANPAA", "a", texts(1, 2)...), amazon("ANPAB", "b")},
		[]CataloguePolicy{amazon("ANPAB", "A"), amazon("U0", "B")})
	if oneOf(t, "stage", true, false) {
		return &StageCatalogue{Catalogue: CatalogueDigest(c), Policies: c}
	}
	return &InstallCatalogue{Catalogue: CatalogueDigest(c), Parts: 1}
}

// drawCommand makes any command there is.
func drawCommand(t *rapid.T) Command {
	user := func() string { return oneOf(t, "user", "", drawName(t), drawName(t)) }
	tagged := func() (Kind, string) {
		kind := drawKind(t)
		if kind == KindPolicy {
			return kind, drawARN(t)
		}
		return kind, drawName(t)
	}
	commands := []func() Command{
		func() Command { return &Bootstrap{} },
		func() Command { return &BootstrapIn{Partition: PartitionCN} },
		func() Command { return &RaiseStreamGeneration{From: uint32(drawNumber(t))} },
		func() Command { return &RaiseFeatureLevel{Level: uint32(drawNumber(t))} },
		func() Command { return &RegisterReplica{Name: drawName(t), Region: drawText(t)} },
		func() Command { return &DrainReplica{Name: drawName(t)} },
		func() Command { return &ResumeReplica{Name: drawName(t)} },
		func() Command { return &RemoveReplica{Name: drawName(t)} },
		func() Command {
			return &BarReplica{Name: drawName(t), Unregistered: rapid.Bool().Draw(t, "unregistered")}
		},
		func() Command { return &AdmitReplica{Name: drawName(t)} },
		func() Command { return &SetAccountAlias{Account: drawAccount(t), Alias: drawName(t)} },
		func() Command { return &DeleteAccountAlias{Account: drawAccount(t), Alias: drawName(t)} },
		func() Command {
			return &SetAccountQuotas{Account: drawAccount(t), Quotas: FirstQuotas{Users: uint32(drawNumber(t))}}
		},
		func() Command {
			own := OwnQuota{Quota(drawNumber(t)), uint32(drawNumber(t))}
			return &SetQuotas{Account: drawAccount(t), Defaults: oneOf(t, "defaults", DefaultsUnchosen, DefaultsOfWrit, DefaultsOfAWS), Own: []OwnQuota{own}}
		},
		func() Command {
			return &CreateUser{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t), Boundary: drawBoundary(t), Tags: drawTags(t)}
		},
		func() Command {
			return &UpdateUser{Account: drawAccount(t), Name: drawName(t), NewName: user(), NewPath: drawPath(t)}
		},
		func() Command { return &DeleteUser{Account: drawAccount(t), Name: drawName(t)} },
		func() Command {
			return &CreateGroup{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t)}
		},
		func() Command { return &UpdateGroup{Account: drawAccount(t), Name: drawName(t), NewName: user()} },
		func() Command { return &DeleteGroup{Account: drawAccount(t), Name: drawName(t)} },
		func() Command {
			return &AddUserToGroup{Account: drawAccount(t), Group: drawName(t), User: drawName(t)}
		},
		func() Command {
			return &RemoveUserFromGroup{Account: drawAccount(t), Group: drawName(t), User: drawName(t)}
		},
		func() Command {
			return &CreateRole{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t), Trust: drawText(t), Boundary: drawBoundary(t), Tags: drawTags(t)}
		},
		func() Command {
			text, number := drawText(t), drawNumber(t)
			return &UpdateRole{Account: drawAccount(t), Name: drawName(t), Description: &text, MaxSession: &number}
		},
		func() Command { return &UpdateTrust{Account: drawAccount(t), Name: drawName(t), Trust: drawText(t)} },
		func() Command { return &DeleteRole{Account: drawAccount(t), Name: drawName(t)} },
		func() Command {
			return &CreatePolicy{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t), Document: drawText(t), Tags: drawTags(t)}
		},
		func() Command { return &DeletePolicy{ARN: drawARN(t)} },
		func() Command {
			return &CreatePolicyVersion{ARN: drawARN(t), Document: drawText(t), Default: rapid.Bool().Draw(t, "default")}
		},
		func() Command { return &DeletePolicyVersion{ARN: drawARN(t), Number: drawNumber(t)} },
		func() Command { return &SetDefaultPolicyVersion{ARN: drawARN(t), Number: drawNumber(t)} },
		func() Command { return &PutInlinePolicy{Owner: drawOwner(t), Name: drawName(t), Document: drawText(t)} },
		func() Command { return &DeleteInlinePolicy{Owner: drawOwner(t), Name: drawName(t)} },
		func() Command { return &AttachPolicy{Owner: drawOwner(t), Policy: drawARN(t)} },
		func() Command { return &DetachPolicy{Owner: drawOwner(t), Policy: drawARN(t)} },
		func() Command { return &SetBoundary{Owner: drawOwner(t), Policy: drawBoundary(t)} },
		func() Command {
			kind, name := tagged()
			return &TagEntity{Kind: kind, Account: drawAccount(t), Name: name, Tags: drawTags(t), AnyCase: rapid.Bool().Draw(t, "any case")}
		},
		func() Command {
			kind, name := tagged()
			return &UntagEntity{Kind: kind, Account: drawAccount(t), Name: name, Keys: []string{oneOf(t, "tag", "k", "L")}, AnyCase: rapid.Bool().Draw(t, "any case")}
		},
		func() Command { return &CreateAccessKey{Account: drawAccount(t), User: user(), Key: drawNewKey(t)} },
		func() Command {
			return &UpdateAccessKey{Account: drawAccount(t), User: user(), ID: drawKeyID(t), Active: rapid.Bool().Draw(t, "active")}
		},
		func() Command { return &DeleteAccessKey{Account: drawAccount(t), User: user(), ID: drawKeyID(t)} },
	}
	commands = append(commands, accountCommands(t)...)
	commands = append(commands, drawnPasswords(t)...)
	commands = append(commands, keyringCommands(t)...)
	commands = append(commands, catalogueCommands(t)...)
	commands = append(commands, usageCommands(t)...)
	commands = append(commands, linkedCommands(t)...)
	commands = append(commands, instanceProfileCommands(t)...)
	commands = append(commands, drawnProviders(t)...)
	commands = append(commands, drawnSettings(t)...)
	commands = slices.Concat(commands, drawnSessions(t), drawnWriters(t), drawnSealKeys(t), drawnRetention(t))
	commands = append(commands, serverCertificateCommands(t)...)
	commands = append(append(commands, drawnDevices(t)...), drawnPasskeys(t)...)
	return oneOf(t, "command", commands...)()
}

func accountCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command {
			return &CreateAccount{ID: oneOf(t, "number", drawAccount(t), "333333333333"), RootKey: drawNewKey(t), Email: drawEmail(t), Alias: oneOf(t, "alias", "", drawName(t))}
		},
		func() Command { return &CloseAccount{Account: oneOf(t, "closed", acct, "333333333333", other)} },
		func() Command { return &SetRootEmail{Account: drawAccount(t), Email: drawEmail(t)} },
		func() Command {
			return &SetRootPassword{Account: drawAccount(t), Instead: Position(drawNumber(t)), Sealed: []byte(drawText(t))}
		},
		func() Command { return &DeleteRootPassword{Account: drawAccount(t)} },
	}
}

func linkedCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command {
			return &CreateServiceLinkedRole{Account: drawAccount(t), ID: drawID(t), Service: "s", Name: drawName(t), Policy: drawARN(t)}
		},
		func() Command {
			return &DeleteServiceLinkedRole{Account: drawAccount(t), Name: drawName(t), Task: drawText(t)}
		},
	}
}

func instanceProfileCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command {
			return &CreateInstanceProfile{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t), Tags: drawTags(t)}
		},
		func() Command { return &DeleteInstanceProfile{Account: drawAccount(t), Name: drawName(t)} },
		func() Command {
			return &AddRoleToInstanceProfile{Account: drawAccount(t), Profile: drawName(t), Role: drawName(t)}
		},
		func() Command {
			return &RemoveRoleFromInstanceProfile{Account: drawAccount(t), Profile: drawName(t), Role: drawName(t)}
		},
	}
}

func catalogueCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command { return drawImport(t) },
	}
}

func usageCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command { return drawDelegation(t) },
		func() Command { return drawReport(t) },
	}
}

func drawDelegation(t *rapid.T) Command {
	id := oneOf(t, "request", "request-1", "request-2")
	by := DelegationParty{Account: drawAccount(t), ID: drawID(t), ARN: drawText(t)}
	return oneOf[Command](t, "delegation",
		&CreateDelegationRequest{ID: id, Ask: DelegationAsk{Requestor: by.Account, OwnerAccount: oneOf(t, "owner", "", drawAccount(t)), Workflow: drawText(t), Template: drawARN(t)}},
		&AssociateDelegationRequest{ID: id, By: by},
		&UpdateDelegationRequest{ID: id, By: by, Notes: drawText(t)},
		&AcceptDelegationRequest{ID: id, By: by},
		&RejectDelegationRequest{ID: id, By: by, Notes: drawText(t)},
		&SendDelegationToken{ID: id, By: by})
}

func drawReport(t *rapid.T) Command {
	use := Use{Credential: oneOf(t, "credential", drawKeyID(t), "R0"), At: past + Time(rapid.IntRange(0, 9).Draw(t, "used"))*hour,
		Actions: []ActionUse{{Service: "iam", Name: drawName(t), At: past}}}
	return oneOf[Command](t, "report",
		&NoteUses{Uses: []Use{use, use}},
		&StartAccessJob{Account: drawAccount(t), ID: drawText(t), ARN: drawARN(t), Path: drawText(t)},
		&GenerateCredentialReport{Account: drawAccount(t)},
		&StoreCredentialReport{Account: drawAccount(t), At: Position(rapid.IntRange(1, 90).Draw(t, "at")), Number: rapid.IntRange(1, 2).Draw(t, "part"),
			Parts: 2, Content: []byte(drawText(t))})
}

func TestEveryCommandIsDrawn(t *testing.T) {
	drawn := map[string]bool{}
	for seed := range 4000 {
		drawn[reflect.TypeOf(rapid.Custom(drawCommand).Example(seed)).Elem().Name()] = true
	}
	for _, name := range methods(t, "decide") {
		if !drawn[name] {
			t.Errorf("%s is not drawn", name)
		}
	}
}

func drawMeta(t *rapid.T, s *State) Meta {
	m := Meta{Time: s.Time() + oneOf[Time](t, "time", -1000, 0, 1000, KeyLifetime/3)}
	if rapid.Bool().Draw(t, "keyed") {
		m.Key = keyOf(rapid.Uint64Range(1, 30).Draw(t, "attempt"))
		if oneOf(t, "signed", true, false) {
			m.Signature = signatureOf(rapid.Uint64Range(1, 10).Draw(t, "signature"), s.Time())
		}
	}
	if k, ok := s.AccessKey(drawKeyID(t)); ok && oneOf(t, "authorized", true, false, false) {
		m.By = Authority{Account: k.Account, Principal: k.Owner, Credential: k.ID,
			AuthorizedAt: s.Position() - min(s.Position(), Position(rapid.IntRange(0, 3).Draw(t, "ago")))}
	}
	return m
}

// Whatever commands come: a decision changes nothing and is the same on every
// copy of the state; what is folded makes the same state everywhere; snapshots
// stay as they were; and verify finds nothing wrong.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, replayed := populated(), populated()
		type taken struct {
			state *State
			was   content
			sum   digest.Sum
		}
		var snapshots []taken
		for range rapid.IntRange(1, 80).Draw(t, "commands") {
			m, c := drawMeta(t, s), drawCommand(t)
			before := s.Digest()
			events, err := Decide(s, m, c)
			if s.Digest() != before || s.Recount() != before {
				t.Fatalf("deciding %T changed the state", c)
			}
			if again, other := Decide(replayed, m, c); !cmp.Equal(events, again) || !reflect.DeepEqual(err, other) {
				t.Fatalf("decided twice, %T gives other events: %s", c, cmp.Diff(events, again))
			}
			if err != nil {
				var refusal *Refusal
				if !errors.As(err, &refusal) || events != nil {
					t.Fatalf("%T is refused with %v and %d events", c, err, len(events))
				}
				continue
			}
			if len(events) == 0 {
				t.Fatalf("%T is accepted without events", c)
			}
			Evolve(s, s.Position()+1, m, events)
			Evolve(replayed, replayed.Position()+1, m, events)
			if s.Digest() != replayed.Digest() {
				t.Fatalf("after %T the states differ", c)
			}
			if rapid.IntRange(0, 9).Draw(t, "snapshot") == 0 {
				c := s.Snapshot()
				snapshots = append(snapshots, taken{c, dump(c), c.Recount()})
			}
		}
		verify(t, s)
		for _, c := range snapshots {
			if c.state.Recount() != c.sum || !cmp.Equal(c.was, dump(c.state), compareContent) {
				t.Fatalf("the snapshot at %d changed", c.state.Position())
			}
			verify(t, c.state)
		}
	})
}

// A state that was loaded goes on like the one that was written.
func TestLoadedStateGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := populated()
		var loaded *State
		at := rapid.IntRange(0, 40).Draw(t, "loaded after")
		for i := range 60 {
			if i == at {
				loaded = reload(t, s)
			}
			m, c := drawMeta(t, s), drawCommand(t)
			events, err := Decide(s, m, c)
			if err != nil {
				continue
			}
			Evolve(s, s.Position()+1, m, events)
			if loaded != nil {
				Evolve(loaded, loaded.Position()+1, m, events)
			}
		}
		if diff := cmp.Diff(dump(s), dump(loaded), compareContent); diff != "" {
			t.Fatalf("it went another way: %s", diff)
		}
	})
}
