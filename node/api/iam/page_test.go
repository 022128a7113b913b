package iam_test

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

const many = 1050

// pages reads a list to its end and returns how many items each page had.
func pages[O any](t *testing.T, w *world, request func(marker *string) any, read func(O) (items int, more bool, marker *string)) (sizes []int) {
	t.Helper()
	var marker *string
	for {
		items, more, next := read(must[O](w, request(marker)))
		sizes = append(sizes, items)
		if more != (next != nil) {
			t.Fatalf("IsTruncated is %v, Marker is %v", more, aws.ToString(next))
		}
		if !more {
			return sizes
		}
		marker = next
	}
}

func TestListsOfManyEntities(t *testing.T) {
	w := newWorld(t)
	decide := func(c identity.Command) {
		t.Helper()
		if _, err := w.decide(c); err != nil {
			t.Fatal(err)
		}
	}
	decide(&identity.CreateGroup{Account: account, ID: "AGPA0", Name: "all", Path: "/"})
	decide(&identity.CreatePolicy{Account: account, ID: "ANPA0", Name: "held", Path: "/", Document: "{}"})
	arn := identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", "held")
	for i := range many {
		name := fmt.Sprintf("n%04d", i)
		decide(&identity.CreateUser{Account: account, ID: identity.ID("AIDA" + name), Name: name, Path: "/", Boundary: arn})
		decide(&identity.AddUserToGroup{Account: account, Group: "all", User: name})
		decide(&identity.CreateRole{Account: account, ID: identity.ID("AROA" + name), Name: name, Path: "/", Trust: "{}"})
		decide(&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: name}, Policy: arn})
	}
	hundreds := append(slices.Repeat([]int{100}, 10), 50)

	t.Run("ListUsers", func(t *testing.T) {
		got := pages(t, w, func(m *string) any { return &sdk.ListUsersInput{Marker: m} },
			func(o *sdk.ListUsersOutput) (int, bool, *string) { return len(o.Users), o.IsTruncated, o.Marker })
		if !slices.Equal(got, hundreds) {
			t.Errorf("pages of %v", got)
		}
	})
	t.Run("ListUsers by 1000", func(t *testing.T) {
		got := pages(t, w, func(m *string) any { return &sdk.ListUsersInput{Marker: m, MaxItems: aws.Int32(1000)} },
			func(o *sdk.ListUsersOutput) (int, bool, *string) { return len(o.Users), o.IsTruncated, o.Marker })
		if !slices.Equal(got, []int{1000, 50}) {
			t.Errorf("pages of %v", got)
		}
	})
	t.Run("ListUsers by 525, the last page full", func(t *testing.T) {
		got := pages(t, w, func(m *string) any { return &sdk.ListUsersInput{Marker: m, MaxItems: aws.Int32(525)} },
			func(o *sdk.ListUsersOutput) (int, bool, *string) { return len(o.Users), o.IsTruncated, o.Marker })
		if !slices.Equal(got, []int{525, 525}) {
			t.Errorf("pages of %v", got)
		}
	})
	t.Run("GetGroup", func(t *testing.T) {
		got := pages(t, w, func(m *string) any { return &sdk.GetGroupInput{GroupName: aws.String("all"), Marker: m} },
			func(o *sdk.GetGroupOutput) (int, bool, *string) { return len(o.Users), o.IsTruncated, o.Marker })
		if !slices.Equal(got, hundreds) {
			t.Errorf("pages of %v", got)
		}
	})
	t.Run("ListEntitiesForPolicy", func(t *testing.T) {
		seen := map[string]bool{}
		got := pages(t, w, func(m *string) any {
			return &sdk.ListEntitiesForPolicyInput{PolicyArn: &arn, Marker: m, MaxItems: aws.Int32(1000)}
		},
			func(o *sdk.ListEntitiesForPolicyOutput) (int, bool, *string) {
				for _, u := range o.PolicyUsers {
					seen[*u.UserId] = true
				}
				for _, r := range o.PolicyRoles {
					seen[*r.RoleId] = true
				}
				return len(o.PolicyUsers) + len(o.PolicyRoles), o.IsTruncated, o.Marker
			})
		if !slices.Equal(got, []int{1000, 1000, 100}) || len(seen) != 2*many {
			t.Errorf("pages of %v, %d entities", got, len(seen))
		}
	})
	t.Run("GetAccountAuthorizationDetails", func(t *testing.T) {
		users, roles, rest := 0, 0, 0
		pages(t, w, func(m *string) any {
			return &sdk.GetAccountAuthorizationDetailsInput{Marker: m, MaxItems: aws.Int32(999)}
		},
			func(o *sdk.GetAccountAuthorizationDetailsOutput) (int, bool, *string) {
				users, roles, rest = users+len(o.UserDetailList), roles+len(o.RoleDetailList), rest+len(o.GroupDetailList)+len(o.Policies)
				return 0, o.IsTruncated, o.Marker
			})
		if users != many || roles != many || rest != 4 { // a group, a policy, two of AWS
			t.Errorf("%d users, %d roles, %d others", users, roles, rest)
		}
	})
	t.Run("entities come and go between two pages", func(t *testing.T) {
		first := must[*sdk.ListRolesOutput](w, &sdk.ListRolesInput{})
		last := *first.Roles[99].RoleName
		decide(&identity.DetachPolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: last}, Policy: arn})
		decide(&identity.DeleteRole{Account: account, Name: last})
		decide(&identity.CreateRole{Account: account, ID: "AROAearly", Name: "n0001x", Path: "/", Trust: "{}"})
		second := must[*sdk.ListRolesOutput](w, &sdk.ListRolesInput{Marker: first.Marker})
		if got := *second.Roles[0].RoleName; got != "n0100" {
			t.Errorf("the second page begins with %s after %s", got, last)
		}
	})
}

func mustDecide(t *testing.T, w *world, c identity.Command) {
	t.Helper()
	if _, err := w.decide(c); err != nil {
		t.Fatal(err)
	}
}

// A filter that passes over many records ends a page before it is full.
func TestPageCostsABoundedSearch(t *testing.T) {
	w := newWorld(t)
	const policies = 10_500
	mustDecide(t, w, &identity.CreateUser{Account: account, ID: "AIDAholder", Name: "holder", Path: "/"})
	for i := range policies {
		name := fmt.Sprintf("p%05d", i)
		mustDecide(t, w, &identity.CreatePolicy{Account: account, ID: identity.ID("ANPA" + name), Name: name, Path: "/", Document: "{}"})
	}
	mustDecide(t, w, &identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "holder"},
		Policy: fmt.Sprintf("arn:aws:iam::%s:policy/p%05d", account, policies-1)})
	got := pages(t, w, func(m *string) any {
		return &sdk.ListPoliciesInput{Marker: m, Scope: types.PolicyScopeTypeLocal, OnlyAttached: true}
	}, func(o *sdk.ListPoliciesOutput) (int, bool, *string) { return len(o.Policies), o.IsTruncated, o.Marker })
	if !slices.Equal(got, []int{0, 1}) {
		t.Errorf("pages of %v", got)
	}
}

// A prefix is found by an index: what lies elsewhere costs nothing.
func TestPrefixIsFoundAtOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 10_500 {
		name, path := fmt.Sprintf("n%05d", i), "/"
		if i > 10_250 {
			path = fmt.Sprintf("/needle/%d/", i%2)
		}
		mustDecide(t, w, &identity.CreateUser{Account: account, ID: identity.ID("AIDA" + name), Name: name, Path: path})
		mustDecide(t, w, &identity.CreatePolicy{Account: account, ID: identity.ID("ANPA" + name), Name: name, Path: path, Document: "{}"})
	}
	needle, want := aws.String("/needle"), []int{100, 100, 49}
	if got := pages(t, w, func(m *string) any { return &sdk.ListUsersInput{Marker: m, PathPrefix: needle} },
		func(o *sdk.ListUsersOutput) (int, bool, *string) { return len(o.Users), o.IsTruncated, o.Marker }); !slices.Equal(got, want) {
		t.Errorf("pages of %v users", got)
	}
	if got := pages(t, w, func(m *string) any { return &sdk.ListPoliciesInput{Marker: m, PathPrefix: needle} },
		func(o *sdk.ListPoliciesOutput) (int, bool, *string) { return len(o.Policies), o.IsTruncated, o.Marker }); !slices.Equal(got, want) {
		t.Errorf("pages of %v policies", got)
	}
	first := must[*sdk.ListUsersOutput](w, &sdk.ListUsersInput{PathPrefix: needle})
	if !slices.IsSortedFunc(first.Users, func(a, b types.User) int { return strings.Compare(*a.UserName, *b.UserName) }) {
		t.Error("users of two paths are not in order of name")
	}
	if _, err := w.do(&sdk.ListUsersInput{Marker: first.Marker}); err == nil {
		t.Error("a marker of one prefix is good for another")
	}
}

// Pages below the longest path can be turned.
func TestMarkersBelowALongPath(t *testing.T) {
	w := newWorld(t)
	path := aws.String("/" + strings.Repeat("p", 510) + "/")
	for i := range 3 {
		must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String(fmt.Sprint(strings.Repeat("n", 60), i)), Path: path})
	}
	if got := pages(t, w, func(m *string) any { return &sdk.ListUsersInput{Marker: m, PathPrefix: path, MaxItems: aws.Int32(1)} },
		func(o *sdk.ListUsersOutput) (int, bool, *string) {
			if len(aws.ToString(o.Marker)) > 320 {
				t.Errorf("a marker of %d characters", len(*o.Marker))
			}
			return len(o.Users), o.IsTruncated, o.Marker
		}); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("pages of %v", got)
	}
}

func TestMarkersOfOthersAreRefused(t *testing.T) {
	w := newWorld(t)
	good := base64.RawURLEncoding.EncodeToString([]byte("ListUsers\x00a"))
	must[*sdk.ListUsersOutput](w, &sdk.ListUsersInput{Marker: &good})
	for _, marker := range []string{"", "x", "%%%", good + "=", good + "\n", strings.Repeat("A", 320),
		base64.RawURLEncoding.EncodeToString([]byte("ListUsers\x00")), base64.RawURLEncoding.EncodeToString([]byte("ListRoles\x00a"))} {
		_, err := w.do(&sdk.ListUsersInput{Marker: &marker})
		if e := (*iam.Error)(nil); !errors.As(err, &e) || e.Code != "ValidationError" || e.Message != "Invalid Marker." {
			t.Errorf("marker %q: %v", marker, err)
		}
	}
}

// Every list gives a marker that it takes back, within the model's 320 characters.
func TestMarkersAreShort(t *testing.T) {
	w := newWorld(t)
	name := strings.Repeat("n", 128)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("u")})
	var tags []types.Tag
	for i := range 50 {
		tags = append(tags, types.Tag{Key: aws.String(strings.Repeat("\U00010400", 126) + fmt.Sprint(10+i)), Value: aws.String("")})
	}
	must[*sdk.TagUserOutput](w, &sdk.TagUserInput{UserName: aws.String("u"), Tags: tags})
	seen := map[string]bool{}
	got := pages(t, w, func(m *string) any {
		return &sdk.ListUserTagsInput{UserName: aws.String("u"), MaxItems: aws.Int32(7), Marker: m}
	}, func(o *sdk.ListUserTagsOutput) (int, bool, *string) {
		for _, tag := range o.Tags {
			seen[*tag.Key] = true
		}
		if len(aws.ToString(o.Marker)) > 320 {
			t.Errorf("a marker of %d characters", len(*o.Marker))
		}
		return len(o.Tags), o.IsTruncated, o.Marker
	})
	if len(seen) != 50 || len(got) != 8 {
		t.Errorf("%d tags in pages of %v", len(seen), got)
	}
	for range 2 {
		document := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
		must[*sdk.PutUserPolicyOutput](w, &sdk.PutUserPolicyInput{UserName: aws.String("u"), PolicyName: aws.String(name), PolicyDocument: document})
		must[*sdk.CreatePolicyOutput](w, &sdk.CreatePolicyInput{PolicyName: aws.String(name), PolicyDocument: document})
		must[*sdk.CreateGroupOutput](w, &sdk.CreateGroupInput{GroupName: aws.String(name)})
		arn := aws.String(identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", name))
		must[*sdk.AttachUserPolicyOutput](w, &sdk.AttachUserPolicyInput{UserName: aws.String("u"), PolicyArn: arn})
		name += "o"
	}
	one := aws.Int32(1)
	for _, marker := range []*string{
		must[*sdk.ListUserPoliciesOutput](w, &sdk.ListUserPoliciesInput{UserName: aws.String("u"), MaxItems: one}).Marker,
		must[*sdk.ListAttachedUserPoliciesOutput](w, &sdk.ListAttachedUserPoliciesInput{UserName: aws.String("u"), MaxItems: one}).Marker,
		must[*sdk.ListPoliciesOutput](w, &sdk.ListPoliciesInput{MaxItems: one}).Marker,
		must[*sdk.ListGroupsOutput](w, &sdk.ListGroupsInput{MaxItems: one}).Marker,
		must[*sdk.GetAccountAuthorizationDetailsOutput](w, &sdk.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeGroup}, MaxItems: one}).Marker,
	} {
		if marker == nil || len(*marker) > 320 {
			t.Errorf("marker %q", aws.ToString(marker))
		}
	}
}

// longest is about how long a page is, in bytes, before it ends.
const longest = 1 << 20

// A page ends when it is long, whatever its items have of documents, lists and tags; each
// item is there once, also one that is longer than a page.
func TestLongPages(t *testing.T) {
	w := newWorld(t)
	decide := func(c identity.Command) {
		t.Helper()
		if _, err := w.decide(c); err != nil {
			t.Fatal(err)
		}
	}
	const count = 12
	blanks := strings.Repeat(" ", 100_000) // percent-encoded, 300,000 bytes each
	tags := make([]identity.Tag, 50)
	for i := range tags {
		tags[i] = identity.Tag{Key: fmt.Sprintf("k%02d%s", i, strings.Repeat("&", 120)), Value: strings.Repeat("<", 256)}
	}
	for i := range count {
		name := fmt.Sprintf("n%02d", i)
		decide(&identity.CreateUser{Account: account, ID: identity.ID("AIDA" + name), Name: name, Path: "/", Tags: tags})
		decide(&identity.CreateGroup{Account: account, ID: identity.ID("AGPA" + name), Name: name, Path: "/"})
		decide(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindGroup, Account: account, Name: name}, Name: "p", Document: blanks})
		decide(&identity.CreateRole{Account: account, ID: identity.ID("AROA" + name), Name: name, Path: "/", Trust: blanks})
		decide(&identity.CreatePolicy{Account: account, ID: identity.ID("ANPA" + name), Name: name, Path: "/", Document: blanks})
		for range 4 {
			decide(&identity.CreatePolicyVersion{ARN: identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", name), Document: blanks})
		}
	}
	size := func(out any) (n int) {
		var b strings.Builder
		if err := xml.NewEncoder(&b).Encode(out); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	check := func(sizes, want []int) {
		t.Helper()
		if !slices.Equal(sizes, want) {
			t.Errorf("pages of %v items, not of %v", sizes, want)
		}
	}
	details := func(kind types.EntityType, want []int, most int) {
		t.Helper()
		check(pages(t, w, func(m *string) any {
			return &sdk.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{kind}, Marker: m, MaxItems: aws.Int32(1000)}
		}, func(o *sdk.GetAccountAuthorizationDetailsOutput) (int, bool, *string) {
			if n := size(o.UserDetailList) + size(o.GroupDetailList) + size(o.RoleDetailList) + size(o.Policies); n > most {
				t.Errorf("a page of the details is %d bytes long", n)
			}
			return len(o.UserDetailList) + len(o.GroupDetailList) + len(o.RoleDetailList) + len(o.Policies), o.IsTruncated, o.Marker
		}), want)
	}
	fours := slices.Repeat([]int{4}, count/4)
	details(types.EntityTypeUser, []int{11, 1}, 2*longest)
	details(types.EntityTypeGroup, fours, 2*longest)
	details(types.EntityTypeRole, fours, 2*longest)
	details(types.EntityTypeLocalManagedPolicy, slices.Repeat([]int{1}, count), 2*longest)
	check(pages(t, w, func(m *string) any { return &sdk.ListRolesInput{Marker: m, MaxItems: aws.Int32(1000)} },
		func(o *sdk.ListRolesOutput) (int, bool, *string) {
			if n := size(o.Roles); n > 2*longest {
				t.Errorf("a page of roles is %d bytes long", n)
			}
			return len(o.Roles), o.IsTruncated, o.Marker
		}), fours)
}
