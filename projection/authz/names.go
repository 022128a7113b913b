package authz

import (
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// grant is how strongly a statement of a resource's policy names a principal.
type grant uint8

const (
	grantNone grant = iota
	// grantAccount names the account, which passes the grant on by its own
	// policies.
	grantAccount
	// grantIssuer names the role of a session, or the user of a federated
	// user.
	grantIssuer
	// grantDirect names the principal itself, or everybody.
	grantDirect
)

// names is a compiled Principal or NotPrincipal element. A nil *names stands
// for policies without the element and names everybody.
type names struct {
	not       bool // NotPrincipal
	everybody bool // "*" or {"AWS": "*"}
	entries   []name
}

// name is one entry of an element.
type name struct {
	kind  nameKind
	value string
	// partition is "arn:aws:" and so on where an account was written as an
	// ARN, empty where it was written as a number.
	partition string
}

type nameKind uint8

const (
	nameAccount nameKind = iota + 1
	nameARN
	nameID
	nameService
	nameFederated
)

// size is how many entries there are to look at.
func (n *names) size() int {
	if n == nil {
		return 0
	}
	return 1 + len(n.entries)
}

func compileNames(s *policy.Statement) *names {
	n := &names{not: s.NotPrincipal}
	for i := range s.Principals {
		p := &s.Principals[i]
		if p.Value == "" {
			continue
		}
		switch p.Type {
		case syntax.PrincipalAll:
			n.everybody = true
		case syntax.PrincipalAWS:
			n.addAWS(p.Value)
		case syntax.PrincipalService:
			n.entries = append(n.entries, name{kind: nameService, value: p.Value})
		case syntax.PrincipalFederated:
			n.entries = append(n.entries, name{kind: nameFederated, value: p.Value})
		}
	}
	return n
}

func (n *names) addAWS(value string) {
	partition, account, ok := rootARN(value)
	switch {
	case value == "*":
		n.everybody = true
	case ok:
		n.entries = append(n.entries, name{kind: nameAccount, value: account, partition: partition})
	case strings.HasPrefix(value, "arn:"):
		// An asterisk in it is no wildcard and so matches nothing.
		n.entries = append(n.entries, name{kind: nameARN, value: value})
	case accountNumber(value):
		n.entries = append(n.entries, name{kind: nameAccount, value: value})
	default:
		n.entries = append(n.entries, name{kind: nameID, value: value})
	}
}

// rootARN takes the ARN of an account apart: "arn:aws:" and the number.
func rootARN(arn string) (partition, account string, ok bool) {
	head, ok := strings.CutSuffix(arn, ":root")
	i := strings.Index(head, ":iam::")
	if !ok || i < 0 || !strings.HasPrefix(head, "arn:") || !accountNumber(head[i+len(":iam::"):]) {
		return "", "", false
	}
	return head[:i+1], head[i+len(":iam::"):], true
}

// accountLength is the number of digits of an account.
const accountLength = 12

func accountNumber(s string) bool {
	if len(s) != accountLength {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// account tells whether an entry is the account of a principal, which is of any partition
// where its ARN is unknown.
func (n *name) account(p *Principal) bool {
	if n.kind != nameAccount || n.value != p.Account || p.Type.Foreign() {
		return false
	}
	return n.partition == "" || p.ARN == "" || strings.HasPrefix(p.ARN, n.partition)
}

// issuer tells whether an entry is what issued the session of a principal.
func (n *name) issuer(p *Principal) bool {
	switch p.Type {
	case RoleSession:
		return n.kind == nameARN && n.value == p.Issuer || n.kind == nameID && n.value == p.ID
	case FederatedUser:
		return n.kind == nameARN && n.value == p.Issuer
	}
	return false
}

// self tells whether an entry is the principal itself.
func (n *name) self(p *Principal) bool {
	switch p.Type {
	case Service:
		return n.kind == nameService && n.value == p.Service
	case FederatedIdentity:
		return n.kind == nameFederated && n.value == p.ARN
	case User, Role:
		return n.kind == nameARN && n.value == p.ARN || n.kind == nameID && n.value == p.ID
	case Root:
		return n.account(p)
	case Anonymous:
		return false
	}
	return n.kind == nameARN && n.value == p.ARN
}

// names tells how an entry names a principal (IAM User Guide: "AWS JSON policy
// elements: Principal").
func (n *name) names(p *Principal) grant {
	switch {
	case n.self(p):
		if p.Type == Role {
			return grantIssuer
		}
		return grantDirect
	case n.issuer(p):
		return grantIssuer
	case n.account(p):
		return grantAccount
	}
	return grantNone
}

// match tells how an element names a principal. deny is the effect of the
// statement, bounded whether the principal has a permissions boundary; both
// matter to NotPrincipal.
func (n *names) match(p *Principal, deny, bounded bool) grant {
	if n == nil {
		return grantDirect
	}
	if n.not && deny {
		if bounded || !n.spares(p) {
			return grantDirect
		}
		return grantNone
	}
	best := grantNone
	if n.everybody {
		best = grantDirect
	}
	for i := range n.entries {
		best = max(best, n.entries[i].names(p))
	}
	if !n.not {
		return best
	}
	if best == grantNone {
		return grantDirect
	}
	return grantNone
}

// spares tells whether a NotPrincipal of a Deny lists the principal under all
// its names. AWS may check the account first, then the role, then the session,
// and denies what is not listed (IAM User Guide: "AWS JSON policy elements:
// NotPrincipal").
func (n *names) spares(p *Principal) bool {
	if n.everybody {
		return true
	}
	self := false
	account := p.Type.Foreign() || p.Account == ""
	// Root as the issuer of a federated user is the account.
	issuer := p.Issuer == "" || strings.HasSuffix(p.Issuer, ":root") || p.Type != RoleSession && p.Type != FederatedUser
	for i := range n.entries {
		e := &n.entries[i]
		self = self || e.self(p)
		issuer = issuer || e.issuer(p)
		account = account || e.account(p)
	}
	return self && issuer && account
}
