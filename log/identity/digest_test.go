package identity

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// The digest is compared between nodes: no build may compute another one.
func TestDigestsAreForever(t *testing.T) {
	s := given(alice, admins, deploy, readS3, &UserAddedToGroup{Group: "AGPA1", User: "AIDA1"})
	if got, want := s.Digest().String(), "0cf929ad59731fe97f4e8fe2a98bc5e3"; got != want {
		t.Errorf("the digest is %s, was %s", got, want)
	}
}

func TestHashNoticesEveryBit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		want := hash(b)
		for bit := range 8 * n {
			b[bit/8] ^= 1 << (bit % 8)
			if got := hash(b); got[0] == want[0] || got[1] == want[1] {
				t.Fatalf("bit %d of %d bytes is not noticed", bit, n)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		if got := hash(append(b, 0)); got[0] == want[0] || got[1] == want[1] {
			t.Fatalf("a zero after %d bytes is not noticed", n)
		}
	}
}

// Each lane must tell records apart by itself, even when they differ little.
func TestHashSpreads(t *testing.T) {
	lanes := [2]map[uint64]bool{{}, {}}
	const n = 200_000
	for i := range n {
		d := hashRecord(&Group{ID: ID(fmt.Sprintf("AGPA%017d", i)), Account: acct, Name: "n", Path: "/"})
		lanes[0][d[0]], lanes[1][d[1]] = true, true
	}
	if len(lanes[0]) != n || len(lanes[1]) != n {
		t.Errorf("%d and %d hashes of %d records", len(lanes[0]), len(lanes[1]), n)
	}
}

// What a record holds must be in its encoding: each field changes the digest.
func TestDigestCoversEveryField(t *testing.T) {
	for _, r := range []Record{&Header{}, &Account{}, &User{}, &Group{}, &Role{}, &Policy{}, &Replica{}, &BarredReplica{}, &Attempt{}} {
		covers(t, reflect.TypeOf(r).Elem().Name(), r, reflect.ValueOf(r).Elem())
	}
}

func covers(t *testing.T, path string, r Record, v reflect.Value) {
	before := hash(r.appendDigest(nil))
	changed := func() {
		if hash(r.appendDigest(nil)) == before {
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
	for part := range Parts {
		records, sound := s.CheckPart(part)
		if !sound || records == 0 {
			t.Errorf("part %d: %d records, sound %v", part, records, sound)
		}
		total += records
	}
	if want := users + crowdGroups + 1; total != want {
		t.Errorf("%d records in all parts, not %d", total, want)
	}
	s.users.rows.Scan(func(h handle, u *User) bool {
		was := u.Changed
		u.Changed++
		for part := range Parts {
			if _, sound := s.CheckPart(part); sound == (part == h.part()) {
				t.Errorf("part %d is sound: %v; the altered record is in part %d", part, sound, h.part())
			}
		}
		u.Changed = was
		return !t.Failed() && u.Changed%97 != 0
	})
	if s.Recount() != s.Digest() {
		t.Error("put right, it is still not sound")
	}
}
