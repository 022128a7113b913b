package identity

import (
	"fmt"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) { run(t, usageSpecs()) }

// aliceKey is a key of alice.
var aliceKey = &AccessKeyCreated{Account: acct, Owner: "AIDA1", ID: "AKIAALICE", Sealed: []byte("sealed"), Created: past}

func usageSpecs() []spec {
	use := func(credential string, at Time) Use {
		return Use{Credential: credential, At: at, Region: "us-east-1", Service: "iam", Actions: []ActionUse{{Service: "iam", Name: "GetUser", At: at, Region: "us-east-1"}}}
	}
	note := func(uses ...Use) *NoteUses { return &NoteUses{Uses: uses} }
	noted := func(owner ID, u Use) *UseNoted { return &UseNoted{Owner: owner, Use: u} }
	first := noted("AIDA1", use("AKIAALICE", now-2*hour))
	with := func(change func(*Use)) *NoteUses {
		u := use("AKIAALICE", now)
		change(&u)
		return note(u)
	}
	const old = "InvalidInput: None of the uses is news."
	return []spec{
		{name: "of keys and roles", given: []Event{alice, aliceKey, deploy}, when: note(use("AKIAALICE", now), use("AKIAROOT1", now), use("AROA1", now), use("AKIAABSENT", now), use("AKIAALICE", now)),
			then: []Event{noted("AIDA1", use("AKIAALICE", now)), noted(ID(acct), use("AKIAROOT1", now)), noted("AROA1", use("AROA1", now))},
			check: func(s *spying) {
				u, _ := s.UserByID("AIDA1")
				last, ok := s.Usage("AIDA1").Latest("AKIAALICE")
				if !ok || last.At != now || last.Service != "iam" || u.Changed == s.Position() || s.PermissionsChanged("AIDA1") == s.Position() {
					s.Errorf("the latest use is %+v, and the user changed at %d", last, u.Changed)
				}
			}},
		{name: "of passwords", given: []Event{alice, deploy}, when: note(use(PasswordCredential("AIDA1"), now), use(PasswordCredential(ID(acct)), now), use(PasswordCredential("AROA1"), now), use(PasswordCredential(""), now)),
			then: []Event{noted("AIDA1", use("password:AIDA1", now)), noted(ID(acct), use("password:123456789012", now))}},
		{name: "later by an hour", given: []Event{alice, aliceKey, first}, when: note(use("AKIAALICE", now-hour)), then: []Event{noted("AIDA1", use("AKIAALICE", now-hour))}},
		{name: "later by less", given: []Event{alice, aliceKey, first}, when: note(use("AKIAALICE", now-hour-1)), refused: old},
		{name: "in the future", given: []Event{alice, aliceKey}, when: note(use("AKIAALICE", now+1)), refused: old},
		{name: "of no key", when: note(use("AKIAABSENT", now)), refused: old},
		{name: "long region", given: []Event{alice, aliceKey}, when: with(func(u *Use) { u.Region = strings.Repeat("x", MaxUseText+1) }), refused: old},
		{name: "long action", given: []Event{alice, aliceKey}, when: with(func(u *Use) { u.Actions[0].Name = strings.Repeat("x", MaxUseText+1) }), refused: old},
		{name: "action in the future", given: []Event{alice, aliceKey}, when: with(func(u *Use) { u.Actions[0].At++ }), refused: old},
		{name: "too many actions", given: []Event{alice, aliceKey}, when: with(func(u *Use) { u.Actions = make([]ActionUse, MaxUseActions+1) }), refused: old},
		{name: "too many", when: &NoteUses{Uses: make([]Use, MaxUses+1)}, refused: "LimitExceeded: Cannot note more than 500 uses at once."},
	}
}

// Of the actions of a principal those used latest are kept; what is deleted takes its uses along.
func TestUsageIsBounded(t *testing.T) {
	s := given(alice, aliceKey)
	for i := range MaxUsedActions + 10 {
		at := past + Time(i)*hour
		apply(s, &UseNoted{Owner: "AIDA1", Use: Use{Credential: "AKIAALICE", At: at, Actions: []ActionUse{{Service: "iam", Name: fmt.Sprintf("A%03d", i), At: at}}}})
	}
	u := s.Usage("AIDA1")
	if n := len(u.Actions); n != MaxUsedActions || u.Actions[0].Name != "A010" {
		t.Errorf("%d actions are kept, first %s", n, u.Actions[0].Name)
	}
	if last, ok := u.Of("iam"); !ok || last.Name != "A265" {
		t.Errorf("the latest is %+v", last)
	}
	if _, ok := u.Of("s3"); ok {
		t.Error("s3 was never used")
	}
	verify(t, s)
	apply(s, &AccessKeyDeleted{Owner: "AIDA1", ID: "AKIAALICE"})
	if _, ok := s.Usage("AIDA1").Latest("AKIAALICE"); ok {
		t.Error("the use of the deleted key is kept")
	}
	apply(s, &UserDeleted{ID: "AIDA1"})
	if s.Usage("AIDA1") != nil {
		t.Error("the usage of the deleted user is kept")
	}
	verify(t, s)
}

func TestAccessJobs(t *testing.T) { run(t, accessJobSpecs()) }

func accessJobSpecs() []spec {
	const user, role = "arn:aws:iam::123456789012:user/Alice", "arn:aws:iam::123456789012:role/ci/Deploy"
	job := func(kind Kind, id ID, arn string) []Event {
		return []Event{&AccessJobStarted{Account: acct, Job: AccessJob{ID: "j", By: "AIDA9", Created: now, Kind: kind, Entity: id, ARN: arn}}}
	}
	start := func(arn string) *StartAccessJob {
		return &StartAccessJob{Account: acct, By: "AIDA9", ID: "j", ARN: arn}
	}
	var full []Event
	for i := range MaxAccessJobs { // the root's first, and as many as it may have of one user's
		job := AccessJob{ID: fmt.Sprintf("j%d", i), By: "AIDA8"}
		if i < MaxAccessJobs-MaxAccessJobsOf {
			job.By = ID(acct)
		}
		full = append(full, &AccessJobStarted{Account: acct, Job: job})
	}
	ended := func(want string) func(*spying) {
		return func(s *spying) {
			kept, _ := s.accessJobs.Get(acct)
			for i := range MaxAccessJobs {
				id := fmt.Sprintf("j%d", i)
				if _, ok := s.AccessJob(acct, id); ok == (id == want) {
					s.Errorf("job %s is there: %v", id, ok)
				}
			}
			if len(kept.Jobs) != MaxAccessJobs {
				s.Errorf("%d jobs", len(kept.Jobs))
			}
		}
	}
	by := func(id ID) (*StartAccessJob, []Event) {
		c, e := *start(user), job(KindUser, "AIDA1", user)
		c.By, e[0].(*AccessJobStarted).Job.By = id, id
		return &c, e
	}
	greedy, greedyStarted := by("AIDA8")
	root, rootStarted := by(ID(acct))
	return []spec{
		{name: "user", given: []Event{alice}, when: start(user), then: job(KindUser, "AIDA1", user)},
		{name: "role", given: []Event{deploy}, when: start(role), then: job(KindRole, "AROA1", role)},
		{name: "policy", given: []Event{readS3}, when: start(readS3ARN), then: job(KindPolicy, "ANPA1", readS3ARN)},
		{name: "organization", when: &StartAccessJob{Account: acct, By: "AIDA9", ID: "j", Path: "o/r", Policy: "p"},
			then: []Event{&AccessJobStarted{Account: acct, Job: AccessJob{ID: "j", By: "AIDA9", Created: now, Path: "o/r", Policy: "p"}}}},
		{name: "one more than a share ends the oldest of one's own", given: append(full, alice), when: greedy, then: greedyStarted, check: ended("j100")},
		{name: "as the first may, too", given: append(full, alice), when: root, then: rootStarted, check: ended("j0")},
		{name: "one more than all ends one of who has the most", given: append(full[1:MaxAccessJobs:MaxAccessJobs], alice,
			&AccessJobStarted{Account: acct, Job: AccessJob{ID: "j0", By: "AIDA7"}}), when: start(user), then: job(KindUser, "AIDA1", user), check: ended("j100")},
		{name: "other letters", given: []Event{alice}, when: start("arn:aws:iam::123456789012:user/ALICE"), refused: "NoSuchEntity: ARN arn:aws:iam::123456789012:user/ALICE not found"},
		{name: "another account's", given: []Event{alice}, when: &StartAccessJob{Account: other, ID: "j", ARN: user}, refused: "NoSuchEntity: ARN " + user + " not found"},
		{name: "no account", when: &StartAccessJob{Account: "0", ID: "j"}, refused: "NoSuchEntity: The account with id 0 cannot be found."},
	}
}
