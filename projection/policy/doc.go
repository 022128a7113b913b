// Package policy is the policy language of AWS IAM, evaluated: it compiles policy
// documents into matchers. It decides nothing about who may do what; package authz
// combines many compiled policies into a decision.
//
// Below it are the packages of what surrounds evaluation: syntax (documents as text),
// scalar (numbers, dates, addresses), valid (what AWS accepts), lint (what could be
// better) and catalogue (which actions and keys there are).
//
// The package is pure: no I/O, no clock, no randomness. Everything that it
// returns may be shared between goroutines once it is built; a Context belongs
// to one evaluation at a time.
//
// # From text to matchers
//
//	doc, err := syntax.Parse(text)        // shape and positions; *syntax.MalformedError
//	err = valid.Check(doc, kind)          // AWS's checks for this kind of policy
//	compiled := policy.Compile(doc)       // immutable; share it by document hash
//
//	doc, err := valid.Parse(text, kind)   // all of it and the size, with the messages of the kind
//
// Compile accepts every document that syntax.Parse returns, valid or not, because
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
// A match of a wildcard pattern takes time in proportion to the value, with a step
// more for every 64 characters that the pattern has between two *, and no more for
// what either was made of (automaton).
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
// they were added; the first slice with the key wins. Keys are of type Key,
// without letter case by construction (NewKey, package casefold), so prepare them
// once: constants for global keys, tag keys when the principal is loaded. Per
// request:
//
//	var ctx policy.Context
//	ctx.Add(principal.entries)        // shared by all requests of the principal
//	ctx.Add(request.entries[:n])      // filled per request
//	ctx.Lazy = evaluator              // optional: asked last, for costly keys
//
// Values of BinaryEquals are base64 in a policy, bytes in a Context.
//
// Entry.Multivalued tells a set from a single value; a set of one is still a
// set, and a set without values counts as a missing key.
//
// # Keys in several spellings
//
// Condition keys ignore letter case, but a resource may have the tags env and Env,
// and a request may bring both. Then one slice has several entries of one key, in
// whatever order, and each of their values counts: an Allow's condition holds only
// if it holds with each of them, a Deny's if it holds with any.
//
// More exactly, a reading of a context takes one entry of every key. A condition of
// an Allow holds, and a Resource or NotResource of an Allow covers, if it does so
// in every reading; that of a Deny, if in any. Each condition and each resource
// element is judged by itself. So:
//
//   - A negated operator is no exception: in an Allow StringNotEquals wants all
//     values to differ from the listed ones, in a Deny it holds if one of them does.
//   - Null and IfExists see the key, since each reading has it.
//   - ForAllValues and ForAnyValue range over the values of the one entry that is
//     read. Entries are not put together into a set.
//   - A variable stands for the entry that is read, everywhere in the condition or
//     element. ${key, 'default'} has a value, and no default.
//   - A key that is in several slices is not in several spellings: the slice that
//     was added first has it.
//   - aws:TagKeys has the keys as its values, in the spelling of the request. As
//     values they count as they are written (AWS: "Control access to AWS resources
//     using tags"); StringEqualsIgnoreCase is for who wants it otherwise. Package lint warns
//     where another spelling passes: TAG_KEYS_WITH_CASE.
//
// Of one condition at most 64 readings are tried. Where there are more, the
// condition of an Allow does not hold and that of a Deny does.
package policy
