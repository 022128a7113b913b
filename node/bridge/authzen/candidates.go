package authzen

import (
	"iter"
	"strings"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
)

// maxWalked is how many principals a search looks at for those whose ARNs have its pattern.
const maxWalked = 10_000

// candidate is a principal that a search looks at.
type candidate struct {
	name string // after which the next comes
	arn  string // empty: the search looked at as many as it may, and there may be more
}

// candidates yields the principals that ARNs of a pattern could be, those after a name: the users
// or the roles of an account. Of sessions and roots there are none. Where searches for subjects
// get their candidates from is known here alone. It looks at most at so many.
func candidates(v *projection.View, of pattern, after string, most int) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		rest, ok := strings.CutPrefix(of.before, v.State.Partition().IAM())
		account, path, whole := strings.Cut(rest, ":")
		if !ok || !whole {
			return
		}
		one := func(name, arn string) bool {
			if most == 0 {
				yield(candidate{name: after})
				return false
			}
			most--
			after = name
			return yield(candidate{name, arn})
		}
		switch {
		case strings.HasPrefix(path, typeUser+"/"):
			v.State.Users(identity.AccountID(account), after, func(u *identity.User) bool { return one(u.Name, u.ARN()) })
		case strings.HasPrefix(path, typeRole+"/"):
			v.State.Roles(identity.AccountID(account), after, func(r *identity.Role) bool { return one(r.Name, r.ARN()) })
		}
	}
}
