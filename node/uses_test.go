package node

import (
	"context"
	"slices"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/usage"
)

// What a replica saw of a credential comes into the log by way of the leader, once an hour;
// and a credential report is written while the cluster goes on.
func TestUsesAndReports(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	m.must("replica-1", "CreateUser", "UserName", "alice")
	m.must("replica-1", "GetUser", "UserName", "alice")
	w := m.node("writer-1").part.(*writer)
	tell := func() {
		m.node("replica-1").teller(nil).Tell(t.Context())
		if w.Leading() == nil {
			t.Fatal("the writer does not lead")
		}
		w.node.teller(w).Tell(t.Context())
	}
	actions := func() (names []string) {
		u := w.log.Applied().State.Usage(identity.ID(setup.DefaultAccount))
		if u == nil {
			return nil
		}
		for _, a := range u.Actions {
			names = append(names, a.Service+":"+a.Name)
		}
		return names
	}
	to := leader{m.node("replica-1").finder}
	if err := to.Hand(t.Context(), usage.Told{Uses: []identity.Use{{Credential: m.root.AccessKeyID, At: 1 << 62, Service: "iam"}}}); err != nil {
		t.Fatal(err)
	}
	tell() // a use to come hides nothing
	if got := actions(); !slices.Contains(got, "iam:CreateUser") || !slices.Contains(got, "iam:GetUser") {
		t.Errorf("the actions are %v", got)
	}
	if last, ok := w.log.Applied().State.Usage(identity.ID(setup.DefaultAccount)).Latest(m.root.AccessKeyID); !ok || last.Service != "iam" {
		t.Errorf("the latest use is %+v", last)
	}
	m.must("replica-1", "ListUsers")
	tell()
	if got := actions(); slices.Contains(got, "iam:ListUsers") {
		t.Errorf("within the hour another use was noted: %v", got)
	}

	m.must("replica-1", "GenerateCredentialReport")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		changed := w.log.Changed()
		if r := w.log.Applied().State.CredentialReport(setup.DefaultAccount); r != nil && r.Generated != 0 {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("no report came")
		}
	}
	m.must("writer-1", "GetCredentialReport")
}
