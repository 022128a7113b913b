package node

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

const (
	fence = "arn:aws:iam::" + setup.DefaultAccount + ":policy/fence"
	// outsider may do everything but to what administrators have set apart: by path,
	// by tag, or by a permissions boundary.
	outsider = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:*","Resource":["arn:aws:iam::*:user/admin/*","arn:aws:iam::*:group/admin/*","arn:aws:iam::*:role/admin/*"]},
		{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/guard":"yes"}}},
		{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"` + fence + `"}}}]}`
	trusts = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`
)

// ambush is a write that an outsider sends again and again while an administrator
// sets apart what it is about.
type ambush struct {
	name   string
	before func(name string) []string   // what there is at first, if anything
	attack func(name string) []string   // an action and its parameters
	apart  func(name string) [][]string // the administrator's writes
}

var guarded = []string{"Tags.member.1.Key", "guard", "Tags.member.1.Value", "yes"}

func made(kind, name string, more ...string) []string {
	base := []string{"Create" + kind, kind + "Name", name}
	if kind == "Role" {
		base = append(base, "AssumeRolePolicyDocument", trusts)
	}
	return append(base, more...)
}

func one(writes ...string) [][]string { return [][]string{writes} }

func putPolicy(n string) []string {
	return []string{"PutUserPolicy", "UserName", n, "PolicyName", "own", "PolicyDocument", grants}
}

var ambushes = []ambush{
	{name: "a policy for a new administrator", attack: putPolicy,
		apart: func(n string) [][]string { return one(made("User", n, "Path", "/admin/")...) }},
	{name: "a key of a new administrator, spelled otherwise",
		attack: func(n string) []string { return []string{"CreateAccessKey", "UserName", strings.ToUpper(n)} },
		apart:  func(n string) [][]string { return one(made("User", n, "Path", "/admin/")...) }},
	{name: "a member of a new group of administrators",
		attack: func(n string) []string { return []string{"AddUserToGroup", "GroupName", n, "UserName", "outsider"} },
		apart:  func(n string) [][]string { return one(made("Group", n, "Path", "/admin/")...) }},
	{name: "the trust in a new administrators' role",
		attack: func(n string) []string {
			return []string{"UpdateAssumeRolePolicy", "RoleName", n, "PolicyDocument", trusts}
		},
		apart: func(n string) [][]string { return one(made("Role", n, "Path", "/admin/")...) }},
	{name: "the end of a new administrators' role",
		attack: func(n string) []string { return []string{"DeleteRole", "RoleName", n} },
		apart:  func(n string) [][]string { return one(made("Role", n, "Path", "/admin/")...) }},
	{name: "a policy for a user made with a tag", attack: putPolicy,
		apart: func(n string) [][]string { return one(made("User", n, guarded...)...) }},
	{name: "the tag of a user made with it",
		attack: func(n string) []string { return []string{"UntagUser", "UserName", n, "TagKeys.member.1", "guard"} },
		apart:  func(n string) [][]string { return one(made("User", n, guarded...)...) }},
	{name: "a policy for a user who is tagged", attack: putPolicy,
		before: func(n string) []string { return made("User", n) },
		apart:  func(n string) [][]string { return one(append([]string{"TagUser", "UserName", n}, guarded...)...) }},
	{name: "a policy attached to a user who is moved",
		before: func(n string) []string { return made("User", n) },
		attack: func(n string) []string {
			return []string{"AttachUserPolicy", "UserName", n, "PolicyArn", managedPolicy}
		},
		apart: func(n string) [][]string { return one("UpdateUser", "UserName", n, "NewPath", "/admin/") }},
	{name: "a move of a user who is moved",
		before: func(n string) []string { return made("User", n) },
		attack: func(n string) []string { return []string{"UpdateUser", "UserName", n, "NewPath", "/mine/"} },
		apart:  func(n string) [][]string { return one("UpdateUser", "UserName", n, "NewPath", "/admin/") }},
	{name: "a policy for a user who is bounded", attack: putPolicy,
		before: func(n string) []string { return made("User", n) },
		apart: func(n string) [][]string {
			return one("PutUserPermissionsBoundary", "UserName", n, "PermissionsBoundary", fence)
		}},
	{name: "a tag of a user who is made again",
		before: func(n string) []string { return made("User", n) },
		attack: func(n string) []string {
			return []string{"TagUser", "UserName", n, "Tags.member.1.Key", "mine", "Tags.member.1.Value", "yes"}
		},
		apart: func(n string) [][]string {
			return [][]string{{"DeleteUser", "UserName", n}, made("User", n, "Path", "/admin/")}
		}},
	{name: "a version of a policy made with a tag",
		attack: func(n string) []string {
			return []string{"CreatePolicyVersion", "PolicyArn", "arn:aws:iam::" + setup.DefaultAccount + ":policy/" + n, "PolicyDocument", grants, "SetAsDefault", "true"}
		},
		apart: func(n string) [][]string {
			return one(made("Policy", n, append(guarded, "PolicyDocument", grants)...)...)
		}},
}

// outsider makes a user with that policy, and returns its caller.
func (m *team) outsider(root *caller) *caller {
	m.t.Helper()
	root.must("writer-1", "CreatePolicy", "PolicyName", "writer", "PolicyDocument", grants)
	root.must("writer-1", "CreatePolicy", "PolicyName", "fence", "PolicyDocument", grants)
	root.must("writer-1", "CreatePolicy", "PolicyName", "outsider", "PolicyDocument", outsider)
	root.must("writer-1", "CreateUser", "UserName", "outsider")
	root.must("writer-1", "AttachUserPolicy", "UserName", "outsider", "PolicyArn", "arn:aws:iam::"+setup.DefaultAccount+":policy/outsider")
	key := []byte(root.must("writer-1", "CreateAccessKey", "UserName", "outsider").body)
	return m.as(element(key, "AccessKeyId"), element(key, "SecretAccessKey"))
}

// attackers is how many send the same write at once, each by way of another node.
const attackers = 3

// spring runs an ambush once: every attacker has been answered twice when the
// administrator begins, and goes on until it was answered once more afterwards.
func (m *team) spring(root, outsider *caller, a ambush, name string) (errs []error) {
	must := func(by *caller, write []string) {
		if got, err := by.call("writer-1", write[0], write[1:]...); err != nil || got.status != http.StatusOK {
			errs = append(errs, fmt.Errorf("%v: %d %s: %w", write, got.status, got.body, err))
		}
	}
	if a.before != nil {
		must(root, a.before(name))
	}
	var wg sync.WaitGroup
	var answered atomic.Int64
	begin, done := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(begin) })
	failed := make([]error, attackers)
	nodes, write := m.names(), a.attack(name)
	for i := range attackers {
		wg.Go(func() {
			defer begun() // also where it fails
			for late := false; !late; {
				select {
				case <-done:
					late = true
				default:
				}
				got, err := outsider.call(nodes[i%len(nodes)], write[0], write[1:]...)
				if err != nil || got.status >= http.StatusInternalServerError {
					failed[i] = fmt.Errorf("%v by way of %s: %d %s, %w", write, nodes[i%len(nodes)], got.status, got.body, err)
					return
				}
				if answered.Add(1) == 2*attackers {
					begun()
				}
			}
		})
	}
	<-begin
	for _, w := range a.apart(name) {
		must(root, w)
	}
	close(done)
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// about are the users, groups, roles and policies that an event changes and that
// were there before.
func about(e identity.Event) identity.ID {
	switch e := e.(type) {
	case *identity.InlinePolicyPut:
		return e.ID
	case *identity.PolicyAttached:
		return e.ID
	case *identity.AccessKeyCreated:
		return e.Owner
	case *identity.UserAddedToGroup:
		return e.Group
	case *identity.TrustUpdated:
		return e.ID
	case *identity.RoleDeleted:
		return e.ID
	case *identity.EntityTagged:
		return e.ID
	case *identity.EntityUntagged:
		return e.ID
	case *identity.UserUpdated:
		return e.ID
	case *identity.PolicyVersionCreated:
		return e.ID
	}
	return ""
}

// apart says whether what has that identifier is set apart from outsiders.
func apart(s *identity.State, id identity.ID) bool {
	w := identity.NewWitness(s)
	t, ok := w.Find(identity.Lookup{By: identity.ByID, Text: string(id)})
	if !ok {
		return false
	}
	for _, tag := range t.Tags {
		if tag.Key == "guard" && tag.Value == "yes" {
			return true
		}
	}
	return strings.HasPrefix(t.Path, "/admin/") || t.Boundary == fence
}

// judgeOutsider folds the history and looks at each of the outsider's writes in the
// state in which it was decided.
func (m *team) judgeOutsider(outsider *caller) (writes, forbidden int) {
	m.t.Helper()
	s := identity.NewState()
	for _, b := range m.history(m.leader("writer-1"), 1) {
		if b.Cause.By.Credential == outsider.id {
			writes++
			for _, e := range b.Events {
				if id := about(e); apart(s, id) {
					forbidden++
					m.t.Logf("at position %d the outsider's %s took effect on %s, which was set apart", b.Position, b.Cause.Action, id)
				}
			}
		}
		identity.Evolve(s, b.Position, b.Cause.Meta, b.Events)
	}
	return writes, forbidden
}

// Rule 7 of ARCHITECTURE.md: no write takes effect that was forbidden in the state
// in which it was decided, whatever is made, moved, tagged, bounded or made again
// between its authorization and its decision.
func TestADenyIsNotOutrun(t *testing.T) {
	const tries = 16
	for _, a := range ambushes {
		t.Run(a.name, func(t *testing.T) {
			m := newTeam(t, 1, 0)
			m.startAll()
			root := m.as("", "")
			m.outrun(root, m.outsider(root), []ambush{a}, tries)
		})
	}
}

// The same by way of followers and replicas.
func TestADenyIsNotOutrunByWayOfOtherNodes(t *testing.T) {
	m := newTeam(t, 3, 2)
	m.startAll()
	root := m.as("", "")
	m.outrun(root, m.outsider(root), ambushes, 3)
}

// outrun springs each ambush some times, and judges.
func (m *team) outrun(root, outsider *caller, list []ambush, tries int) {
	m.t.Helper()
	for i, a := range list {
		for try := range tries {
			for _, err := range m.spring(root, outsider, a, fmt.Sprintf("n%d-%d", i, try)) {
				m.t.Fatalf("%s: %v", a.name, err)
			}
		}
	}
	writes, forbidden := m.judgeOutsider(outsider)
	if forbidden > 0 {
		m.t.Errorf("%d of the outsider's %d writes took effect on what was set apart", forbidden, writes)
	}
	m.t.Logf("%d ambushes, %d writes of the outsider, %d of them forbidden", len(list)*tries, writes, forbidden)
}

// Whoever may change what others are authorized against, such as the own tags, does
// not keep them from writing, and many who change the same all come to their turn.
func TestTargetsThatKeepChanging(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	root := m.as("", "")
	outsider := m.outsider(root)
	const spammers, rounds = 8, 16
	var wg sync.WaitGroup
	var spam, root503, spam503 atomic.Int64
	send := func(by *caller, refused *atomic.Int64, action string, pairs ...string) {
		got, err := by.one(action, pairs...)
		switch {
		case err == nil && got.status == http.StatusServiceUnavailable:
			refused.Add(1)
		case err != nil || got.status != http.StatusOK:
			t.Errorf("%s: %d %s, %v", action, got.status, got.body, err)
		}
	}
	begin, done := make(chan struct{}), make(chan struct{})
	for who := range spammers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				send(outsider, &spam503, "TagUser", "UserName", []string{"outsider", "OUTSIDER"}[who%2],
					"Tags.member.1.Key", "mine", "Tags.member.1.Value", fmt.Sprintf("%d-%d", who, n))
				if spam.Add(1) == 2*spammers {
					close(begin)
				}
			}
		})
	}
	<-begin
	for n := range rounds {
		send(root, &root503, "PutUserPolicy", "UserName", "outsider", "PolicyName", "own", "PolicyDocument", grants)
		send(root, &root503, "UpdateAccessKey", "UserName", "outsider", "AccessKeyId", outsider.id, "Status", "Active")
		send(root, &root503, "UpdateUser", "UserName", "outsider", "NewPath", fmt.Sprintf("/p%d/", n))
	}
	close(done)
	wg.Wait()
	t.Logf("of the root's %d writes %d were refused, of %d that changed their target meanwhile %d", 3*rounds, root503.Load(), spam.Load(), spam503.Load())
	if root503.Load() > rounds || spam503.Load() > spam.Load()/4 { // some are where the machine is busy
		t.Error("writes do not come to their turn")
	}
}

// one sends one request once.
func (c *caller) one(action string, pairs ...string) (answer, error) {
	body, header := request(action, pairs...)
	return c.once("writer-1", body, header)
}

// The largest change that the API's own limits allow, with the most that it can be
// authorized against, fits into the log; what would not is refused as the caller's.
func TestTheLargestCommands(t *testing.T) {
	m := newTeam(t, 1, 0)
	m.startAll()
	root := m.as("", "")
	var principals []string
	for i := 0; ; i++ {
		name := fmt.Sprint(i)
		next := append(principals, `"arn:aws:iam::`+setup.DefaultAccount+`:user/`+name+`"`)
		if len(largeTrust(next))-len(largeTrust(nil)) > syntax.MaxTrust-100 {
			break
		}
		principals = next
		root.must("writer-1", "CreateUser", "UserName", name)
	}
	const longest = 131072 // of a document, in characters; white space does not count for the quotas
	pad := func(text string) string { return text + strings.Repeat(" ", longest-len(text)) }
	role := []string{"CreateRole", "RoleName", "large", "AssumeRolePolicyDocument", pad(largeTrust(principals)), "Description", strings.Repeat("ü", 1000)}
	for i := range identity.MaxTags {
		role = append(role, fmt.Sprintf("Tags.member.%d.Key", i+1), strings.Repeat("字", 126)+fmt.Sprintf("%02d", i), fmt.Sprintf("Tags.member.%d.Value", i+1), strings.Repeat("字", 256))
	}
	for _, write := range [][]string{
		role,
		{"UpdateAssumeRolePolicy", "RoleName", "large", "PolicyDocument", pad(largeTrust(principals))},
		{"PutUserPolicy", "UserName", "0", "PolicyName", "p", "PolicyDocument", pad(grants)},
	} {
		if got, err := root.one(write[0], write[1:]...); err != nil || got.status != http.StatusOK {
			t.Errorf("%s: %d %s, %v", write[0], got.status, got.body, err)
		}
	}
	t.Logf("the role was authorized against %d users", len(principals))
}

func largeTrust(principals []string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":[` + strings.Join(principals, ",") + `]}}}`
}
