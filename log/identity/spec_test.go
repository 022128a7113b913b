package identity

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// spec is one rule: given a history, when a command comes, then these events
// follow or it is refused.
type spec struct {
	name    string
	given   []Event // each at a position of its own, after those of base
	by      Authority
	first   bool // decided by the first rules
	when    Command
	then    []Event
	refused string              // code and message
	check   func(state *spying) // of the state after the events
}

// spying is a state with the test that looks at it.
type spying struct {
	*State
	*testing.T
}

const (
	acct  AccountID = "123456789012"
	other AccountID = "210987654321"
	now   Time      = 1_700_000_000_000 // of the command
	past  Time      = 1_600_000_000_000 // of the history
)

// base is the history before every spec's own: two accounts with a root key each.
func base() []Event {
	return []Event{
		&ClusterBootstrapped{Cluster: "cluster", Incarnation: "0123456789abcdef0123456789abcdef", FeatureLevel: 1},
		&AccountCreated{ID: acct, Created: past},
		&AccessKeyCreated{Account: acct, Owner: ID(acct), ID: "AKIAROOT1", Sealed: []byte("sealed"), Created: past},
		&AccountCreated{ID: other, Created: past},
		&AccessKeyCreated{Account: other, Owner: ID(other), ID: "AKIAROOT2", Sealed: []byte("sealed"), Created: past},
	}
}

// afterBase is the position of the first event of a spec's history.
const afterBase Position = 6

// given folds a history, one event a position.
func given(events ...Event) *State {
	s := NewState()
	for _, e := range append(base(), events...) {
		apply(s, e)
	}
	return s
}

func apply(s *State, events ...Event) {
	Evolve(s, s.Position()+1, Meta{Time: past}, events)
}

func run(t *testing.T, specs []spec) {
	t.Helper()
	for _, c := range specs {
		t.Run(reflect.TypeOf(c.when).Elem().Name()+"/"+c.name, func(t *testing.T) { c.run(t) })
	}
}

func (c *spec) run(t *testing.T) {
	s := given(c.given...)
	before, sum := dump(s), s.Recount()
	m := Meta{Time: now, By: c.by, Rules: CurrentRules}
	if c.first {
		m.Rules = FirstRules
	}
	events, err := Decide(s, m, c.when)
	if diff := cmp.Diff(before, dump(s), compareContent); diff != "" || s.Recount() != sum {
		t.Fatalf("the decision changed the state: %s", diff)
	}
	if c.refused != "" {
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Error() != c.refused {
			t.Fatalf("refused with\n\t%v, not\n\t%s", err, c.refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.then, events); diff != "" {
		t.Fatalf("other events: %s", diff)
	}
	Evolve(s, s.Position()+1, m, events)
	verify(t, s)
	if c.check != nil {
		c.check(&spying{s, t})
	}
}

func allSpecs() []spec {
	return slices.Concat(clusterSpecs(), replicaSpecs(), writerSpecs(), accountSpecs(), rootSpecs(), quotaSpecs(), userSpecs(), groupSpecs(), roleSpecs(),
		policySpecs(), inlineSpecs(), attachSpecs(), boundarySpecs(), tagSpecs(), accessKeySpecs(),
		instanceProfileSpecs(), serviceLinkedSpecs(), protectedSpecs(),
		passwordPolicySpecs(),
		loginProfileSpecs(),
		mfaDeviceSpecs(),
		passkeySpecs(),
		sshKeySpecs(), signingCertificateSpecs(), serviceCredentialSpecs(), serverCertificateSpecs(),
		delegationSpecs(), delegationChangeSpecs(), credentialReportSpecs(), usageSpecs(), accessJobSpecs(),
		catalogueSpecs(),
		oidcProviderSpecs(), samlProviderSpecs(), settingsSpecs(), sessionSpecs(), issuerKeySpecs(), nodeRevocationSpecs(), sealKeySpecs(), incarnationSpecs(), retentionSpecs(),
	)
}

// Every command of the package must have a spec that accepts it and one that refuses it.
func TestEveryCommandHasSpecs(t *testing.T) {
	accepted, refused := map[string]bool{"Bootstrap": true, "BootstrapIn": true}, map[string]bool{} // see TestBootstrap and TestPartition
	for _, c := range allSpecs() {
		if name := reflect.TypeOf(c.when).Elem().Name(); c.refused == "" {
			accepted[name] = true
		} else {
			refused[name] = true
		}
	}
	commands := methods(t, "decide")
	if len(commands) == 0 {
		t.Fatal("no command found in the sources")
	}
	for _, name := range commands {
		if !accepted[name] || !refused[name] {
			t.Errorf("%s: a spec accepts it: %v, one refuses it: %v", name, accepted[name], refused[name])
		}
	}
}

// methods lists the types of the package that have the method.
func methods(t *testing.T, method string) (types []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != method || strings.HasSuffix(file, "_test.go") {
				continue
			}
			types = append(types, f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name)
		}
	}
	return types
}

// content is all of a state, its derived maps included.
type content struct {
	Digest    digest.Sum
	Records   []Record
	Names     []string
	Places    []string
	Numbers   map[scope]int
	Keys      map[table.Handle]table.Handle
	Members   []table.Edge
	Holders   []table.Edge
	Bounded   []table.Edge
	Carried   []table.Edge
	Devices   []table.Edge
	Served    []table.Edge
	Signers   map[table.Handle]table.Handle
	Degrees   map[table.Handle]int
	Order     map[Position]table.Handle
	Delegated []table.Edge
	Provide   []table.Edge
	Versions  map[table.Handle]int
	Enabled   map[table.Handle]int

	Registered map[table.Handle]int
}

func dump(s *State) (c content) {
	c.Digest = s.Digest()
	s.Records(func(r Record) bool {
		c.Records = append(c.Records, r)
		return true
	})
	c.Numbers, c.Keys, c.Degrees = map[scope]int{}, map[table.Handle]table.Handle{}, map[table.Handle]int{}
	s.names.entries.Scan(func(n name) bool {
		c.Names = append(c.Names, n.scope.kind().Noun()+" "+n.text)
		return true
	})
	s.paths.entries.Scan(func(e place) bool {
		c.Places = append(c.Places, e.scope.kind().Noun()+e.path+e.text)
		return true
	})
	s.names.number.Scan(func(in scope, n int) bool {
		c.Numbers[in] = n
		return true
	})
	s.keys.Scan(func(key, owner table.Handle) bool {
		c.Keys[key] = owner
		return true
	})
	for _, r := range []struct {
		relation *table.Relation
		edges    *[]table.Edge
	}{
		{&s.members, &c.Members},
		{&s.holders, &c.Holders},
		{&s.bounded, &c.Bounded},
		{&s.carriers, &c.Carried},
		{&s.served, &c.Served},
		{&s.devices, &c.Devices},
		{&s.delegated, &c.Delegated},
		{&s.providers, &c.Provide},
	} {
		*r.edges = append(*r.edges, r.relation.Edges.Items()...)
		r.relation.Degree.Scan(func(from table.Handle, n int) bool {
			c.Degrees[from] += n
			return true
		})
	}
	c.Signers = map[table.Handle]table.Handle{}
	s.signers.Scan(func(certificate, owner table.Handle) bool {
		c.Signers[certificate] = owner
		return true
	})
	c.Versions, c.Enabled, c.Registered = tallied(&s.versions), tallied(&s.enabled), tallied(&s.registered)
	c.Order = map[Position]table.Handle{}
	s.attempts.order.Scan(func(at Position, h table.Handle) bool {
		c.Order[at] = h
		return true
	})
	return c
}

func tallied(t *tally) map[table.Handle]int {
	numbers := map[table.Handle]int{}
	t.numbers.Scan(func(account table.Handle, n int) bool {
		numbers[account] = n
		return true
	})
	return numbers
}

var compareContent = cmp.AllowUnexported(table.Edge{})

// verify checks what is true of every state.
func verify(t failing, s *State) {
	t.Helper()
	if s.Digest() != s.Recount() {
		t.Fatalf("the digest is %s, of the records %s", s.Digest(), s.Recount())
	}
	got, want := dump(reload(t, s)), dump(s)
	if diff := cmp.Diff(want, got, compareContent); diff != "" {
		t.Fatalf("made again of its records the state differs: %s", diff)
	}
	verifyNames(t, s)
	verifyPaths(t, s)
	verifyRelations(t, s)
	verifyKeyrings(t, s)
	verifySignatures(t, s)
	verifySignatures(t, reload(t, s))
}

// verifySignatures checks that the first attempt under each signature is found by it.
func verifySignatures(t failing, s *State) {
	t.Helper()
	first, signed, ahead := make(map[SignatureID]Position), 0, 0
	s.attempts.order.Scan(func(at Position, h table.Handle) bool {
		a, _ := s.attempts.byKey.Rows.Get(h)
		if a.Signature == (Signature{}) {
			return true
		}
		signed++
		if a.ahead() {
			ahead++
		}
		if _, later := first[a.Signature.ID]; !later {
			first[a.Signature.ID] = at
		}
		return true
	})
	for id, at := range first {
		if a := s.attempts.bySignature(id); a == nil || a.At != at {
			t.Fatalf("by the signature of position %d one finds %v", at, a)
		}
	}
	if n := s.attempts.signed.Len(); n != signed {
		t.Fatalf("%d attempts with a signature are found, of %d", n, signed)
	}
	if s.attempts.ahead != ahead {
		t.Fatalf("%d attempts count as signed ahead, of %d", s.attempts.ahead, ahead)
	}
}

// reload makes a state again of its records.
func reload(t failing, s *State) *State {
	t.Helper()
	l := NewLoader()
	s.Records(func(r Record) bool {
		l.Add(r)
		return true
	})
	loaded, err := l.State(nil)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// verifyNames checks that every entity is found by its name, and no two by one.
func verifyNames(t failing, s *State) {
	t.Helper()
	s.users.Rows.Scan(func(_ table.Handle, u *User) bool {
		if found, ok := s.User(u.Account, strings.ToUpper(u.Name)); !ok || found != u {
			t.Fatalf("by the name of %s one finds %v", u.ARN(), found)
		}
		return true
	})
	s.groups.Rows.Scan(func(_ table.Handle, g *Group) bool {
		if found, ok := s.Group(g.Account, strings.ToUpper(g.Name)); !ok || found != g {
			t.Fatalf("by the name of %s one finds %v", g.ARN(), found)
		}
		return true
	})
	s.roles.Rows.Scan(func(_ table.Handle, r *Role) bool {
		if found, ok := s.Role(r.Account, strings.ToUpper(r.Name)); !ok || found != r {
			t.Fatalf("by the name of %s one finds %v", r.ARN(), found)
		}
		return true
	})
	s.policies.Rows.Scan(func(_ table.Handle, p *Policy) bool {
		if found, ok := s.Policy(p.ARN()); !ok || found != p {
			t.Fatalf("by the ARN %s one finds %v", p.ARN(), found)
		}
		return true
	})
	s.instanceProfiles.Rows.Scan(func(_ table.Handle, p *InstanceProfile) bool {
		if found, ok := s.InstanceProfile(p.Account, strings.ToUpper(p.Name)); !ok || found != p {
			t.Fatalf("by the name of %s one finds %v", p.ARN(), found)
		}
		return true
	})
	s.certificates.Rows.Scan(func(_ table.Handle, c *ServerCertificate) bool {
		if found, ok := s.ServerCertificate(c.Account, strings.ToUpper(c.Name)); !ok || found != c {
			t.Fatalf("by the name of %s one finds %v", c.ARN(), found)
		}
		return true
	})
	entities := s.users.Rows.Len() + s.groups.Rows.Len() + s.roles.Rows.Len() + s.policies.Rows.Len() + s.instanceProfiles.Rows.Len() + s.certificates.Rows.Len() +
		s.mfaDevices.Rows.Len()
	named := 0
	for _, account := range append(s.Accounts(), &Account{ID: AWSAccount}) {
		for kind := KindUser; kind.named(); kind++ {
			named += s.Count(account.ID, kind)
		}
	}
	if entities != named {
		t.Fatalf("%d entities, %d names", entities, named)
	}
}

// verifyPaths checks that every user with a path is found below it, once, and that no
// others are.
func verifyPaths(t failing, s *State) {
	t.Helper()
	for _, a := range s.Accounts() {
		below := map[string][]string{}
		s.Users(a.ID, "", func(u *User) bool {
			if u.Path != rootPath {
				below[u.Path] = append(below[u.Path], u.Path+u.Name)
			}
			return true
		})
		for path, want := range below {
			var got []string
			s.UsersBelow(a.ID, path, "", func(u *User) bool {
				if u.Path == path { // there may be deeper ones
					got = append(got, u.Path+u.Name)
				}
				return true
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("below %s: %s", path, diff)
			}
		}
	}
}

// verifyRelations checks that relations hold both ways and refer to what exists.
func verifyRelations(t failing, s *State) {
	t.Helper()
	for _, e := range s.members.Edges.Items() {
		g, ok := s.groups.Rows.Get(e.From)
		u, found := s.users.Rows.Get(e.To)
		if !ok || !found || !slices.Contains(u.Groups, g.ID) {
			t.Fatalf("%v is no member of %v", u, g)
		}
	}
	for _, e := range s.holders.Edges.Items() {
		p, ok := s.policies.Rows.Get(e.From)
		kind, _, found := s.entity(e.To)
		if h, _ := s.held(kind, e.To); !ok || !found || !slices.Contains(*h.attached, p.ID) {
			t.Fatalf("%v is not attached to %v", p, h)
		}
	}
	for _, e := range s.bounded.Edges.Items() {
		p, ok := s.policies.Rows.Get(e.From)
		kind, _, found := s.entity(e.To)
		if h, _ := s.held(kind, e.To); !ok || !found || *h.boundary != p.ID {
			t.Fatalf("%v does not bound %v", p, h)
		}
	}
	for _, e := range s.devices.Edges.Items() {
		if d, ok := s.mfaDevices.Rows.Get(e.To); !ok || table.HandleOf(d.Owner) != e.From {
			t.Fatalf("%v is not of the owner that it is found by", d)
		}
	}
	for _, e := range s.carriers.Edges.Items() {
		r, ok := s.roles.Rows.Get(e.From)
		p, found := s.instanceProfiles.Rows.Get(e.To)
		if !ok || !found || p.Role != r.ID {
			t.Fatalf("%v does not carry %v", p, r)
		}
	}
	s.keys.Scan(func(key, owner table.Handle) bool {
		if u, ok := s.users.Rows.Get(owner); ok && !slices.ContainsFunc(u.Keys, func(k AccessKey) bool { return table.HandleOf(k.ID) == key }) {
			t.Fatalf("%s has no key %d", u.ARN(), key)
		}
		return true
	})
}

// failing is what a test and a property have in common.
type failing interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
