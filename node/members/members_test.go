package members

import (
	"errors"
	"fmt"
	"testing"
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
