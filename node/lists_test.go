package node

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

var (
	userNames  = regexp.MustCompile(`<UserName>([^<]*)</UserName>`)
	nextMarker = regexp.MustCompile(`<Marker>([^<]*)</Marker>`)
)

// pagesBelow turns the pages of users below a path at a node.
func (m *team) pagesBelow(name, path string) (pages [][]string) {
	m.t.Helper()
	marker := []string{}
	for {
		status, _, body := m.iam(name, "ListUsers", append([]string{"PathPrefix", path, "MaxItems", "700"}, marker...)...)
		if status != http.StatusOK {
			m.t.Fatalf("page %d at %s: %d %s", len(pages), name, status, body)
		}
		var page []string
		for _, found := range userNames.FindAllStringSubmatch(body, -1) {
			page = append(page, found[1])
		}
		pages = append(pages, page)
		next := nextMarker.FindStringSubmatch(body)
		if next == nil {
			return pages
		}
		marker = []string{"Marker", next[1]}
	}
}

// Below a path with more users than are put in order for a list, all users are walked
// instead. At the leader and at a replica the pages are the same, and have each name once.
func TestPagesBelowADensePath(t *testing.T) {
	const makers, each = 32, identity.MaxBelow/32 + 1
	m := newTeam(t, 1, 1)
	m.startAll()
	var want []string
	var making sync.WaitGroup
	for i := range makers {
		for n := range each {
			want = append(want, fmt.Sprintf("d-%02d-%03d", i, n))
		}
		making.Go(func() {
			for n := range each {
				path := fmt.Sprintf("/dense/%d/", n%3)
				if status, _, body := m.iam("writer-1", "CreateUser", "UserName", fmt.Sprintf("d-%02d-%03d", i, n), "Path", path); status != http.StatusOK {
					t.Errorf("create a user: %d %s", status, body)
					return
				}
			}
		})
	}
	making.Wait()
	for i := range makers { // of other paths, among the others by name
		m.must("writer-1", "CreateUser", "UserName", fmt.Sprintf("d-%02d-elsewhere", i), "Path", "/else/")
	}
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "last"))
	if len(want) <= identity.MaxBelow || t.Failed() {
		t.Fatalf("%d users are not dense", len(want))
	}
	pages := m.pagesBelow("writer-1", "/dense/")
	if got := slices.Concat(pages...); !slices.Equal(got, want) {
		t.Errorf("%d names on %d pages, %d are there", len(got), len(pages), len(want))
	}
	if at := m.pagesBelow("replica-1", "/dense/"); !slices.EqualFunc(at, pages, slices.Equal) {
		t.Errorf("the replica has other pages: %d, not %d", len(at), len(pages))
	}
}
