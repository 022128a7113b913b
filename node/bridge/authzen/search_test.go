package authzen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/test/doors"
)

// The endpoints of searches.
const (
	searchSubject  = "/access/v1/search/subject"
	searchResource = "/access/v1/search/resource"
	searchAction   = "/access/v1/search/action"
)

func (w *world) search(t *testing.T) {
	const users, records = `"subject": {"type": "user"}`, `"resource": {"type": "record"}`
	const now = `"context": {"time": "2025-06-27T18:03-07:00"}`
	for _, c := range []struct {
		name, path, body string
		want             []string
	}{
		{"4.2.1 subjects", searchSubject, of(users, read, record1), []string{"user/alice", "user/bob"}},
		{"4.2.2 with context", searchSubject, of(users, read, record1, now), []string{"user/alice", "user/bob"}},
		{"4.2.3 an id is ignored", searchSubject, of(alice, read, record1), []string{"user/alice", "user/bob"}},
		{"4.2.4 resource properties", searchSubject, of(users, write, archived), []string{"user/bob"}},
		{"4.3.1 resources", searchResource, of(alice, read, records), []string{"record/record-1", "record/record-2"}},
		{"4.3.2 an id is ignored", searchResource, of(alice, write, record2), []string{"record/record-1"}},
		{"4.3.3 subject properties", searchResource, of(admin, write, records), []string{"record/record-2"}},
		{"4.4.1 actions", searchAction, of(alice, record1), []string{"read", "write"}},
		{"4.4.2 with context", searchAction, of(alice, record1, now), []string{"read", "write"}},
		{"4.4.3 properties", searchAction, of(admin, archived), []string{"read", "write"}},
		{"an action is ignored", searchAction, of(alice, record1, `"action": {"name": "delete", "properties": {"soft": true}}`), []string{"read", "write"}},
		{"4.6.1 an unknown subject", searchAction, of(`"subject": {"type": "user", "id": "nonexistent-user"}`, record1), nil},
		{"an id that nobody can have", searchAction, of(`"subject": {"type": "user", "id": "no body!"}`, record1), nil},
		{"an unknown subject", searchResource, of(`"subject": {"type": "user", "id": "nonexistent-user"}`, read, records), nil},
		{"4.6.2 an unknown type", searchSubject, of(`"subject": {"type": "spaceship"}`, read, record1), nil},
		{"an unknown type", searchResource, of(alice, read, `"resource": {"type": "spaceship"}`), nil},
		{"an unknown type", searchAction, of(alice, `"resource": {"type": "spaceship", "id": "1"}`), nil},
	} {
		a := w.post(t, c.path, c.body)
		fresh(t, c.name, &a)
		if got, page := a.found(t); !slices.Equal(got, c.want) || page != nil {
			t.Errorf("%s: %s; want %v", c.name, a.body, c.want)
		}
	}
}

// pages goes through the pages of searches.
func (w *world) pages(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{searchSubject, of(`"subject": {"type": "user"}`, read, record1), []string{"user/alice", "user/bob"}},
		{searchResource, of(alice, read, `"resource": {"type": "record"}`), []string{"record/record-1", "record/record-2"}},
		{searchAction, of(alice, record1), []string{"read", "write"}},
	} {
		var got []string
		with := func(page string) string { return strings.TrimSuffix(c.body, "}") + `, "page": ` + page + "}" }
		next := `{"limit": 1}`
		for n := 0; next != ""; n++ {
			a := w.post(t, c.path, with(next))
			fresh(t, c.path, &a)
			found, page := a.found(t)
			token, ok := page["next_token"].(string)
			if len(found) > 1 || !ok || page["count"] != float64(len(found)) || n > len(c.want)+3 {
				t.Fatalf("%s: page %d: %s", c.path, n, a.body)
			}
			if next = ""; token != "" {
				next = fmt.Sprintf(`{"token": %q}`, token)
				refused(t, "another search", w.post(t, c.path, strings.Replace(with(next), "record", "other", 1)), http.StatusBadRequest)
				refused(t, "another limit", w.post(t, c.path, with(fmt.Sprintf(`{"token": %q, "limit": 2}`, token))), http.StatusBadRequest)
			}
			got = append(got, found...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.path, got)
		}
		a := w.post(t, c.path, with(`{"limit": 100000, "properties": {"sort": 1}}`))
		if found, page := a.found(t); !slices.Equal(found, c.want) || page["next_token"] != "" {
			t.Errorf("%s: a high limit: %s", c.path, a.body)
		}
		a = w.post(t, c.path, with(`{"limit": 0}`))
		if found, page := a.found(t); found != nil || page["next_token"] == "" {
			t.Errorf("%s: no results: %s", c.path, a.body)
		}
	}
}

func (w *world) discovery(t *testing.T) {
	for _, header := range []map[string]string{nil, {"Authorization": ""}} { // it is for everybody
		a, err := w.send(t.Context(), http.MethodGet, "/.well-known/authzen-configuration", "", header)
		if err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v: %s", a.status, err, a.body)
		}
		var got map[string]string
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"policy_decision_point": "", "access_evaluation_endpoint": one, "access_evaluations_endpoint": many,
			"search_subject_endpoint": searchSubject, "search_resource_endpoint": searchResource, "search_action_endpoint": searchAction} {
			if got[name] != w.base+path {
				t.Errorf("%s is %q", name, got[name])
			}
		}
	}
}

// stale says what is answered by a replica that nobody tells any more what is so.
func (w *world) stale(t *testing.T) {
	w.Stop(doors.Writer)
	w.Until("the replica's lease has ended", func(ctx context.Context) error {
		a, err := w.send(ctx, http.MethodPost, one, of(alice, read, record1), nil)
		if err == nil && a.status != http.StatusServiceUnavailable {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
	refused(t, "without a lease", w.post(t, one, of(alice, read, record1)), http.StatusServiceUnavailable)
	refused(t, "without a lease", w.post(t, many, of(alice, read, record1, `"evaluations": [{}]`)), http.StatusServiceUnavailable)
	refused(t, "without a lease", w.post(t, searchAction, of(alice, record1)), http.StatusServiceUnavailable)

	// Who takes any view gets denials of it, and no allow.
	anyView := map[string]string{"X-Writ-Consistency": "any"}
	for _, body := range []string{of(alice, read, record1), of(bob, write, record1)} {
		a, err := w.send(t.Context(), http.MethodPost, one, body, anyView)
		if err != nil {
			t.Fatal(err)
		}
		if a.status == http.StatusServiceUnavailable { // the node's settings admit no such view
			refused(t, "any view", a, http.StatusServiceUnavailable)
			continue
		}
		if got, _ := a.decisions(t); got == nil || *got {
			t.Errorf("in any view: %d %s", a.status, a.body)
		}
	}
	a, err := w.send(t.Context(), http.MethodPost, searchAction, of(alice, record1), anyView)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "a search in any view", a, http.StatusServiceUnavailable)
}
