// Package iam holds the actions of the IAM API, one file per noun.
//
// An Action says what must be authorized for a call (Access), answers it when it
// reads (Answer), or turns it into a command (Command) and the events of the
// accepted command into the answer (Render) when it writes. It checks what the
// request alone can show beyond the shape (which the edge has checked against the
// service model already): policy grammar, paths, reserved tag keys, markers. What
// only the state can show is the domain's to refuse, with a *identity.Refusal.
//
// Actions do no I/O. Whatever is not determined by the request and the view,
// such as time, identifiers and secrets, they take from the Call.
//
// # To add an action
//
// An action is a type in the file of its noun. One that writes has the methods of
// Write, in this order, over the SDK's own input and output:
//
//	type createGroup struct{}
//
//	func (createGroup) Access(c *Call, in *sdk.CreateGroupInput) []Access
//	func (createGroup) Command(c *Call, in *sdk.CreateGroupInput) (identity.Command, error)
//	func (createGroup) Render(c *Call, in *sdk.CreateGroupInput, b *event.Batch) (*sdk.CreateGroupOutput, error)
//
// If its answer says no more than that it is done, it embeds the type nothing, which
// has the Render:
//
//	type deleteGroup struct {
//		nothing[sdk.DeleteGroupInput, sdk.DeleteGroupOutput]
//	}
//
// One that reads has the methods of Read: Access and Answer. The list of the noun's
// actions names it, as write("CreateGroup", createGroup{}) or read("GetGroup",
// getGroup{}); a new list goes into table. What several actions do is a function or a
// method of Call that each of them calls: accesses are in access.go, those who are named
// in entity.go, the pages of lists in page.go.
//
// The lists are functions because the compiler finds out I and O in function bodies
// only. Where it "cannot infer I and O", the type lacks a method, or one of its methods
// has another input or output than the rest.
package iam

import (
	"fmt"
	"io"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// Service is the prefix of the actions' names in policies ("iam:CreateUser") and
// the service name in signatures.
const Service = "iam"

// Caller is who makes a call, and Access one thing that the caller must be allowed for it
// to go ahead. They are the words of those who find out.
type (
	Caller = admission.Caller
	Access = admission.Access
)

// Call is what an action may know besides its input.
type Call struct {
	Caller Caller
	// View is the state that the action sees. Render sees one at or after the
	// position of the batch that it renders. Access and Command do not see it: they
	// look things up by way of a witness, so that the command can say what it relies on.
	View *projection.View
	// Now is the time of the call; commands carry it.
	Now identity.Time
	// Region is the one that the caller signed for.
	Region string
	// Random yields the bits of identifiers and secrets; reads from it do not fail.
	Random io.Reader
	// Work bounds what a read may take; nil sets no bound. A read that has ended it
	// fails.
	Work *policy.Work
	// Shown are the resources of extra accesses that the caller has.
	Shown map[string]bool
	// Seal encrypts secrets before they enter the log and opens them again.
	Seal *seal.Key
	// Thumbprints finds those of OpenID Connect providers; nil finds none.
	Thumbprints *thumbprint.Fetcher
	// Issuer is the URL below which the issuers of web identity tokens are; empty if
	// nobody knows.
	Issuer string
	// Passwords hashes passwords and verifies them by their hashes.
	Passwords *password.Checker
	// Codes bound how often the caller may tell codes of MFA devices wrong.
	Codes *mfa.Tries
	// Bench is where the call does work that takes long: once, however often it is
	// authorized.
	Bench *admission.Bench
	// Sessions makes sessions, Tokens web identity tokens, and Messages sealed texts.
	Sessions Minter
	Tokens   Signer
	Messages Envelopes
	// TradeIn is the token that the answer of SendDelegationToken has in a header.
	TradeIn string
	// WebIdentity is who calls without credentials; nil for whoever signs.
	WebIdentity *WebIdentity
	// Repeated says that an attempt of the call took effect before, as far as the view
	// knows: its answer is that of the first one, and nothing is worked out for a command.
	Repeated bool

	witness *identity.Witness // of View, from the first Access or Command on
}

// WebIdentity is somebody for whom an OpenID Connect provider vouches.
type WebIdentity struct {
	Provider string // its ARN
	Audience string // whom the token is for, of the provider's clients
	*oidc.Claims
}

// Minter makes the credentials of sessions.
type Minter interface {
	// Mint makes those of a session by the key that seals sessions in a state.
	Mint(*identity.State, *session.Claims) (session.Credentials, error)
}

// Signer makes web identity tokens.
type Signer interface {
	// Sign makes the one that says some claims, by the key that signs in a state.
	Sign(state *identity.State, algorithm string, claims []byte) (string, error)
}

// Envelopes seals texts that this cluster alone opens.
type Envelopes interface {
	// SealMessage seals one by the key that seals sessions in a state.
	SealMessage(state *identity.State, use session.Use, text []byte) (string, error)
	// OpenMessage returns the text of one. False: it is nothing of the kind, or can no longer
	// be opened.
	OpenMessage(state *identity.State, use session.Use, sealed string) (text []byte, ok bool, err error)
}

// Show notes that the caller has an extra access.
func (c *Call) Show(resource string) {
	if c.Shown == nil {
		c.Shown = map[string]bool{}
	}
	c.Shown[resource] = true
}

// Reliances are what Access and Command have looked up for this call, and what they
// found. They go with the command, which is decided against the same or not at all.
func (c *Call) Reliances() []identity.Reliance {
	if c.witness == nil {
		return nil
	}
	return c.witness.Reliances()
}

// blind is the call as Access and Command get it: with a witness, but without the
// view. What they would read past the witness could change before the decision.
func (c *Call) blind() *Call {
	c.prepare()
	b := *c
	b.View = nil
	return &b
}

func (c *Call) prepare() {
	if c.witness == nil && c.View != nil {
		c.witness = identity.NewWitness(c.View.State)
	}
}

// Find is find for the actions of other services.
func (c *Call) Find(l identity.Lookup) (identity.Target, bool) { return c.find(l) }

// Partition is the cluster's.
func (c *Call) Partition() identity.Partition { return c.partition() }

// find is what an authorization may see of a target, if there is one.
func (c *Call) find(l identity.Lookup) (identity.Target, bool) {
	c.prepare()
	return c.witness.Find(l)
}

// partition is the cluster's. It never changes, so that nothing relies on it.
func (c *Call) partition() identity.Partition {
	c.prepare()
	return c.witness.Partition()
}

// holds tells whether an account is one of the cluster's.
func (c *Call) holds(account identity.AccountID) bool {
	c.prepare()
	return c.witness.Holds(account)
}

// Action is one operation of an API, whatever its input and output are.
type Action struct {
	Name    string // "CreateUser"
	Service string // prefix in policies: "iam"
	// Write says whether the action changes anything; then it has Command and
	// Render, else Answer. The methods that it does not have panic.
	Write bool
	// Mints says that the action makes a session, or seals or opens a text by the keys of
	// sessions: the node must be able to.
	Mints bool
	// Signs says that the action makes a web identity token: likewise.
	Signs bool
	// ByCode is the action where the request shows a code of an MFA device, which takes a
	// write: no code is good twice. Nil where codes make no difference.
	ByCode *Action

	untyped untyped
}

// Read is an action that changes nothing. I and O are the SDK's input and output
// structs.
type Read[I, O any] interface {
	// Access lists what the caller must be allowed, all of it; an access that names
	// no action is to the action itself. An action without any is open to every
	// authenticated caller.
	Access(c *Call, in *I) []Access
	// Answer returns the output; or an *Error.
	Answer(c *Call, in *I) (*O, error)
}

// Write is an action that proposes a command. I and O are the SDK's input and
// output structs.
type Write[I, O any] interface {
	// Access is as in Read.
	Access(c *Call, in *I) []Access
	// Command returns the command that carries the call out, with everything
	// resolved that its decision must not depend on; or an *Error.
	Command(c *Call, in *I) (identity.Command, error)
	// Render returns the answer to a call whose command made the batch b. It
	// takes what it says from the batch, so that a retry of the call, which may
	// come with a later view, gets the same answer.
	Render(c *Call, in *I, b *event.Batch) (*O, error)
}

// NewRead returns the Action that r is.
func NewRead[I, O any](service, name string, r Read[I, O]) Action {
	return Action{Name: name, Service: service, untyped: readOf[I, O]{r}}
}

// NewWrite returns the Action that w is.
func NewWrite[I, O any](service, name string, w Write[I, O]) Action {
	return Action{Name: name, Service: service, Write: true, untyped: writeOf[I, O]{w}}
}

// read is NewRead for an action of IAM, write is NewWrite.
func read[I, O any](name string, r Read[I, O]) Action { return NewRead(Service, name, r) }

func write[I, O any](name string, w Write[I, O]) Action { return NewWrite(Service, name, w) }

// minting is an action that needs the keys of sessions.
func minting(a Action) Action {
	a.Mints = true
	return a
}

// New returns a pointer to a zero input struct of the SDK. The other methods take
// such a pointer.
func (a Action) New() any { return a.untyped.input() }

// Access lists what the caller must be allowed, all of it. An action without
// any is open to every authenticated caller.
func (a Action) Access(c *Call, in any) []Access {
	list := a.untyped.access(c.blind(), in)
	for i := range list {
		if list[i].Action == "" {
			list[i].Action = a.Service + ":" + a.Name
		}
	}
	return list
}

// Answer returns a pointer to the SDK's output struct; or an *Error.
func (a Action) Answer(c *Call, in any) (any, error) {
	return a.untyped.(untypedRead).answer(c, in)
}

// Command returns the command that carries the call out; or an *Error, or the
// *identity.Refusal that the command would meet. For a call that took effect before it
// returns one that the log answers by the call's key: what was right the first time, such
// as a code, a certificate or a server that answered, need not be right any more.
func (a Action) Command(c *Call, in any) (identity.Command, error) {
	if c.Repeated {
		return tookEffect(), nil
	}
	return a.untyped.(untypedWrite).command(c.blind(), in)
}

// tookEffect is the command of a call that took effect before. It is for no account: should
// that be forgotten until it is decided, it is refused, and the edge says why in its own words.
func tookEffect() identity.Command { return &identity.CreateUser{} }

// foresee refuses a command that the state refuses already. It is asked with one that lacks
// what takes long to work out, so that nobody pays for that in vain.
func (c *Call) foresee(cmd identity.Command) error { return c.witness.Foresee(c.Now, cmd) }

// Render returns the answer to a call whose command made the batch b: a pointer to
// the SDK's output struct.
func (a Action) Render(c *Call, in any, b *event.Batch) (any, error) {
	return a.untyped.(untypedWrite).render(c, in, b)
}

// untyped is a Read or a Write whose input and output are any, so that one table has
// all of them.
type untyped interface {
	input() any
	access(c *Call, in any) []Access
}

type untypedRead interface {
	untyped
	answer(c *Call, in any) (any, error)
}

type untypedWrite interface {
	untyped
	command(c *Call, in any) (identity.Command, error)
	render(c *Call, in any, b *event.Batch) (any, error)
}

// readOf is a Read as an untypedRead.
type readOf[I, O any] struct{ typed Read[I, O] }

func (r readOf[I, O]) input() any { return new(I) }

func (r readOf[I, O]) access(c *Call, in any) []Access { return r.typed.Access(c, in.(*I)) }

func (r readOf[I, O]) answer(c *Call, in any) (any, error) {
	return orError(r.typed.Answer(c, in.(*I)))
}

// writeOf is a Write as an untypedWrite.
type writeOf[I, O any] struct{ typed Write[I, O] }

func (w writeOf[I, O]) input() any { return new(I) }

func (w writeOf[I, O]) access(c *Call, in any) []Access { return w.typed.Access(c, in.(*I)) }

func (w writeOf[I, O]) command(c *Call, in any) (identity.Command, error) {
	return w.typed.Command(c, in.(*I))
}

func (w writeOf[I, O]) render(c *Call, in any, b *event.Batch) (any, error) {
	return orError(w.typed.Render(c, in.(*I), b))
}

// orError is out without its type; with an error it is nothing at all, whatever an
// action has put into it.
func orError[O any](out *O, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}

// nothing is embedded by a write whose answer says no more than that it is done.
type nothing[I, O any] struct{}

func (nothing[I, O]) Render(*Call, *I, *event.Batch) (*O, error) { return new(O), nil }

// one finds the event of type E in a batch; that there is none means that the
// batch was made by another action.
func one[E identity.Event](b *event.Batch) (E, error) {
	for _, e := range b.Events {
		if found, ok := e.(E); ok {
			return found, nil
		}
	}
	var none E
	return none, fmt.Errorf("render batch %d: no %T in it", b.Position, none)
}
