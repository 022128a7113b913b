package api_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// who are the principals of all pages of a search, with their decisions and keys.
func (w *world) who(c credential, rest string, limit int) (list []string) {
	w.t.Helper()
	cursor := ""
	for {
		m := w.json(w.accepted("search", w.native(c, "POST", "/v1/search/principals", fmt.Sprintf(`{%s,"limit":%d%s}`, rest, limit, cursor))))
		page := m["principals"].([]any)
		if len(page) > limit {
			w.t.Errorf("a page of %d has %d", limit, len(page))
		}
		for _, one := range page {
			p := one.(map[string]any)
			text := fmt.Sprint(p["arn"], " ", p["decision"])
			if p["depends_on"] != nil {
				text += fmt.Sprint(" ", p["depends_on"])
			}
			list = append(list, text)
		}
		if m["cursor"] == nil {
			return list
		}
		cursor = `,"cursor":"` + m["cursor"].(string) + `"`
	}
}

// Who may is found as questions find it: by own policies and groups, within boundaries and denials, and
// apart those who may with more condition keys. Nobody is told whom the caller may not ask about.
func TestSearchPrincipals(t *testing.T) {
	w := newWorld(t)
	w.user("alice", allow("s3:Get*"))
	w.user("bob", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:Get","Resource":"*"}]}`)
	w.user("carol", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-1"}}}}`)
	w.user("dave", allow("ec2:*"))
	w.user("erin", "")
	w.must(&identity.CreateGroup{Account: account, ID: "AGPAREADERS", Name: "readers", Path: "/"},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindGroup, Account: account, Name: "readers"}, Name: "read", Document: allow("s3:Get")},
		&identity.AddUserToGroup{Account: account, Group: "readers", User: "erin"})
	app := w.user("app", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"writ:SearchPrincipals","Resource":"*"},{"Effect":"Allow","Action":"writ:Authorize","Resource":["`+userARN("erin")+`","`+userARN("dave")+`"]}]}`)
	root := "arn:aws:iam::123456789012:root allow"
	all := []string{root, userARN("alice") + " allow", userARN("carol") + " implicitDeny [aws:RequestedRegion]", userARN("erin") + " allow"}
	for _, limit := range []int{1, 2, 100} {
		if got := w.who(w.root, `"action":"s3:get"`, limit); !slices.Equal(got, all) {
			t.Errorf("in pages of %d: %v, not %v", limit, got, all)
		}
	}
	all[2] = userARN("carol") + " allow"
	if got := w.who(w.root, `"action":"s3:Get","context":{"aws:RequestedRegion":"eu-1"}`, 100); !slices.Equal(got, all) {
		t.Errorf("with the key: %v, not %v", got, all)
	}
	if got := w.who(app, `"action":"s3:Get"`, 100); !slices.Equal(got, []string{userARN("erin") + " allow"}) {
		t.Errorf("for one who may ask about two: %v", got)
	}
	m := w.json(w.native(app, "POST", "/v1/search/principals", `{"action":"s3:Get"}`))
	by := m["principals"].([]any)[0].(map[string]any)["statements"].([]any)[0].(map[string]any)
	if by["policy"] != "read" || by["source"] != "group" || by["holder"] != "readers" || by["applies"] != true {
		t.Errorf("by %v", by)
	}
	mallory := w.user("mallory", allow("writ:Authorize"))
	w.problem("without the permission", w.native(mallory, "POST", "/v1/search/principals", `{"action":"s3:Get"}`), 403, "AccessDenied")
	for name, body := range map[string]string{
		"a pattern": `{"action":"s3:*"}`, "a principal": `{"action":"s3:Get","principal":"` + userARN("alice") + `"}`, "no page": `{"action":"s3:Get","limit":0}`,
		"too large a page": `{"action":"s3:Get","limit":1001}`, "no cursor": `{"action":"s3:Get","cursor":"x"}`, "no action": `{}`,
	} {
		w.problem(name, w.native(w.root, "POST", "/v1/search/principals", body), 400, "InvalidRequest")
	}
}
