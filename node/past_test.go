package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/past"
	"github.com/writ-iam/writ/node/setup"
)

// A decision of the past is told by a writer and, through it, by a replica, the same after a
// restart and without the states that were kept; so is what turned it.
func TestPast(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.startAll()
	const alice = "arn:aws:iam::" + setup.DefaultAccount + ":user/alice"
	m.must("writer-1", "CreateUser", "UserName", "alice")
	head := func() event.Position {
		h, err := m.client("writer-1").Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Position
	}
	before := head()
	m.must("writer-1", "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
		"PolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	during := head()
	m.must("writer-1", "DeleteUserPolicy", "UserName", "alice", "PolicyName", "p")
	m.must("writer-1", "DeleteUser", "UserName", "alice")
	after := head()
	q := client.Question{Principal: alice, Action: "s3:GetObject", Resource: "*"}
	tells := func(name string) {
		t.Helper()
		m.until("the past is told by "+name, func(ctx context.Context) error {
			for at, decision := range map[event.Position]string{before: "implicitDeny", during: "allow"} {
				q.At = client.Moment(strconv.FormatUint(uint64(at), 10))
				d, err := m.client(name).AuthorizeAt(ctx, q)
				if err != nil {
					return err
				}
				if d.Decision != decision || d.Position != at || d.Freshness != "past" || d.At == nil {
					t.Errorf("position %d at %s: %+v", at, name, d)
				}
			}
			return nil
		})
		a, err := m.client(name).WhyChanged(t.Context(), client.ChangeSearch{
			Principal: alice, Action: "s3:GetObject", Resource: "*", From: client.Moment(strconv.FormatUint(uint64(before), 10)), To: client.Moment(strconv.FormatUint(uint64(after), 10)),
		})
		if err != nil || len(a.Changes) != 3 || a.Changes[0].After.Decision != "allow" || a.Changes[1].Action != "iam:DeleteUserPolicy" || a.After.Decision != past.NoPrincipal {
			t.Errorf("at %s: %+v, %v", name, a, err)
		}
	}
	tells("writer-1")
	tells("replica-1")
	q.At = "999999999"
	var p *client.Problem
	if _, err := m.client("replica-1").AuthorizeAt(t.Context(), q); !errors.As(err, &p) || p.Code != "NotCommitted" {
		t.Errorf("of the future: %v", err)
	}
	m.stop("writer-1")
	if err := os.RemoveAll(filepath.Join(m.config("writer-1").Data, "past")); err != nil {
		t.Fatal(err)
	}
	m.start("writer-1")
	m.ready("writer-1")
	tells("writer-1")
}
