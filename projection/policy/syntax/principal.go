package syntax

import "strings"

// Effect is what a statement does when it applies.
type Effect byte

// The effects. The zero Effect is none of them.
const (
	Allow Effect = iota + 1
	Deny
)

// String returns "Allow" or "Deny".
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return "none"
}

// EffectOf reads an effect in any letter case, as AWS's syntax check does.
func EffectOf(text string) Effect {
	switch {
	case strings.EqualFold(text, "Allow"):
		return Allow
	case strings.EqualFold(text, "Deny"):
		return Deny
	}
	return 0
}

// PrincipalType says how the value of a principal is to be read.
type PrincipalType byte

// The types of principals (AWS: "JSON policy elements: Principal").
const (
	// PrincipalUnknown is a type that AWS does not have; it matches nobody.
	PrincipalUnknown PrincipalType = iota
	// PrincipalAll is the plain "*".
	PrincipalAll
	// PrincipalAWS is an ARN, an account number, a unique id or "*".
	PrincipalAWS
	// PrincipalService is a service name such as "ec2.amazonaws.com".
	PrincipalService
	// PrincipalFederated is an identity provider.
	PrincipalFederated
	// PrincipalCanonicalUser is an S3 canonical user id.
	PrincipalCanonicalUser
)

// principalTypes are the types by the names that documents have for them.
var principalTypes = map[string]PrincipalType{
	"AWS":           PrincipalAWS,
	"Service":       PrincipalService,
	"Federated":     PrincipalFederated,
	"CanonicalUser": PrincipalCanonicalUser,
}

// Name returns what documents call the type, "" for one that they do not name.
func (t PrincipalType) Name() string {
	for name, other := range principalTypes {
		if other == t {
			return name
		}
	}
	return ""
}

// Principal is one entry of Principal or NotPrincipal, as written.
type Principal struct {
	Position
	Type  PrincipalType
	Value string
}

// Principals returns the entries of the element in their order.
func (e *PrincipalElement) Principals() []Principal {
	if e.Bare != nil {
		p := Principal{Position: e.Bare.Position, Value: e.Bare.Value}
		if p.Value == "*" {
			p.Type = PrincipalAll
		}
		return []Principal{p}
	}
	var all []Principal
	for _, group := range e.Groups {
		for _, item := range group.Values.Items {
			all = append(all, Principal{
				Position: item.Position,
				Type:     principalTypes[group.Type.Value],
				Value:    item.Value,
			})
		}
	}
	return all
}

// Principals returns all principals of a document, in the order of its text.
func (d *Document) Principals() (all []Principal) {
	for i := range d.Statements {
		for _, e := range [...]*PrincipalElement{d.Statements[i].Principal, d.Statements[i].NotPrincipal} {
			if e != nil {
				all = append(all, e.Principals()...)
			}
		}
	}
	return all
}
