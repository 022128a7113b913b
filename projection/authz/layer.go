package authz

// Outcome is the answer to a request. The zero Outcome denies.
type Outcome uint8

// The outcomes, in AWS's words (IAM User Guide: The difference between explicit
// and implicit denies).
const (
	// ImplicitDeny: nothing denied the request, and an allow that it needs is
	// missing.
	ImplicitDeny Outcome = iota
	// ExplicitDeny: a Deny statement applies.
	ExplicitDeny
	// Allow: every allow that the request needs is there, and no Deny applies.
	Allow
)

// String returns "allow", "explicitDeny" or "implicitDeny".
func (o Outcome) String() string {
	switch o {
	case Allow:
		return "allow"
	case ExplicitDeny:
		return "explicitDeny"
	}
	return "implicitDeny"
}

// Layer is a type of policy that takes part in a decision.
type Layer uint8

// The layers, in the order in which a denial names the one responsible. AWS
// names only one when several deny, and does not document which.
const (
	NoLayer       Layer = iota
	LayerRCP            // resource control policies of the organization
	LayerSCP            // service control policies of the organization
	LayerIdentity       // policies of the user, its groups, or the role
	LayerBoundary       // permissions boundary
	LayerSession        // session policies
	LayerResource       // the resource's policy: bucket, key, trust policy
	layerCount
)

var layerNames = [layerCount]string{"", "rcp", "scp", "identity", "boundary", "session", "resource"}

// String returns a short name such as "identity"; the empty string for NoLayer.
func (l Layer) String() string { return layerNames[l] }

// layerBits is a set of layers.
type layerBits uint8

func layerSet(members ...Layer) layerBits {
	var s layerBits
	for _, l := range members {
		s |= 1 << l
	}
	return s
}

func (s layerBits) has(l Layer) bool { return s&(1<<l) != 0 }

// needed returns the layers whose allow a request needs. LayerResource is among
// them only when it is missing: a caller that finds it has its answer.
//
// IAM User Guide: "How AWS enforcement code logic evaluates requests to allow
// or deny access" for one account, "Cross-account policy evaluation logic" for
// two.
func needed(kind PrincipalType, sameAccount, strict bool, g grant) layerBits {
	const guards = layerBits(1<<LayerRCP | 1<<LayerSCP)
	const own = layerBits(1<<LayerIdentity | 1<<LayerBoundary | 1<<LayerSession)
	resource := layerBits(0)
	if g == grantNone {
		resource = 1 << LayerResource
	}
	switch {
	case kind.Foreign():
		// Services, identity providers and strangers have no policies of
		// their own.
		return guards | resource
	case !sameAccount && kind == Root:
		return guards | layerSet(LayerSession) | resource
	case !sameAccount:
		// Both accounts must allow, each by its own policies.
		return guards | own | resource
	case kind == Root:
		// Root may do everything but what KMS keys and roles keep to those
		// whom their policy names, within the policies of its session.
		if strict {
			return guards | layerSet(LayerSession) | resource
		}
		return guards | layerSet(LayerSession)
	}
	switch g {
	case grantDirect:
		// Named itself, or by "*": implicit denies elsewhere do not count.
		return guards
	case grantIssuer:
		// The role of a session is named: its limits count, its identity
		// policies need not allow.
		return guards | layerSet(LayerBoundary, LayerSession)
	case grantNone:
		if strict {
			return guards | own | resource
		}
	}
	// A grant to the account leaves it to the account's own policies.
	return guards | own
}
