package node

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/ask"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

func TestQuestionsToReplicas(t *testing.T) {
	m := newTeam(t, 1, 2)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "alice")
	alice := "arn:aws:iam::" + setup.DefaultAccount + ":user/alice"
	for _, c := range []struct{ policy, decision string }{
		{"Allow", "allow"}, {"Deny", "explicitDeny"},
	} {
		m.must("writer-1", "PutUserPolicy", "UserName", "alice", "PolicyName", "p",
			"PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"`+c.policy+`","Action":"s3:Get","Resource":"*"}}`)
		at := m.node("writer-1").projection.Head().Position
		for _, name := range []string{"replica-1", "replica-2"} {
			body := json.RawMessage(`{"principal":"` + alice + `","action":"s3:Get"}`)
			m.until(name+" decides", func(ctx context.Context) error {
				leading := m.node("writer-1").part.(*writer).leading.Load()
				r, err := leading.tasks.Ask(ctx, name, ask.KindEvaluate, at, body)
				var d shape.Evaluated
				if err == nil {
					err = json.Unmarshal(r.Body, &d)
				}
				if err != nil || r.Position < at || d.Position != r.Position || d.Freshness == "leased" && d.Decision != c.decision {
					t.Fatalf("%s at %d: %+v, %+v, %v", name, at, r, d, err)
				}
				if d.Freshness != "leased" { // it lost its lease with the leader, perhaps
					return errors.New(d.Freshness)
				}
				return nil
			})
		}
		// the next leader asks the same replicas
		m.stop("writer-1")
		m.start("writer-1")
		m.ready("writer-1")
		m.leader("writer-1")
	}
	// a writer is asked nothing, and takes no tasks for others
	f := peer.NewFinder(peer.TCP{}, m.node("writer-1").tls, 1<<10)
	for _, path := range []string{ask.TasksPath, ask.AnswersPath} {
		if err := f.Post(t.Context(), path, struct{}{}, nil); err == nil || !strings.Contains(err.Error(), errNoRole.Error()) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f.Close()
}
