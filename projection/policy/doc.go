// Package policy is the policy language of AWS IAM: it parses, validates,
// prints, checks and compiles policy documents. It decides nothing about who
// may do what; package authz combines many compiled policies into a decision.
//
// The package is pure: no I/O, no clock, no randomness. Everything that it
// returns may be shared between goroutines once it is built; a Context belongs
// to one evaluation at a time.
//
// # From text to matchers
//
//	doc, err := policy.Parse(text)        // shape and positions; *MalformedError
//	err = policy.Validate(doc, kind)      // AWS's checks for this kind of policy
//	compiled := policy.Compile(doc)       // immutable; share it by document hash
//
//	doc, err := policy.ParseValid(text, kind) // Parse, Validate and size, with the messages of the kind
//
// Compile accepts every document that Parse returns, valid or not, because
// stored and foreign documents must always be evaluable; what cannot be
// understood (a date that is no date) matches nothing.
//
// # Evaluating a statement
//
// A compiled Policy is a list of Statements in document order. A statement
// applies to a request when all four parts match; authz decides about the
// principal, the other three are here and do not allocate:
//
//	s.MatchAction("s3:GetObject")           // Action or NotAction, letter case ignored
//	s.MatchResource("arn:aws:s3:::b/k", ctx) // Resource or NotResource; true without either element
//	s.MatchConditions(ctx)                   // every condition holds
//	s.HasPrincipal, s.NotPrincipal, s.Principals // typed entries as written
//
// For explanations: Statement.Conditions and Condition.Match tell which
// condition failed, Statement.Keys and Policy.Keys list every context key that
// a decision can read (conditions and variables), Statement.Start and End are
// its place in the document.
//
// # Index by action
//
// Statement.Actions lists the action patterns with their literal head:
// "s3:Get*" has Service "s3", Prefix "get", Exact false; "iam:PassRole" has
// Service "iam", Prefix "passrole", Exact true; "*" has neither. All of it is
// lower case; AppendFold lowers a request's action the same way. A statement
// with NotAction set can apply to any action and belongs in every bucket.
//
// # Request context
//
// A Context is a few borrowed slices of Entry, searched in the order in which
// they were added; the first entry with the key wins. Keys are of type Key,
// lower case by construction (NewKey), so prepare them once: constants for
// global keys, tag keys when the principal is loaded. Per request:
//
//	var ctx policy.Context            // or a pooled one after Reset
//	ctx.Add(principal.entries)        // shared by all requests of the principal
//	ctx.Add(request.entries[:n])      // filled per request
//	ctx.Lazy = evaluator.lookup       // optional: asked last, for costly keys
//
// Values of BinaryEquals are base64 in a policy, bytes in a Context.
//
// Entry.Multivalued tells a set from a single value; a set of one is still a
// set, and a set without values counts as a missing key.
//
// # For people
//
//	text := policy.Print(doc)                            // canonical form; parses to the same document
//	findings := policy.Lint(doc, kind, policy.BuiltinCatalogue())
//	names := doc.ContextKeys()                           // as GetContextKeysForCustomPolicy has them
package policy
