// Package kubernetes answers kube-apiserver: whose a token is (TokenReview of
// authentication.k8s.io/v1), and whether somebody may (SubjectAccessReview of
// authorization.k8s.io/v1).
//
// # Mapping
//
// A mapping pairs ARNs of principals with names of users ([Rule]), in both directions: no two rules
// meet in an ARN or in a name, and no name or group begins with "system:" that the mapping does not
// name. What could be read in two ways is refused when it is loaded, with the line.
//
// # Fail closed
//
// A token is somebody's only where the view is known to be current: kube-apiserver remembers the
// answer. An access is allowed by the decision allow from such a view, and denied by an explicit
// deny. What else there is is no opinion: the next authorizer of kube-apiserver decides. Where the
// node cannot know at all it is 503, and kube-apiserver's failure policy decides; with the mapping's
// `unsure: deny` both are denials.
package kubernetes
