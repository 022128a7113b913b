package node

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// readCallers is how many callers write and read at once.
const readCallers = 4

// story makes a user by way of one node, changes it and deletes it, and after each
// step calls look, at once.
func story(c *caller, node, name string, look func(step string, wrote answer) error) error {
	for _, step := range [][]string{
		{"CreateUser", "UserName", name},
		{"TagUser", "UserName", name, "Tags.member.1.Key", "k", "Tags.member.1.Value", "changed"},
		{"DeleteUser", "UserName", name},
	} {
		wrote, err := c.call(node, step[0], step[1:]...)
		if err != nil {
			return err
		}
		if wrote.status != http.StatusOK {
			return fmt.Errorf("%s by way of %s: %d %s", step[0], node, wrote.status, wrote.body)
		}
		if err := look(step[0], wrote); err != nil {
			return fmt.Errorf("after %s at %d by way of %s: %w", step[0], wrote.position, node, err)
		}
	}
	return nil
}

// sees reads the user by way of a node, and says what the answer lacks.
func sees(c *caller, node, name, step string, wrote answer, headers ...string) error {
	read, err := c.call(node, "GetUser", append([]string{"UserName", name}, headers...)...)
	switch {
	case err != nil:
		return err
	case step == "DeleteUser" && read.status == http.StatusNotFound:
		return nil
	case step != "DeleteUser" && read.status == http.StatusOK && read.position >= wrote.position &&
		(step == "CreateUser" || element([]byte(read.body), "Value") == "changed"):
		return nil
	}
	return fmt.Errorf("%s shows, at position %d: %d %s", node, read.position, read.status, read.body)
}

// eachPair tells many callers to write by way of every writing node and to read by
// way of every reading one, so many times for each pair of nodes.
func (m *team) eachPair(c *caller, rounds int, writing, reading []string, headers func(wrote answer) []string) {
	m.t.Helper()
	var wg sync.WaitGroup
	for who := range readCallers {
		wg.Go(func() {
			for round := who; round < rounds; round += readCallers {
				for i, w := range writing {
					name := fmt.Sprintf("%s-%d", w, round)
					if err := story(c, w, name, func(step string, wrote answer) error {
						for j := range reading { // another one first each time
							r := reading[(round+i+j)%len(reading)]
							if err := sees(c, r, name, step, wrote, headers(wrote)...); err != nil {
								return err
							}
						}
						return nil
					}); err != nil {
						m.t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func noHeaders(answer) []string { return nil }

// A token of a write makes every node's answer at least as late, whoever asks
// there.
func TestReadAtLeastATokenAtAnyNode(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.startAll()
	m.eachPair(m.as("", ""), 40, m.names(), []string{"replica-1", "replica-2"}, func(wrote answer) []string {
		return []string{"@X-Writ-At-Least", wrote.token}
	})
	// decisions as well
	root := m.as("", "")
	root.must("writer-1", "CreateUser", "UserName", "alice")
	q := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":user/alice", Action: "s3:Get", Resource: "*"}
	for i := range 60 {
		action, want := "PutUserPolicy", "allow"
		pairs := []string{"UserName", "alice", "PolicyName", "p", "PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`}
		if i%2 == 1 {
			action, want, pairs = "DeleteUserPolicy", "implicitDeny", pairs[:4]
		}
		wrote := root.must(m.names()[i%5], action, pairs...)
		for _, replica := range []string{"replica-1", "replica-2"} {
			d, err := m.client(replica).Authorize(t.Context(), q, client.Freshness{AtLeast: wrote.token})
			if err != nil || d.Decision != want || d.Position < wrote.position {
				t.Fatalf("%s by way of %s at %d: %s says %+v, %v", action, m.names()[i%5], wrote.position, replica, d, err)
			}
		}
	}
}

// A replica that handed a caller's write on makes that caller's next read there
// wait for it, without any header.
func TestReadYourWritesAtTheSameReplica(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.startAll()
	for _, replica := range []string{"replica-1", "replica-2"} {
		m.eachPair(m.as("", ""), 100, []string{replica}, []string{replica}, noHeaders)
	}
}

// IAM reads at a writer are strict: whatever was acknowledged anywhere is there,
// and stays there while leadership changes hands.
func TestReadsAtWritersAreStrict(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	writers := []string{"writer-1", "writer-2", "writer-3"}
	m.eachPair(m.as("", ""), 40, m.names(), writers, noHeaders)
}

func TestReadsAtWritersAreStrictWhileTheLeaderChanges(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	writers := []string{"writer-1", "writer-2", "writer-3"}
	const perChange = 24 // reads, so that work gets done between two changes
	var reads atomic.Int64
	step, changes := make(chan struct{}, 1), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for range step {
			m.handOver()
			changes++
		}
	})
	m.eachPair(m.as("", ""), 20, m.names(), writers, func(answer) []string {
		if reads.Add(1)%perChange == 0 {
			select {
			case step <- struct{}{}:
			default: // one is under way
			}
		}
		return nil
	})
	close(step)
	wg.Wait()
	t.Logf("leadership was handed over %d times in %d reads", changes, reads.Load())
	if changes < 5 {
		t.Errorf("leadership was handed over %d times only", changes)
	}
}
