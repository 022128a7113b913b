package identity

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/writ-iam/writ/log/table"
)

const git = "codecommit.amazonaws.com"

var (
	aliceSSH   = &SSHPublicKeyUploaded{Account: acct, Owner: "AIDA1", ID: "APKA1", Body: "ssh-rsa a", Fingerprint: "a1", Uploaded: past}
	rootSigner = &SigningCertificateUploaded{Account: acct, Owner: ID(acct), ID: "CERT1", Body: "pem 1", Sum: CertificateSum{1}, Uploaded: past}
	aliceGit   = &ServiceCredentialCreated{Account: acct, Owner: "AIDA1", ID: "ACCA1", Service: git, Name: "Alice-at-123456789012", Sealed: []byte("s"), Created: past}
)

func TestSSHKeys(t *testing.T)             { run(t, sshKeySpecs()) }
func TestSigningCertificates(t *testing.T) { run(t, signingCertificateSpecs()) }
func TestServiceCredentials(t *testing.T)  { run(t, serviceCredentialSpecs()) }

func sshKeySpecs() []spec {
	const gone = "NoSuchEntity: The Public Key with id APKA2 cannot be found."
	upload := &UploadSSHPublicKey{Account: acct, User: "alice", ID: "APKA2", Body: "ssh-rsa b", Fingerprint: "b2"}
	five := []Event{alice}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		five = append(five, &SSHPublicKeyUploaded{Account: acct, Owner: "AIDA1", ID: "APKA" + id, Fingerprint: id})
	}
	return []spec{
		{name: "another", given: []Event{alice, aliceSSH}, when: upload,
			then: []Event{&SSHPublicKeyUploaded{Account: acct, Owner: "AIDA1", ID: "APKA2", Body: "ssh-rsa b", Fingerprint: "b2", Uploaded: now}},
			check: func(s *spying) {
				want := []SSHPublicKey{{ID: "APKA1", Body: "ssh-rsa a", Fingerprint: "a1", Active: true, Uploaded: past}, {ID: "APKA2", Body: "ssh-rsa b", Fingerprint: "b2", Active: true, Uploaded: now}}
				if got := s.Keyring("AIDA1").SSHKeys; !reflect.DeepEqual(got, want) {
					s.Errorf("the keys are %+v", got)
				}
				if u, _ := s.UserByID("AIDA1"); u.Changed == s.Position() {
					s.Error("the user's permissions changed")
				}
			}},
		{name: "of another user", given: []Event{alice, bob, aliceSSH}, when: &UploadSSHPublicKey{Account: acct, User: "bob", ID: "APKA1", Fingerprint: "a1"},
			then: []Event{&SSHPublicKeyUploaded{Account: acct, Owner: "AIDA2", ID: "APKA1", Fingerprint: "a1", Uploaded: now}}},
		{name: "the same", given: []Event{alice, aliceSSH}, when: &UploadSSHPublicKey{Account: acct, User: "alice", ID: "APKA2", Fingerprint: "a1"},
			refused: "DuplicateSSHPublicKey: The SSH public key is already associated with the specified IAM user."},
		{name: "the sixth", given: five, when: &UploadSSHPublicKey{Account: acct, User: "alice", ID: "APKA6", Fingerprint: "6"},
			refused: "LimitExceeded: Cannot exceed quota for SSHPublicKeysPerUser: 5"},
		{name: "an id in use", given: []Event{alice, aliceSSH}, when: &UploadSSHPublicKey{Account: acct, User: "alice", ID: "APKA1", Fingerprint: "b"},
			refused: "EntityAlreadyExists: The Public Key with id APKA1 already exists."},
		{name: "unknown user", when: upload, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "to inactive", given: []Event{alice, aliceSSH}, when: &UpdateSSHPublicKey{Account: acct, User: "alice", ID: "APKA1"},
			then: []Event{&SSHPublicKeyUpdated{Owner: "AIDA1", ID: "APKA1"}},
			check: func(s *spying) {
				if s.Keyring("AIDA1").SSHKeys[0].Active {
					s.Error("the key is active")
				}
			}},
		{name: "unknown", given: []Event{alice, aliceSSH}, when: &UpdateSSHPublicKey{Account: acct, User: "alice", ID: "APKA2"}, refused: gone},
		{name: "unknown user", when: &UpdateSSHPublicKey{Account: acct, User: "alice", ID: "APKA2"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "the last", given: []Event{alice, aliceSSH}, when: &DeleteSSHPublicKey{Account: acct, User: "alice", ID: "APKA1"},
			then: []Event{&SSHPublicKeyDeleted{Owner: "AIDA1", ID: "APKA1"}}, check: noKeyring},
		{name: "unknown", given: []Event{alice, aliceSSH}, when: &DeleteSSHPublicKey{Account: acct, User: "alice", ID: "APKA2"}, refused: gone},
		{name: "with SSH key", given: []Event{alice, aliceSSH}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must remove referenced objects first."},
	}
}

func signingCertificateSpecs() []spec {
	const gone = "NoSuchEntity: The Certificate with id CERT9 cannot be found."
	const taken = "DuplicateCertificate: The certificate is already associated with an IAM user in the account."
	certificate := func(owner ID, id string, sum byte) *SigningCertificateUploaded {
		return &SigningCertificateUploaded{Account: acct, Owner: owner, ID: id, Body: "pem", Sum: CertificateSum{sum}, Uploaded: past}
	}
	return []spec{
		{name: "of the root", given: []Event{rootSigner}, when: &UploadSigningCertificate{Account: acct, ID: "CERT2", Body: "pem 2", Sum: CertificateSum{2}},
			then: []Event{&SigningCertificateUploaded{Account: acct, Owner: ID(acct), ID: "CERT2", Body: "pem 2", Sum: CertificateSum{2}, Uploaded: now}},
			check: func(s *spying) {
				want := []SigningCertificate{{ID: "CERT1", Body: "pem 1", Sum: CertificateSum{1}, Active: true, Uploaded: past}, {ID: "CERT2", Body: "pem 2", Sum: CertificateSum{2}, Active: true, Uploaded: now}}
				if got := s.Keyring(ID(acct)).Certificates; !reflect.DeepEqual(got, want) {
					s.Errorf("the certificates are %+v", got)
				}
			}},
		{name: "in another account", given: []Event{rootSigner}, when: &UploadSigningCertificate{Account: other, ID: "CERT1", Sum: CertificateSum{1}},
			then: []Event{&SigningCertificateUploaded{Account: other, Owner: ID(other), ID: "CERT1", Sum: CertificateSum{1}, Uploaded: now}}},
		{name: "again after its end", given: []Event{alice, certificate("AIDA1", "CERT1", 1), &SigningCertificateDeleted{Owner: "AIDA1", ID: "CERT1"}},
			when: &UploadSigningCertificate{Account: acct, User: "alice", ID: "CERT2", Sum: CertificateSum{1}},
			then: []Event{&SigningCertificateUploaded{Account: acct, Owner: "AIDA1", ID: "CERT2", Sum: CertificateSum{1}, Uploaded: now}}},
		{name: "the same", given: []Event{rootSigner}, when: &UploadSigningCertificate{Account: acct, ID: "CERT2", Sum: CertificateSum{1}}, refused: taken},
		{name: "that of another user", given: []Event{alice, rootSigner}, when: &UploadSigningCertificate{Account: acct, User: "alice", ID: "CERT2", Sum: CertificateSum{1}}, refused: taken},
		{name: "the third", given: []Event{alice, certificate("AIDA1", "CERT1", 1), certificate("AIDA1", "CERT2", 2)},
			when: &UploadSigningCertificate{Account: acct, User: "alice", ID: "CERT3", Sum: CertificateSum{3}}, refused: "LimitExceeded: Cannot exceed quota for CertificatesPerUser: 2"},
		{name: "an id in use", given: []Event{rootSigner}, when: &UploadSigningCertificate{Account: acct, ID: "CERT1", Sum: CertificateSum{2}},
			refused: "EntityAlreadyExists: The Certificate with id CERT1 already exists."},
		{name: "unknown user", when: &UploadSigningCertificate{Account: acct, User: "alice"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "to inactive", given: []Event{rootSigner}, when: &UpdateSigningCertificate{Account: acct, ID: "CERT1"},
			then: []Event{&SigningCertificateUpdated{Owner: ID(acct), ID: "CERT1"}},
			check: func(s *spying) {
				if s.Keyring(ID(acct)).Certificates[0].Active {
					s.Error("the certificate is active")
				}
			}},
		{name: "unknown", given: []Event{rootSigner}, when: &UpdateSigningCertificate{Account: acct, ID: "CERT9"}, refused: gone},
		{name: "the last", given: []Event{alice, certificate("AIDA1", "CERT1", 1)}, when: &DeleteSigningCertificate{Account: acct, User: "alice", ID: "CERT1"},
			then: []Event{&SigningCertificateDeleted{Owner: "AIDA1", ID: "CERT1"}}, check: noKeyring},
		{name: "unknown", given: []Event{alice}, when: &DeleteSigningCertificate{Account: acct, User: "alice", ID: "CERT9"}, refused: gone},
		{name: "unknown user", when: &DeleteSigningCertificate{Account: acct, User: "alice", ID: "CERT9"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "with signing certificate", given: []Event{alice, certificate("AIDA1", "CERT1", 1), aliceSSH}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must delete certificates first."},
	}
}

func serviceCredentialSpecs() []spec {
	const gone = "NoSuchEntity: No such credential ACCA9 exists"
	create := &CreateServiceCredential{Account: acct, User: "alice", ID: "ACCA2", Service: git, Sealed: []byte("x")}
	created := func(id, service, name string, expires Time) []Event {
		return []Event{&ServiceCredentialCreated{Account: acct, Owner: "AIDA1", ID: id, Service: service, Name: name, Sealed: []byte("x"), Created: now, Expires: expires}}
	}
	second := &ServiceCredentialCreated{Account: acct, Owner: "AIDA1", ID: "ACCA2", Service: git, Name: "Alice+1-at-123456789012", Created: past}
	return []spec{
		{name: "the first", given: []Event{alice}, when: create, then: created("ACCA2", git, "Alice-at-123456789012", 0),
			check: func(s *spying) {
				want := []ServiceCredential{{ID: "ACCA2", Service: git, Name: "Alice-at-123456789012", Sealed: []byte("x"), Active: true, Created: now}}
				if got := s.Keyring("AIDA1").Services; !reflect.DeepEqual(got, want) {
					s.Errorf("the credentials are %+v", got)
				}
			}},
		{name: "the second", given: []Event{alice, aliceGit}, when: create, then: created("ACCA2", git, "Alice+1-at-123456789012", 0)},
		{name: "the first anew", given: []Event{alice, aliceGit, second, &ServiceCredentialDeleted{Owner: "AIDA1", ID: "ACCA1"}},
			when: &CreateServiceCredential{Account: acct, User: "alice", ID: "ACCA3", Service: git, Sealed: []byte("x")}, then: created("ACCA3", git, "Alice-at-123456789012", 0)},
		{name: "for another service, for a time", given: []Event{alice, aliceGit, second},
			when:  &CreateServiceCredential{Account: acct, User: "alice", ID: "ACCA3", Service: "bedrock.amazonaws.com", Sealed: []byte("x"), Days: 2},
			then:  created("ACCA3", "bedrock.amazonaws.com", "Alice-at-123456789012", now+172_800_000),
			check: expires},
		{name: "the third", given: []Event{alice, aliceGit, second}, when: &CreateServiceCredential{Account: acct, User: "alice", ID: "ACCA3", Service: git},
			refused: "LimitExceeded: Cannot exceed quota for ServiceSpecificCredentialsPerUser: 2"},
		{name: "an id in use", given: []Event{alice, aliceGit}, when: &CreateServiceCredential{Account: acct, User: "alice", ID: "ACCA1", Service: "s"},
			refused: "EntityAlreadyExists: The credential with id ACCA1 already exists."},
		{name: "unknown user", when: create, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "to inactive", given: []Event{alice, aliceGit}, when: &UpdateServiceCredential{Account: acct, User: "alice", ID: "ACCA1"},
			then: []Event{&ServiceCredentialUpdated{Owner: "AIDA1", ID: "ACCA1"}},
			check: func(s *spying) {
				if s.Keyring("AIDA1").Services[0].Active {
					s.Error("the credential is active")
				}
			}},
		{name: "unknown", given: []Event{alice, aliceGit}, when: &UpdateServiceCredential{Account: acct, User: "alice", ID: "ACCA9"}, refused: gone},
		{name: "another secret", given: []Event{alice, aliceGit}, when: &ResetServiceCredential{Account: acct, User: "alice", ID: "ACCA1", Sealed: []byte("y")},
			then: []Event{&ServiceCredentialReset{Account: acct, Owner: "AIDA1", ID: "ACCA1", Sealed: []byte("y")}},
			check: func(s *spying) {
				if c := s.Keyring("AIDA1").Services[0]; string(c.Sealed) != "y" || !c.Active {
					s.Errorf("the credential is %+v", c)
				}
			}},
		{name: "unknown", given: []Event{alice}, when: &ResetServiceCredential{Account: acct, User: "alice", ID: "ACCA9"}, refused: gone},
		{name: "of another user", given: []Event{alice, bob, aliceGit}, when: &ResetServiceCredential{Account: acct, User: "bob", ID: "ACCA1"}, refused: "NoSuchEntity: No such credential ACCA1 exists"},
		{name: "the last", given: []Event{alice, aliceGit}, when: &DeleteServiceCredential{Account: acct, User: "alice", ID: "ACCA1"},
			then: []Event{&ServiceCredentialDeleted{Owner: "AIDA1", ID: "ACCA1"}}, check: noKeyring},
		{name: "unknown", given: []Event{alice, aliceGit}, when: &DeleteServiceCredential{Account: acct, User: "alice", ID: "ACCA9"}, refused: gone},
		{name: "unknown user", when: &DeleteServiceCredential{Account: acct, User: "alice", ID: "ACCA9"}, refused: "NoSuchEntity: The user with name alice cannot be found."},
		{name: "with credential for a service", given: []Event{alice, aliceGit}, when: &DeleteUser{Account: acct, Name: "alice"},
			refused: "DeleteConflict: Cannot delete entity, must remove referenced objects first."},
	}
}

// noKeyring checks that nothing is left of what alice had.
func noKeyring(s *spying) {
	if n := s.keyrings.Rows.Len() + s.served.Edges.Len() + s.signers.Len(); n != 0 {
		s.Errorf("%d entries are left", n)
	}
}

// expires checks when the last of alice's credentials runs out.
func expires(s *spying) {
	c := s.Keyring("AIDA1").Services[2]
	if c.Expired(c.Expires-1) || !c.Expired(c.Expires) || s.Keyring("AIDA1").Services[0].Expired(c.Expires) {
		s.Errorf("the credential is %+v", c)
	}
}

func TestServedAreFound(t *testing.T) {
	s := given(alice, bob, aliceSSH, aliceGit, &ServiceCredentialCreated{Account: acct, Owner: "AIDA2", ID: "ACCA2", Service: git},
		&ServiceCredentialCreated{Account: other, Owner: ID(other), ID: "ACCA3", Service: git})
	from := func(account AccountID, after ID) (owners []ID) {
		s.Served(account, after, func(k *Keyring) bool {
			owners = append(owners, k.Owner)
			return true
		})
		return owners
	}
	all := from(acct, "")
	if len(all) != 2 || len(from(other, "")) != 1 {
		t.Fatalf("the owners are %v and %v", all, from(other, ""))
	}
	if rest := from(acct, all[0]); !reflect.DeepEqual(rest, all[1:]) {
		t.Errorf("after %s come %v", all[0], rest)
	}
}

// verifyKeyrings checks that keyrings belong to someone, and are found by what is in them.
func verifyKeyrings(t failing, s *State) {
	t.Helper()
	served, signers := 0, 0
	s.keyrings.Rows.Scan(func(h table.Handle, k *Keyring) bool {
		_, user := s.UserByID(k.Owner)
		if _, root := s.Account(AccountID(k.Owner)); !user && !root || len(k.SSHKeys)+len(k.Certificates)+len(k.Services) == 0 {
			t.Fatalf("the keyring %+v is nobody's, or empty", k)
		}
		if len(k.Services) > 0 {
			served++
			if _, ok := s.served.Edges.Get(table.Edge{From: table.HandleOf(k.Account), To: h}); !ok {
				t.Fatalf("%s is not found by its credentials", k.Owner)
			}
		}
		for _, c := range k.Certificates {
			signers++
			if owner, _ := s.signers.Get(signer(k.Account, c.Sum)); owner != h {
				t.Fatalf("by the certificate of %s one finds %d", k.Owner, owner)
			}
		}
		return true
	})
	if served != s.served.Edges.Len() || signers != s.signers.Len() {
		t.Fatalf("%d owners and %d certificates are found, of %d and %d", s.served.Edges.Len(), s.signers.Len(), served, signers)
	}
}

// keyringCommands make any command about keyrings.
func keyringCommands(t *rapid.T) []func() Command {
	user := func() string { return oneOf(t, "user", "", "a", "b", "b") }
	id := func() string { return oneOf(t, "id", "1", "2", "3", "4", "5", "6", "7") }
	active := func() bool { return rapid.Bool().Draw(t, "active") }
	return []func() Command{
		func() Command {
			return &UploadSSHPublicKey{Account: drawAccount(t), User: user(), ID: id(), Body: drawText(t), Fingerprint: id()}
		},
		func() Command {
			return &UpdateSSHPublicKey{Account: drawAccount(t), User: user(), ID: id(), Active: active()}
		},
		func() Command { return &DeleteSSHPublicKey{Account: drawAccount(t), User: user(), ID: id()} },
		func() Command {
			return &UploadSigningCertificate{Account: drawAccount(t), User: user(), ID: id(), Body: drawText(t), Sum: CertificateSum{id()[0]}}
		},
		func() Command {
			return &UpdateSigningCertificate{Account: drawAccount(t), User: user(), ID: id(), Active: active()}
		},
		func() Command { return &DeleteSigningCertificate{Account: drawAccount(t), User: user(), ID: id()} },
		func() Command {
			return &CreateServiceCredential{Account: drawAccount(t), User: user(), ID: id(), Service: oneOf(t, "service", "s", "t"), Days: uint32(drawNumber(t))}
		},
		func() Command {
			return &UpdateServiceCredential{Account: drawAccount(t), User: user(), ID: id(), Active: active()}
		},
		func() Command {
			return &ResetServiceCredential{Account: drawAccount(t), User: user(), ID: id(), Sealed: []byte(drawText(t))}
		},
		func() Command { return &DeleteServiceCredential{Account: drawAccount(t), User: user(), ID: id()} },
	}
}
