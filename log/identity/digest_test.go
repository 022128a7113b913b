package identity

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// The digest is compared between nodes: no build may compute another one.
func TestDigestsAreForever(t *testing.T) {
	s := given(alice, admins, deploy, readS3, &UserAddedToGroup{Group: "AGPA1", User: "AIDA1"})
	if got, want := s.Digest().String(), "0cf929ad59731fe97f4e8fe2a98bc5e3"; got != want {
		t.Errorf("the digest is %s, was %s", got, want)
	}
}

// Each lane must tell records apart by itself, even when they differ little.
func TestHashSpreads(t *testing.T) {
	lanes := [2]map[uint64]bool{{}, {}}
	const n = 200_000
	for i := range n {
		d := table.SumOf(&Group{ID: ID(fmt.Sprintf("AGPA%017d", i)), Account: acct, Name: "n", Path: "/"})
		lanes[0][d[0]], lanes[1][d[1]] = true, true
	}
	if len(lanes[0]) != n || len(lanes[1]) != n {
		t.Errorf("%d and %d hashes of %d records", len(lanes[0]), len(lanes[1]), n)
	}
}

// What a record holds must be in its encoding: each field changes the digest.
func TestDigestCoversEveryField(t *testing.T) {
	for _, r := range []Record{
		&Header{}, &Account{}, &User{}, &Group{}, &Role{}, &Policy{}, &Replica{}, &BarredReplica{}, &Attempt{},
		&InstanceProfile{}, &DeletionTasks{}, &DelegationRequest{}, &CredentialReport{}, &CredentialReportPart{},
		&Home{}, &Usage{}, &AccessJobs{}, &PasswordPolicy{}, &LoginProfile{}, &Keyring{}, &ServerCertificate{},
		&CataloguePolicy{}, &OIDCProvider{}, &SAMLProvider{}, &AccountSettings{}, &MFADevice{}, &Passkeys{}, &Writers{}, &NodeRevocation{}, &SealKeys{}, &Retention{},
	} {
		covers(t, reflect.TypeOf(r).Elem().Name(), r, reflect.ValueOf(r).Elem())
	}
}

func covers(t *testing.T, path string, r Record, v reflect.Value) {
	before := digest.Of(r.AppendDigest(nil))
	changed := func() {
		if digest.Of(r.AppendDigest(nil)) == before {
			t.Errorf("%s is not in the digest", path)
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			covers(t, path+"."+v.Type().Field(i).Name, r, v.Field(i))
		}
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		changed()
		if k := v.Type().Elem().Kind(); k == reflect.Struct {
			covers(t, path+"[0]", r, v.Index(0))
		}
	case reflect.Array:
		v.Index(v.Len() - 1).SetUint(1)
		changed()
	case reflect.String:
		v.SetString("x")
		changed()
	case reflect.Bool:
		v.SetBool(true)
		changed()
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
		changed()
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
		changed()
	default:
		t.Fatalf("%s is a %s", path, v.Kind())
	}
	v.SetZero()
}

func TestRecountNoticesAlteredMemory(t *testing.T) {
	s := given(alice)
	u, _ := s.UserByID("AIDA1")
	u.Name = "mallory"
	if s.Recount() == s.Digest() {
		t.Error("not noticed")
	}
}

// Each record is in one part, and each part notices its own.
func TestCheckPart(t *testing.T) {
	const users = 500
	c := newCrowd(4)
	s := c.state()
	for range users {
		s.fold(c.user())
	}
	total := 0
	for part := range table.Parts {
		records, sound := s.CheckPart(part)
		if !sound || records == 0 {
			t.Errorf("part %d: %d records, sound %v", part, records, sound)
		}
		total += records
	}
	if want := users + crowdGroups + 1; total != want {
		t.Errorf("%d records in all parts, not %d", total, want)
	}
	s.users.Rows.Scan(func(h table.Handle, u *User) bool {
		was := u.Changed
		u.Changed++
		for part := range table.Parts {
			if _, sound := s.CheckPart(part); sound == (part == h.Part()) {
				t.Errorf("part %d is sound: %v; the altered record is in part %d", part, sound, h.Part())
			}
		}
		u.Changed = was
		return !t.Failed() && u.Changed%97 != 0
	})
	if s.Recount() != s.Digest() {
		t.Error("put right, it is still not sound")
	}
}
