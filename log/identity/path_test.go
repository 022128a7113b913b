package identity

import (
	"fmt"
	"slices"
	"testing"
)

func TestBelowAPath(t *testing.T) {
	s := NewState()
	Evolve(s, 1, Meta{}, []Event{&AccountCreated{ID: acct}, &AccountCreated{ID: "999999999999"}})
	var events []Event
	for i, at := range []string{"/o", "/x/B", "/x/a", "/x/y/c", "/xy/d", "/y/e"} {
		path, name := at[:len(at)-1], at[len(at)-1:]
		events = append(events, &UserCreated{Account: acct, ID: ID(fmt.Sprint("AIDA", i)), Name: name, Path: path},
			&UserCreated{Account: "999999999999", ID: ID(fmt.Sprint("AIDA9", i)), Name: name, Path: path},
			&RoleCreated{Account: acct, ID: ID(fmt.Sprint("AROA", i)), Name: name, Path: path})
	}
	Evolve(s, 2, Meta{}, events)
	list := func(prefix, after string, most int) (found []string) {
		s.UsersBelow(acct, prefix, after, func(u *User) bool {
			found = append(found, u.Path+u.Name)
			return len(found) < most
		})
		return found
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"/x", "", []string{"/x/a", "/x/B", "/x/y/c", "/xy/d"}},
		{"/x/", "", []string{"/x/a", "/x/B", "/x/y/c"}},
		{"/x/", "A", []string{"/x/B", "/x/y/c"}},
		{"/x/", "b", []string{"/x/y/c"}},
		{"/x/", "aa", []string{"/x/B", "/x/y/c"}},                      // gone since
		{"/", "", []string{"/x/a", "/x/B", "/x/y/c", "/xy/d", "/y/e"}}, // all that have another path
		{"/x/y/", "", []string{"/x/y/c"}},
		{"/z", "", nil},
	} {
		if got := list(c.prefix, c.after, 9); !slices.Equal(got, c.want) {
			t.Errorf("below %s after %q are %v, not %v", c.prefix, c.after, got, c.want)
		}
	}
	if got := list("/x", "", 2); len(got) != 2 {
		t.Errorf("%v, though two were enough", got)
	}
	Evolve(s, 3, Meta{}, []Event{&UserUpdated{ID: "AIDA2", Name: "z", Path: "/q/"}, &UserDeleted{ID: "AIDA1"}, &UserUpdated{ID: "AIDA5", Name: "e", Path: "/"}})
	if got := append(list("/x", "", 9), append(list("/q", "", 9), list("/y", "", 9)...)...); !slices.Equal(got, []string{"/x/y/c", "/xy/d", "/q/z"}) {
		t.Errorf("after changes: %v", got)
	}
	verify(t, s)
	events = nil
	for i := range MaxBelow {
		events = append(events, &UserCreated{Account: acct, ID: ID(fmt.Sprint("AIDAM", i)), Name: fmt.Sprint("m", i), Path: "/m/"})
	}
	Evolve(s, 4, Meta{}, events)
	if got := list("/m/", "m998", 9); !slices.Equal(got, []string{"/m/m999"}) {
		t.Errorf("the last of the most are %v", got)
	}
	Evolve(s, 5, Meta{}, []Event{&UserCreated{Account: acct, ID: "AIDAN", Name: "n", Path: "/m/n/"}})
	if s.UsersBelow(acct, "/m/", "", func(*User) bool { t.Error("one of too many is listed"); return true }) {
		t.Error("too many are put in order")
	}
}
