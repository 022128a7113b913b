package identity

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// lookups are one of each way, by what their test changes.
var lookups = map[string]Lookup{
	"user":     {By: ByName, Kind: KindUser, Account: acct, Text: "ALICE"}, // in other letters than its own
	"group":    {By: ByName, Kind: KindGroup, Account: acct, Text: "Admins"},
	"role":     {By: ByName, Kind: KindRole, Account: acct, Text: "Deploy"},
	"policy":   {By: ByARN, Text: readS3ARN},
	"content":  {By: ByContent, Text: readS3ARN},
	"by id":    {By: ByID, Text: "AIDA1"},
	"by key":   {By: ByKey, Text: "AKIA1"},
	"newcomer": {By: ByName, Kind: KindUser, Account: acct, Text: "carol"},
	"new id":   {By: ByID, Text: "AIDA3"},
	"new ARN":  {By: ByARN, Text: noneARN},
	"profile":  {By: ByName, Kind: KindInstanceProfile, Account: acct, Text: "web"},
	"theirs":   {By: ByName, Kind: KindUser, Account: other, Text: "Alice"},
}

// What was authorized against a target is decided about that very target, as it
// was, or refused.
func TestReliances(t *testing.T) {
	key := &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIA1", Created: past}
	history := []Event{alice, bob, admins, deploy, readS3, bound, awsAll, key, webServer}
	tags := []Tag{{"team", "red"}}
	for _, c := range []struct {
		name  string
		then  []Event
		stale []string // lookups
	}{
		{"nothing", nil, nil},
		{"user moved", []Event{&UserUpdated{ID: "AIDA1", Name: "Alice", Path: "/admin/"}}, []string{"user", "by id", "by key"}},
		{"user renamed", []Event{&UserUpdated{ID: "AIDA1", Name: "anna", Path: "/"}}, []string{"user", "by id", "by key"}},
		{"user renamed in letters", []Event{&UserUpdated{ID: "AIDA1", Name: "alice", Path: "/"}}, []string{"user", "by id", "by key"}},
		{"user moved and moved back", []Event{&UserUpdated{ID: "AIDA1", Name: "Alice", Path: "/admin/"}, &UserUpdated{ID: "AIDA1", Name: "Alice", Path: "/"}}, nil},
		{"user tagged", []Event{&EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: tags}}, []string{"user", "by id", "by key"}},
		{"user bounded", []Event{&BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA2"}}, []string{"user", "by id", "by key"}},
		{"user deleted", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}, &UserDeleted{ID: "AIDA1"}}, []string{"user", "by id", "by key"}},
		{"user made again", []Event{&AccessKeyDeleted{Owner: "AIDA1", ID: "AKIA1"}, &UserDeleted{ID: "AIDA1"},
			&UserCreated{Account: acct, ID: "AIDA9", Name: "Alice", Path: "/", Created: past}}, []string{"user", "by id", "by key"}},
		{"another takes the name", []Event{&UserUpdated{ID: "AIDA1", Name: "anna", Path: "/"}, &UserUpdated{ID: "AIDA2", Name: "Alice", Path: "/"}}, []string{"user", "by id", "by key"}},
		{"another user tagged", []Event{&EntityTagged{Kind: KindUser, ID: "AIDA2", Tags: tags}}, nil},
		{"user's permissions", []Event{&InlinePolicyPut{Kind: KindUser, ID: "AIDA1", Name: "p"}, &PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPA1"},
			&UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}, &AccessKeyUpdated{Owner: "AIDA1", ID: "AKIA1"}}, nil},
		{"group moved", []Event{&GroupUpdated{ID: "AGPA1", Name: "Admins", Path: "/admin/"}}, []string{"group"}},
		{"group deleted", []Event{&GroupDeleted{ID: "AGPA1"}}, []string{"group"}},
		{"group joined", []Event{&UserAddedToGroup{Group: "AGPA1", User: "AIDA1"}}, nil},
		{"role tagged", []Event{&EntityTagged{Kind: KindRole, ID: "AROA1", Tags: tags}}, []string{"role"}},
		{"role bounded", []Event{&BoundarySet{Kind: KindRole, ID: "AROA1", Policy: "ANPA2"}}, []string{"role"}},
		{"role trusts others", []Event{&TrustUpdated{ID: "AROA1", Trust: "{others}"}}, nil},
		{"role made again elsewhere", []Event{&RoleDeleted{ID: "AROA1"}, &RoleCreated{Account: acct, ID: "AROA9", Name: "Deploy", Path: "/admin/"}}, []string{"role"}},
		{"instance profile tagged", []Event{&EntityTagged{Kind: KindInstanceProfile, ID: "AIPA1", Tags: tags}}, []string{"profile"}},
		{"instance profile made again", []Event{&InstanceProfileDeleted{ID: "AIPA1"}, &InstanceProfileCreated{Account: acct, ID: "AIPA9", Name: "Web", Path: "/x/", Tags: webServer.Tags}}, []string{"profile"}},
		{"instance profile carries a role", []Event{webDeploys}, nil},
		{"policy tagged", []Event{&EntityTagged{Kind: KindPolicy, ID: "ANPA1", Tags: tags}}, []string{"content", "policy"}},
		{"policy deleted", []Event{&PolicyDeleted{ID: "ANPA1"}}, []string{"content", "policy"}},
		{"policy made again", []Event{&PolicyDeleted{ID: "ANPA1"}, &PolicyCreated{Account: acct, ID: "ANPA9", Name: "ReadS3", Path: "/team/", Document: "{v1}", Created: past}}, []string{"content", "policy"}},
		{"policy says another thing", []Event{&PolicyVersionCreated{ID: "ANPA1", Number: 2, Default: true}}, []string{"content"}},
		{"newcomer", []Event{&UserCreated{Account: acct, ID: "AIDA3", Name: "Carol", Path: "/admin/"}}, []string{"newcomer", "new id"}},
		{"newcomer who left", []Event{&UserCreated{Account: acct, ID: "AIDA3", Name: "Carol", Path: "/admin/"}, &UserDeleted{ID: "AIDA3"}}, nil},
		{"newcomer of another kind", []Event{&RoleCreated{Account: acct, ID: "AROA3", Name: "carol", Path: "/admin/"}}, nil},
		{"newcomer elsewhere", []Event{&UserCreated{Account: other, ID: "AIDA4", Name: "alice", Path: "/admin/"}}, []string{"theirs"}},
		{"new policy", []Event{&PolicyCreated{Account: acct, ID: "ANPA5", Name: "None", Path: "/"}}, []string{"new ARN"}},
		{"new policy elsewhere", []Event{&PolicyCreated{Account: acct, ID: "ANPA5", Name: "None", Path: "/admin/"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := given(history...)
			relies := map[string][]Reliance{}
			for name, l := range lookups {
				w := NewWitness(s)
				w.Find(l)
				relies[name] = w.Reliances()
			}
			for _, e := range c.then {
				apply(s, e)
			}
			stale := map[string]bool{}
			for _, name := range c.stale {
				stale[name] = true
			}
			for name, on := range relies {
				_, err := Decide(s, Meta{Time: now}, &CreateGroup{Account: acct, ID: "AGPAnew", Name: "new", Path: "/"}, on...)
				var refusal *Refusal
				if errors.As(err, &refusal) != stale[name] || stale[name] && refusal.Code != StaleAuthorization {
					t.Errorf("authorized against %s, it is %v", name, err)
				}
			}
		})
	}
}

// One reliance of many that does not hold is enough, wherever it stands.
func TestEachRelianceCounts(t *testing.T) {
	s := given(alice, admins, readS3)
	w := NewWitness(s)
	for _, name := range []string{"user", "group", "policy"} {
		w.Find(lookups[name])
		w.Find(lookups[name]) // twice is once
	}
	command := &CreateGroup{Account: acct, ID: "AGPAnew", Name: "new", Path: "/"}
	on := w.Reliances()
	if _, err := Decide(s, Meta{}, command, on...); err != nil || len(on) != 3 {
		t.Fatalf("%d reliances, %v", len(on), err)
	}
	for i := range on {
		changed := append([]Reliance(nil), on...)
		changed[i].Found[7]++
		if _, err := Decide(s, Meta{}, command, changed...); err == nil {
			t.Errorf("reliance %d does not count", i)
		}
	}
	if _, err := Decide(s, Meta{}, command, Reliance{Lookup: Lookup{By: ByContent + 1}}); err == nil {
		t.Error("a lookup that nobody knows is relied on")
	}
}

// A witness tells what was there when it was asked first, and relies on that.
func TestWitness(t *testing.T) {
	s := given(alice, bob, bound, &BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPA2"}, &EntityTagged{Kind: KindUser, ID: "AIDA1", Tags: []Tag{{"k", "v"}}})
	w := NewWitness(s)
	got, ok := w.Find(lookups["user"])
	want := Target{Kind: KindUser, ID: "AIDA1", Account: acct, Name: "Alice", Path: "/", Boundary: boundARN, Tags: []Tag{{"k", "v"}}}
	if !ok || !reflect.DeepEqual(got, want) || got.ARN() != "arn:aws:iam::123456789012:user/Alice" {
		t.Errorf("it tells %+v, %v", got, ok)
	}
	if got, ok := w.Find(lookups["newcomer"]); ok || !reflect.DeepEqual(got, Target{}) {
		t.Errorf("of nobody it tells %+v", got)
	}
	if got, ok := w.Find(Lookup{By: ByKey, Text: "AKIAROOT1"}); ok {
		t.Errorf("of the root's key it tells %+v", got)
	}
}

// Every part of a target is in its fingerprint: an authorization can see it. The partition
// never changes.
func TestFingerprints(t *testing.T) {
	var full Target
	v := reflect.ValueOf(&full).Elem()
	seen := map[Fingerprint]string{full.fingerprint(): "nothing"}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "In" {
			continue
		}
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint8, reflect.Uint64:
			f.SetUint(uint64(KindUser))
		case reflect.String:
			f.SetString("text")
		case reflect.Slice:
			f.Set(reflect.ValueOf([]Tag{{"key", "value"}}))
		default:
			t.Fatalf("no way to fill %s", name)
		}
		if other, twice := seen[full.fingerprint()]; twice {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[full.fingerprint()] = name
	}
	for _, tags := range [][]Tag{{{"keyv", "alue"}}, {{"Key", "value"}}, {{"key", "value"}, {"", ""}}} {
		other := full
		other.Tags = tags
		if name, twice := seen[other.fingerprint()]; twice {
			t.Errorf("tags %v have the fingerprint of %s", tags, name)
		}
	}
	full.Changed = 0 // as that of the ways before ByContent
	const want = "bc9b0a8bd4a36024758823a7c15ed6e9cd321a36329409a43a8953cf8d5c2ff8"
	if got := fmt.Sprintf("%x", full.fingerprint()); got != want {
		t.Errorf("the fingerprint is %s: entries of the log that were decided would be decided otherwise", got)
	}
}
