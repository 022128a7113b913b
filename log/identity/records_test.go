package identity

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything is a state with a record of every kind.
func everything() *State {
	s := given(alice, bob, admins, deploy, readS3, bound, awsAll, theirs,
		&UserCreated{Account: other, ID: "AIDA9", Name: "alice", Path: "/", Boundary: "ANPA3"},
		&UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}, &PolicyAttached{Kind: KindGroup, ID: "AGPA1", Policy: "ANPA4"},
		&BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA2"}, &AccountAliasSet{Account: acct, Alias: "example"},
		&AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1"}, &ReplicaRegistered{Name: "one"}, &ReplicaBarred{Name: "two"},
		strict, aliceIn, phone, alicePhone,
		webServer, webDeploys, scalingGone,
		aliceSSH, rootSigner, aliceGit, siteCert,
		&OIDCProviderCreated{Account: acct, URL: issuer}, corp(1), &TokenVersionSet{Account: acct, Version: 2},
		&IncarnationBegun{Cluster: "cluster", Incarnation: "2", Why: Restored, At: past},
		sessionKey, issuerKey, &SessionsRevoked{Account: acct, Subject: "AROA1", Made: now},
		&NodeCertificatesRevoked{Name: "one", Before: now, Until: now + 1},
		&RetentionSet{Rule: RetentionRule{Days: 30}, Floor: 7}, &HistoryDropped{Through: 3, Hash: [32]byte{1}, Newest: past, At: now},
	)
	Evolve(s, s.Position()+1, Meta{Time: now, Key: keyOf(1)}, nil)
	Evolve(s, s.Position()+1, Meta{Time: now, Key: keyOf(2)}, nil)
	return s
}

func records(s *State) (all []Record) {
	s.Records(func(r Record) bool {
		all = append(all, r)
		return true
	})
	return all
}

func TestRecordsInAnyOrderMakeTheSameState(t *testing.T) {
	s := everything()
	verify(t, s)
	all := records(s)
	want := dump(s)
	for seed := range uint64(50) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		l := NewLoader()
		for _, r := range all {
			l.Add(r)
		}
		loaded, err := l.State(nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(loaded), compareContent); diff != "" {
			t.Fatalf("in the order of seed %d: %s", seed, diff)
		}
	}
}

func TestRecordsStopWhenTold(t *testing.T) {
	s := everything()
	all := len(records(s))
	for most := 1; most <= all; most++ {
		n := 0
		s.Records(func(Record) bool {
			n++
			return n < most
		})
		if n != most {
			t.Fatalf("%d records, not %d", n, most)
		}
	}
}

func TestRecordsAreInOrder(t *testing.T) {
	var got []string
	for _, r := range records(everything()) {
		switch r := r.(type) {
		case *Header:
			got = append(got, "header")
		case *Account:
			got = append(got, "account")
		case *Policy:
			got = append(got, "policy")
		case *Role:
			got = append(got, "role")
		case *Group:
			got = append(got, "group")
		case *User:
			got = append(got, "user "+string(r.Account[:1])+r.Name)
		case *Replica:
			got = append(got, "replica")
		case *BarredReplica:
			got = append(got, "barred")
		case *InstanceProfile:
			got = append(got, "instance profile")
		case *Attempt:
			got = append(got, "attempt")
		case *ServerCertificate:
			got = append(got, "certificate")
		case *DeletionTasks:
			got = append(got, "deletions")
		case *NodeRevocation:
			got = append(got, "node revocation")
		case *Keyring:
			got = append(got, "keyring")
		}
	}
	const want = "header account account certificate instance profile policy policy policy policy role group user 2alice user 1Alice user 1bob replica barred attempt attempt keyring keyring node revocation deletions"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("the order is\n\t%s, not\n\t%s", got, want)
	}
}

func TestLoaderRefuses(t *testing.T) {
	user := func(id ID, name string) *User { return &User{ID: id, Account: acct, Name: name} }
	for _, c := range []struct {
		name    string
		records []Record
		want    string
	}{
		{"no header", []Record{user("AIDA1", "a")}, "no header"},
		{"an unknown kind", []Record{&Header{}, Record(nil)}, "unknown record"},
		{"a name twice", []Record{&Header{}, user("AIDA1", "a"), user("AIDA2", "A")}, "two records with the name a"},
		{"an identifier twice", []Record{&Header{}, user("AIDA1", "a"), user("AIDA1", "b")}, "two records or keys"},
		{"an account twice", []Record{&Header{}, &Account{ID: acct}, &Account{ID: acct}}, "two records or keys"},
		{"an access key twice", []Record{&Header{},
			&User{ID: "AIDA1", Name: "a", Keys: []AccessKey{{ID: "AKIA1"}}}, &User{ID: "AIDA2", Name: "b", Keys: []AccessKey{{ID: "AKIA1"}}}}, "two records or keys"},
		{"the partition too late", []Record{&Header{}, user("AIDA1", "a"), &Home{PartitionCN}}, "after a record that has an ARN"},
		{"an unknown partition", []Record{&Header{}, &Home{200}}, "partition 200 is not known"},
		{"a keyring twice", []Record{&Header{}, &Keyring{Owner: "AIDA1"}, &Keyring{Owner: "AIDA1"}}, "two records or keys"},
		{"a certificate twice", []Record{&Header{}, &Keyring{Owner: "AIDA1", Certificates: []SigningCertificate{{ID: "a"}}},
			&Keyring{Owner: "AIDA2", Certificates: []SigningCertificate{{ID: "b"}}}}, "two records or keys"},
	} {
		l := NewLoader()
		for _, r := range c.records {
			l.Add(r)
		}
		if _, err := l.State(nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Two states that share records go ways of their own.
func TestLoadedStateIsAlone(t *testing.T) {
	s := everything()
	for _, id := range []ID{"AGPA2", "AGPA3", "AGPA4", "AGPA5"} {
		apply(s, &GroupCreated{Account: acct, ID: id, Name: string(id)})
	}
	apply(s, &UserAddedToGroup{Group: "AGPA2", User: "AIDA1"})
	apply(s, &UserAddedToGroup{Group: "AGPA3", User: "AIDA1"})
	loaded := reload(t, s)
	apply(s, &UserAddedToGroup{Group: "AGPA4", User: "AIDA1"})
	want := dump(s)
	apply(loaded, &UserAddedToGroup{Group: "AGPA5", User: "AIDA1"})
	apply(loaded, &UserUpdated{ID: "AIDA1", Name: "carol", Path: "/"})
	apply(loaded, &UserDeleted{ID: "AIDA2"})
	verify(t, loaded)
	verify(t, s)
	if diff := cmp.Diff(want, dump(s), compareContent); diff != "" {
		t.Errorf("the other state changed: %s", diff)
	}
}
