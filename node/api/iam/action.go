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
package iam

import (
	"fmt"
	"io"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/seal"
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
	// Random yields the bits of identifiers and secrets; reads from it do not fail.
	Random io.Reader
	// Work bounds what a read may take; nil sets no bound. A read that has ended it
	// fails.
	Work *policy.Work
	// Shown are the resources of extra accesses that the caller has.
	Shown map[string]bool
	// Seal encrypts secrets before they enter the log and opens them again.
	Seal *seal.Key

	witness *identity.Witness // of View, from the first Access or Command on
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

// find is what an authorization may see of a target, if there is one.
func (c *Call) find(l identity.Lookup) (identity.Target, bool) {
	c.prepare()
	return c.witness.Find(l)
}

// holds tells whether an account is one of the cluster's.
func (c *Call) holds(account identity.AccountID) bool {
	c.prepare()
	return c.witness.Holds(account)
}

// Action is one operation of an API.
type Action struct {
	Name    string // "CreateUser"
	Service string // prefix in policies: "iam"
	// Write says whether the action changes anything; then it has Command and
	// Render, else Answer.
	Write bool
	// New returns a pointer to a zero input struct of the SDK.
	New func() any
	// Access lists what the caller must be allowed, all of it. An action without
	// any is open to every authenticated caller.
	Access func(c *Call, in any) []Access
	// Answer returns a pointer to the SDK's output struct; or an *Error.
	Answer func(c *Call, in any) (any, error)
	// Command returns the command that carries the call out, with everything
	// resolved that its decision must not depend on; or an *Error.
	Command func(c *Call, in any) (identity.Command, error)
	// Render returns the answer to a call whose command made the batch b. It
	// takes what it says from the batch, so that a retry of the call, which may
	// come with a later view, gets the same answer.
	Render func(c *Call, in any, b *event.Batch) (any, error)
}

// Read returns an action that changes nothing. I and O are the SDK's input and
// output structs.
func Read[I, O any](service, name string, access func(*Call, *I) []Access, answer func(*Call, *I) (*O, error)) Action {
	return Action{
		Name:    name,
		Service: service,
		New:     func() any { return new(I) },
		Access:  accessOf(service, name, access),
		Answer: func(c *Call, in any) (any, error) {
			out, err := answer(c, in.(*I))
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// Write returns an action that proposes a command. I and O are the SDK's input
// and output structs.
func Write[I, O any](service, name string, access func(*Call, *I) []Access, command func(*Call, *I) (identity.Command, error),
	render func(*Call, *I, *event.Batch) (*O, error)) Action {
	return Action{
		Name:    name,
		Service: service,
		Write:   true,
		New:     func() any { return new(I) },
		Access:  accessOf(service, name, access),
		Command: func(c *Call, in any) (identity.Command, error) { return command(c.blind(), in.(*I)) },
		Render: func(c *Call, in any, b *event.Batch) (any, error) {
			out, err := render(c, in.(*I), b)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// accessOf fills in the action's own name where an access names none.
func accessOf[I any](service, name string, access func(*Call, *I) []Access) func(*Call, any) []Access {
	return func(c *Call, in any) []Access {
		list := access(c.blind(), in.(*I))
		for i := range list {
			if list[i].Action == "" {
				list[i].Action = service + ":" + name
			}
		}
		return list
	}
}

// nothing renders the answer of a write that says no more than that it is done.
func nothing[I, O any](*Call, *I, *event.Batch) (*O, error) { return new(O), nil }

// read is Read for an action of IAM, write is Write.
func read[I, O any](name string, access func(*Call, *I) []Access, answer func(*Call, *I) (*O, error)) Action {
	return Read(Service, name, access, answer)
}

func write[I, O any](name string, access func(*Call, *I) []Access, command func(*Call, *I) (identity.Command, error),
	render func(*Call, *I, *event.Batch) (*O, error)) Action {
	return Write(Service, name, access, command, render)
}

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
