package members

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/writ-iam/writ/replication/propagation"
)

// list has voters of cluster.yaml, then voters that it does not have; the first of each answer.
func list(named, answering, unlisted, unlistedAnswering int) (l List) {
	add := func(n, answer int, name string) {
		for i := range n {
			s := Server{ID: fmt.Sprintf("id-%d", len(l)), Address: fmt.Sprintf("h%d:8430", len(l)), Votes: true, Answers: i < answer}
			if name != "" {
				s.Name = fmt.Sprintf("%s%d", name, i+1)
			}
			l = append(l, s)
		}
	}
	add(named, answering, "w")
	add(unlisted, unlistedAnswering, "")
	return l
}

func TestSurvives(t *testing.T) {
	for _, x := range []struct {
		l       List
		survive int
	}{
		{list(1, 1, 0, 0), 0},
		{list(2, 2, 0, 0), 0},
		{list(3, 3, 0, 0), 1},
		{list(3, 2, 0, 0), 0},
		{list(3, 1, 0, 0), -1},
		{list(5, 5, 0, 0), 2},
		{list(3, 3, 2, 0), 0}, // two of five were left behind, dead
		{list(3, 3, 2, 2), 2},
		{list(3, 2, 2, 0), -1},
		{append(list(3, 3, 0, 0), Server{ID: "learner", Answers: true}), 1},
	} {
		if got := x.l.Survives(); got != x.survive {
			t.Errorf("%+v: survives %d, want %d", x.l, got, x.survive)
		}
	}
	for writers, planned := range map[int]int{0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 2} {
		if got := Planned(writers); got != planned {
			t.Errorf("%d writers: %d, want %d", writers, got, planned)
		}
	}
}

func TestWithout(t *testing.T) {
	for name, x := range map[string]struct {
		l      List
		called string
		want   error
	}{
		"a dead one, by address":   {list(3, 3, 2, 0), "h3:8430", nil},
		"a dead one, by id":        {list(3, 3, 2, 0), "id-4", nil},
		"one that answers":         {list(3, 3, 1, 1), "id-3", nil},
		"one too many":             {list(3, 1, 1, 1), "id-3", ErrQuorum},
		"the last that can commit": {list(1, 0, 1, 1), "id-1", ErrQuorum},
		"a writer of cluster.yaml": {list(3, 3, 1, 0), "w2", ErrListed},
		"its id":                   {list(3, 3, 1, 0), "id-0", ErrListed},
		"nobody":                   {list(3, 3, 1, 0), "h9:8430", ErrUnknown},
		"no name":                  {list(3, 3, 1, 0), "", ErrUnknown},
	} {
		s, err := x.l.Without(x.called)
		if !errors.Is(err, x.want) || err == nil && s.Name != "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// A learner votes when it answers as a writer, has caught up, and the voters can commit.
func TestReady(t *testing.T) {
	for name, x := range map[string]struct {
		change func(l List, told []Heard)
		want   bool
	}{
		"caught up":            {func(List, []Heard) {}, true},
		"behind":               {func(_ List, told []Heard) { told[3].Position = 100 }, false},
		"nothing came yet":     {func(_ List, told []Heard) { told[3].Position = 0 }, false},
		"silent":               {func(l List, told []Heard) { l[3].Answers, told[3].Err = false, errors.New("no answer") }, false},
		"it answers elsewhere": {func(_ List, told []Heard) { told[3].Address = "other:1" }, false},
		"nobody's":             {func(l List, _ []Heard) { l[3].Name = "" }, false},
		"no quorum":            {func(l List, _ []Heard) { l[0].Answers, l[1].Answers = false, false }, false},
		"all vote":             {func(l List, _ []Heard) { l[3].Votes = true }, false},
	} {
		l := list(4, 4, 0, 0)
		l[3].Votes = false
		var told []Heard
		for _, s := range l {
			told = append(told, Heard{Name: s.Name, Says: s.Name, Address: s.Address, ID: s.ID, Position: 1000})
		}
		x.change(l, told)
		if s, ok := l.Ready(told, 1010); ok != x.want || ok && s.ID != "id-3" {
			t.Errorf("%s: %+v, %v", name, s, ok)
		}
	}
}

// A writer that moves is told as itself wherever it answers, and nobody takes it away meanwhile;
// one that follows does not vote.
func TestWritersThatMove(t *testing.T) {
	dead := errors.New("no answer")
	for name, told := range map[string][]Heard{
		"it answers at both addresses":    {{Name: "w1", Address: "new:1", Says: "w1", ID: "id-0"}, {Address: "h0:8430", Says: "w1", ID: "id-0"}},
		"it was not started again yet":    {{Name: "w1", Address: "new:1", Err: dead}, {Address: "h0:8430", Says: "w1", ID: "id-0"}},
		"it answers at the new one alone": {{Name: "w1", Address: "new:1", Says: "w1", ID: "id-0"}, {Address: "h0:8430", Err: dead}},
	} {
		l := list(1, 0, 0, 0)
		l[0].Name = ""
		l.Match(told)
		if l[0].Name != "w1" || !l[0].Answers {
			t.Errorf("%s: %+v", name, l[0])
		}
		if _, err := l.Without("h0:8430"); !errors.Is(err, ErrListed) {
			t.Errorf("%s: removed: %v", name, err)
		}
		if m := l.Writer(told[1], 0, ""); m.Name != "h0:8430" || m.State != "moving" || strings.Contains(m.Detail, "remove") {
			t.Errorf("%s: told as %+v", name, m)
		}
	}
	l := list(1, 1, 1, 1)
	l[1].Votes = false
	told := []Heard{{Name: "w1", Address: "h0:8430", Says: "w1", ID: "id-0"}, {Name: "w2", Address: "h1:8430", Says: "w2", ID: "id-1"}, {Address: "h2:8430", Says: "w9", ID: "id-2"}}
	l.Match(told)
	for i, want := range []string{"voting", "learning", "unlisted"} {
		if m := l.Writer(told[i], 0, ""); m.State != want {
			t.Errorf("%+v: %s, want %s", told[i], m.State, want)
		}
	}
}

// Who has not said that it supports the leader's feature level holds it back, and is named once.
func TestFeatureLevel(t *testing.T) {
	told := []Heard{
		{Name: "w1", Level: 2}, {Name: "w2", Level: 1}, {Name: "w3", Err: errors.New("no answer")}, // who does not answer has not said so
		{Address: "h9:8430"}, // whom cluster.yaml does not have is not waited for
	}
	r1, r2, again := propagation.ReplicaStatus{Level: 2}, propagation.ReplicaStatus{}, propagation.ReplicaStatus{Level: 1}
	r1.Name, r2.Name, again.Name = "r1", "r2", "r2"
	replicas := []propagation.ReplicaStatus{r1, r2, again}
	if f := FeatureLevel(1, 2, told, replicas); f.InForce != 1 || f.Supported != 2 || strings.Join(f.HeldBackBy, " ") != "w2 w3 r2" {
		t.Errorf("held back by %+v", f)
	}
	if f := FeatureLevel(2, 2, told, replicas); f.HeldBackBy != nil {
		t.Errorf("in force, and held back by %+v", f)
	}
}

// TestOutgrown holds that a replica whose build is too old is told to be.
func TestOutgrown(t *testing.T) {
	for _, c := range []struct {
		supports, inForce uint32
		want              string
	}{
		{0, 2, "as it was"}, {1, 1, "as it was"}, {3, 2, "as it was"},
		{1, 2, "its build is too old: it supports feature level 1, and level 2 is in force as it was"},
	} {
		if got := Outgrown(propagation.ReplicaStatus{Level: c.supports}, c.inForce, "as it was"); got != c.want {
			t.Errorf("of level %d at level %d: %q", c.supports, c.inForce, got)
		}
	}
}
