package identity_test

import (
	"fmt"

	"github.com/writ-iam/writ/log/identity"
)

// A command is decided against a state; the events it gives are folded into the
// state, and into every other state that follows the same history.
func Example() {
	state := identity.NewState()
	propose := func(c identity.Command) {
		meta := identity.Meta{Time: 1_700_000_000_000}
		events, err := identity.Decide(state, meta, c)
		if err != nil {
			fmt.Println(err)
			return
		}
		identity.Evolve(state, state.Position()+1, meta, events)
		fmt.Printf("%d: %T\n", state.Position(), events[len(events)-1])
	}

	const account = "123456789012"
	propose(&identity.Bootstrap{Cluster: "example", Account: account, RootKey: identity.NewAccessKey{ID: "AKIAROOT"}})
	propose(&identity.CreateUser{Account: account, ID: "AIDA1", Name: "Alice", Path: "/"})
	propose(&identity.CreateUser{Account: account, ID: "AIDA2", Name: "ALICE", Path: "/"})

	user, _ := state.User(account, "alice")
	fmt.Println(user.ARN())
	// Output:
	// 1: *identity.AccessKeyCreated
	// 2: *identity.UserCreated
	// EntityAlreadyExists: User with name ALICE already exists.
	// arn:aws:iam::123456789012:user/Alice
}
