// Package authz decides: may this principal do this action with this resource?
// It combines the compiled policies of package policy into one decision by
// AWS's rules, and says why. It is pure: no I/O, no clock, no randomness.
//
// # Deciding
//
// Policies that are attached together make a Set, indexed by action. Build a
// Set once per user, group, role, boundary or organization level, whenever its
// policies change, and share it; Layers puts the sets of a principal together:
//
//	own := authz.NewSet(policies...)            // per user, group or role
//	prepared := authz.Prepare(authz.Layers{Identity: []*authz.Set{own, group1, group2}})
//	decision := prepared.Evaluate(&request)       // no allocation
//	explanation := prepared.Explain(&request)   // every statement, for people
//
// Evaluate and Explain agree always. The policies of the resource (bucket, key or
// trust policy, and resource control policies) come with the request, as its
// Target.
//
// Where strangers bring the policies, the context or the questions, give the Request
// a policy.Work, and ask its Err after each answer: it bounds what they may take.
//
// # Context
//
// Request.Context holds condition keys. By itself it is a closed world;
// Request.FillGlobals adds AWS's global keys (aws:PrincipalArn, aws:username,
// aws:PrincipalTag/..., aws:CurrentTime, aws:SourceIp, ...) from the principal
// and the facts of the request. Each is computed only when a policy reads it.
//
// # The rules
//
// After the IAM User Guide ("How AWS enforcement code logic evaluates requests
// to allow or deny access", "Cross-account policy evaluation logic") and the
// Organizations User Guide:
//
//   - A Deny that applies, in any layer, denies. Without the allows that a
//     request needs it is denied too, implicitly.
//   - Every level of service control policies (of the principal's account) and
//     of resource control policies (of the resource's account) must allow.
//     Service-linked roles are exempt from both.
//   - In one account an allow of the identity policies, within the permissions
//     boundary and the session policies, is enough; so is an allow of the
//     resource's policy. If that names the user or the session itself, or
//     everybody, implicit denies of the other layers do not count; if it names
//     the role of a session or the user of a federated user, boundary and
//     session policies limit it; if it names the account, the identity
//     policies decide.
//   - Across accounts both sides must allow.
//   - KMS keys and roles let in only whom their own policy names.
//   - Root may do everything that no Deny and no control policy stops, within the policies of
//     its session, where it has any.
//   - A federated user has no identity permissions without a session policy.
//   - sts:GetCallerIdentity needs no permission.
package authz
