package node

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
)

// manyPolicies makes a catalogue of n policies, of which the last is as large as one can be.
func manyPolicies(n, bytes int) []identity.CataloguePolicy {
	text := func(size int) string {
		const head, tail = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"`, `],"Resource":"*"}]}`
		return head + strings.Repeat(`,"s3:GetObjectVersion"`, (size-len(head)-len(tail))/len(`,"s3:GetObjectVersion"`)) + tail
	}
	list := make([]identity.CataloguePolicy, n)
	for i := range list {
		list[i] = identity.CataloguePolicy{ID: identity.ID(fmt.Sprintf("ANPA%017d", i)), Name: fmt.Sprintf("Policy%05d", i), Path: "/", Created: 1, Updated: 2, Default: 2,
			Versions: []identity.PolicyVersion{{Number: 1, Document: text(bytes / 2), Created: 1}, {Number: 2, Document: text(bytes), Created: 2}}}
	}
	list[n-1].Versions[1].Document = text(identity.MaxManagedDocument)
	return list
}

// A catalogue as large as AWS's comes into force at one position, at every node, and
// other writes go on beside it.
func TestCatalogueOfAWSsSize(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	c := m.client(m.leader("writer-1"))
	policies := manyPolicies(1500, 2500)
	alone := m.creations("alone", time.Now().Add(2*time.Second), nil)
	done := make(chan struct{})
	var change *client.CatalogueChange
	var failed error
	var importing sync.WaitGroup
	begun := time.Now()
	importing.Go(func() {
		defer close(done)
		change, failed = c.ImportCatalogue(t.Context(), policies)
	})
	beside := m.creations("beside", time.Now().Add(patience), done)
	took := time.Since(begun)
	if importing.Wait(); failed != nil {
		t.Fatal(failed)
	}
	t.Logf("CreateUser alone: %s; beside an import of %v: %s", shown(alone), took.Round(time.Millisecond), shown(beside))
	m.everywhere(m.leader("writer-1"), change.Token)
	for name := range m.nodes {
		if s := m.node(name).projection.View().State; s.Count(identity.AWSAccount, identity.KindPolicy) != 1500 || s.Catalogue().At != change.Position {
			t.Errorf("%s has %d policies since %d", name, s.Count(identity.AWSAccount, identity.KindPolicy), s.Catalogue().At)
		}
	}
	if again, err := c.ImportCatalogue(t.Context(), policies); again != nil || err != nil {
		t.Errorf("the second import: %+v, %v", again, err)
	}
	asked := time.Now()
	_, _, page := m.iam("replica-1", "ListPolicies", "Scope", "AWS", "MaxItems", "1000")
	if strings.Count(page, "<PolicyName>") != 1000 || !strings.Contains(page, "<IsTruncated>true</IsTruncated>") {
		t.Errorf("a page has %d policies", strings.Count(page, "<PolicyName>"))
	}
	t.Logf("a page of 1,000 policies took %v", time.Since(asked).Round(time.Millisecond))
	if status, _, page := m.iam("replica-1", "ListPolicies", "Scope", "AWS", "OnlyAttached", "true"); status != http.StatusOK || strings.Contains(page, "<PolicyName>") {
		t.Errorf("policies are attached: %.300s", page)
	}
}

// creations creates users one after the other until a time or an event, and tells how
// long each took.
func (m *team) creations(prefix string, until time.Time, done <-chan struct{}) (took []time.Duration) {
	m.t.Helper()
	leader := m.leader("writer-1")
	for i := 0; time.Now().Before(until); i++ {
		select {
		case <-done:
			return took
		default:
		}
		begun := time.Now()
		m.must(leader, "CreateUser", "UserName", fmt.Sprintf("%s-%d", prefix, i))
		took = append(took, time.Since(begun))
	}
	return took
}

func shown(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	at := func(p int) time.Duration { return took[(len(took)-1)*p/100].Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d, p50 %v, p99 %v, at most %v", len(took), at(50), at(99), at(100))
}
