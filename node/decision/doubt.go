package decision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// What could make a caller misread an answer is said with it, as warnings; a
// question about somebody who is not there has no answer.

// Doubt adds the warnings about a question to its answer. named tells that they may
// name what policies have: the caller was admitted to a read.
func (a *Answer) Doubt(known *catalogue.Names, q *Question, named bool) {
	if ok, like := known.Known(q.Action); !ok {
		a.warn("No catalogue knows the action %s: if nothing asks for a permission of that name, the answer means nothing.%s", q.Action, mean(like))
	}
	if a.elsewhere {
		a.warn(`%s is allowed for some resources, though not for "*": name the resource that is meant.`, q.Action)
	}
	if len(a.hangsOn) > 0 {
		keys := ", which only a node tells that can prove to be current"
		if named {
			keys = ": " + someOf(a.hangsOn)
		}
		a.warn("The answer may differ with condition keys that the question lacks%s. Give them in its context.", keys)
	}
	if q.Resource != "*" && strings.ContainsAny(q.Resource, "*?") {
		a.warn("The resource %s is taken as it stands: a wildcard in a question is a character like others.", q.Resource)
	}
}

func (a *Answer) warn(format string, args ...any) {
	a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
}

// maxNamed is how many condition keys one warning names.
const maxNamed = 10

func someOf(keys []string) string {
	text := strings.Join(keys[:min(len(keys), maxNamed)], ", ")
	if more := len(keys) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func mean(like string) string {
	if like == "" {
		return ""
	}
	return " Did you mean " + like + "?"
}

// allowsElsewhere tells whether a statement would allow a request that is denied if
// it named another resource.
func allowsElsewhere(x *authz.Explanation) bool {
	for i := range x.Statements {
		s := &x.Statements[i]
		if x.Outcome == authz.ImplicitDeny && s.Effect == syntax.Allow && s.Principal && !s.Resource && (s.Layer == authz.LayerIdentity || s.Layer == authz.LayerResource) {
			return true
		}
	}
	return false
}

func gone(arn string, at event.Position) string {
	return fmt.Sprintf("The principal %s does not exist at position %d.", arn, at)
}

// NoSuchPrincipal answers a caller who may ask about a principal that is not in a
// view. The position says where it is not, as that of a decision does.
func (k *Asker) NoSuchPrincipal(v *projection.View, arn string) error {
	in := freshness.Seen{View: v}
	k.Header.Set(shape.HeaderPosition, in.Position())
	k.Header.Set(shape.HeaderFreshness, k.mode())
	hint := ""
	if k.Past == nil && k.Seen.Reads && k.meant < maxMeant { // it names others
		k.meant++
		hint = mean(k.likely(v, arn))
	}
	if hint == "" {
		hint = " Partition, account, path and name in the ARN all count."
	}
	return fault.New(fault.NoSuchPrincipal, gone(arn, v.Head.Position),
		strings.TrimSpace(hint)+" To wait until a principal is deleted, wait for the deletion: `writ wait --token`.")
}

// maxNear is how many names are looked at for what a caller meant: so many from the
// first of the account on, and from half of the name on.
const maxNear = 500

// maxMeant is of how many principals one request is told what its caller may have meant.
const maxMeant = 10

// likely returns the ARN of the user or role that a caller most likely meant, "" if
// there is none that the caller may see.
func (k *Asker) likely(v *projection.View, arn string) string {
	p, err := authz.ParsePrincipal(arn)
	if err != nil || p.Type == authz.Root {
		return ""
	}
	name, account := p.Name, identity.AccountID(p.Account)
	if p.Type == authz.RoleSession {
		name = p.Issuer[strings.LastIndexByte(p.Issuer, '/')+1:]
	}
	users, roles := candidates{action: "iam:GetUser"}, candidates{action: "iam:GetRole"}
	for _, after := range [...]string{"", name[:len(name)/2]} {
		users.more()
		v.State.Users(account, after, func(u *identity.User) bool { return users.add(u.Name, u.ARN()) })
		roles.more()
		v.State.Roles(account, after, func(r *identity.Role) bool { return roles.add(r.Name, r.ARN()) })
	}
	kinds := [...]*candidates{&users, &roles}
	if p.Type != authz.User {
		kinds = [...]*candidates{&roles, &users}
	}
	for _, kind := range kinds {
		if likely := kind.nearest(name); likely != "" && k.sees(kind.action, likely) {
			return likely
		}
	}
	return ""
}

// sees tells whether the caller may ask about a principal, and may know that it
// exists: has the permission to get it.
func (k *Asker) sees(get, arn string) bool {
	for _, action := range [...]string{policy.ActionAuthorize, get} {
		if k.Pass.May(admission.Access{Action: action, Resource: arn}) != nil {
			return false
		}
	}
	return true
}

// candidates are some of the users, or of the roles, of an account.
type candidates struct {
	action string // the permission to see one
	left   int
	names  []string
	arns   []string // of the names
}

func (k *candidates) more() { k.left = maxNear }

// add takes a candidate, and tells whether there is room for another.
func (k *candidates) add(name, arn string) bool {
	k.names, k.arns = append(k.names, name), append(k.arns, arn)
	k.left--
	return k.left > 0
}

func (k *candidates) nearest(name string) string {
	if i := slices.Index(k.names, catalogue.Nearest(name, slices.Values(k.names))); i >= 0 {
		return k.arns[i]
	}
	return ""
}
