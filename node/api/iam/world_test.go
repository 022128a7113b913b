package iam_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection"
)

const (
	account = identity.AccountID("123456789012")
	other   = identity.AccountID("210987654321")
)

// world carries actions out against a real state, without a log.
type world struct {
	t      testing.TB
	state  *identity.State
	caller iam.Caller
	random *rand.ChaCha8
	key    *seal.Key
	hasher *password.Hasher
	codes  *mfa.Tries
	// documents is where certificates and metadata are read.
	documents *admission.Workshop
	now       identity.Time
	last      struct { // the latest write that was accepted
		action *iam.Action
		in     any
		batch  *event.Batch
	}
}

// newWorld has two accounts, two policies of AWS, and the root of the first calling.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, identity.PartitionAWS)
}

// newWorldIn is newWorld in a partition.
func newWorldIn(t testing.TB, partition identity.Partition) *world {
	t.Helper()
	w := &world{t: t, state: identity.NewState(), random: rand.NewChaCha8([32]byte{1}), key: seal.Generate(), hasher: password.NewHasher(password.Cost{Memory: 64, Passes: 1, Threads: 1}), codes: mfa.NewTries(), now: 1_700_000_000_000}
	w.documents = admission.NewWorkshop("documents", 8, 2, 1)
	w.asRoot()
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	managed := func(id identity.ID, name string) identity.CreatePolicy {
		return identity.CreatePolicy{Account: identity.AWSAccount, ID: id, Name: name, Path: "/", Document: document}
	}
	begin := identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: account, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"},
		Managed: []identity.CreatePolicy{managed("ANPAAWSAWSAWSAWSA0001", "AdministratorAccess"), managed("ANPAAWSAWSAWSAWSA0002", "ReadOnlyAccess")}}
	w.decide(identity.BeginIn(partition, begin))
	w.asRoot()
	w.decide(&identity.CreateAccount{ID: other, RootKey: identity.NewAccessKey{ID: "AKIAOTHEROTHER000000"}})
	return w
}

func (w *world) asRoot() {
	w.caller = iam.Caller{Kind: admission.KindRoot, Account: account, ID: identity.ID(account), ARN: w.state.Partition().RootARN(account)}
}

func (w *world) asRootOf(id identity.AccountID) {
	w.caller = iam.Caller{Kind: admission.KindRoot, Account: id, ID: identity.ID(id), ARN: w.state.Partition().RootARN(id)}
}

func (w *world) asUser(name string) {
	u, ok := w.state.User(account, name)
	if !ok {
		w.t.Fatalf("no user %s", name)
	}
	w.caller = iam.Caller{Kind: admission.KindUser, Account: account, ID: u.ID, Name: u.Name, ARN: u.ARN()}
}

func (w *world) call() *iam.Call {
	p := projection.New()
	p.Adopt(w.state.Snapshot(), event.Head{Position: w.state.Position()})
	c := &iam.Call{Caller: w.caller, View: p.View(), Now: w.now, Random: w.random, Seal: w.key, Passwords: w.checker(), Codes: w.codes, Messages: plain{}, Issuer: "https://writ.example.com/"}
	c.Bench = w.bench()
	return c
}

// checker hashes for the caller, at next to no cost.
func (w *world) checker() *password.Checker {
	checker := &password.Checker{}
	w.hasher.Begin(checker, w.t.Context(), &admission.Job{}, string(w.caller.ID), time.UnixMilli(int64(w.now)))
	return checker
}

// bench is where the caller's next request works.
func (w *world) bench() *admission.Bench {
	bench := &admission.Bench{}
	w.documents.Begin(bench, w.t.Context(), &admission.Job{}, string(w.caller.ID))
	return bench
}

// decide folds a command into the state.
func (w *world) decide(c identity.Command) (*event.Batch, error) {
	m := identity.Meta{Time: w.now}
	events, err := identity.Decide(w.state, m, c)
	if err != nil {
		return nil, err
	}
	at := w.state.Position() + 1
	identity.Evolve(w.state, at, m, events)
	return &event.Batch{Cluster: w.state.Cluster().ID, Position: at, Cause: event.Cause{Meta: m}, Events: events}, nil
}

// do carries out the action whose input struct is given.
func (w *world) do(in any) (any, error) {
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	action, ok := iam.Find(name)
	if !ok {
		w.t.Fatalf("no action %s", name)
	}
	call := w.call()
	for _, a := range action.Access(w.call(), in) {
		if a.Action == "" || a.Resource == "" || a.Account == "" {
			w.t.Fatalf("%s: access %+v is not whole", name, a)
		}
		if a.Extra { // the caller may everything
			call.Show(a.Resource)
		}
	}
	if !action.Write {
		return action.Answer(call, in)
	}
	command, err := action.Command(w.call(), in)
	if err != nil {
		return nil, err
	}
	batch, err := w.decide(command)
	if err != nil {
		return nil, err
	}
	w.last.action, w.last.in, w.last.batch = action, in, batch
	return action.Render(w.call(), in, batch)
}

// again renders the latest write anew, as for a retry that comes later.
func (w *world) again() (any, error) {
	w.now += 1000
	return w.last.action.Render(w.call(), w.last.in, w.last.batch)
}

// must is do for inputs that must succeed; it returns the last output.
func must[O any](w *world, in any) O {
	w.t.Helper()
	out, err := w.do(in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return out.(O)
}

// answer is an output or an error as text: one line for each member of the
// output, in order of name.
func answer(out any, err error) string {
	var action *iam.Error
	var refusal *identity.Refusal
	switch {
	case errors.As(err, &action):
		return action.Error() + "\n"
	case errors.As(err, &refusal):
		return refusal.Error() + "\n"
	case err != nil:
		return "internal: " + err.Error() + "\n"
	}
	var b strings.Builder
	v := reflect.ValueOf(out).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() || name == "ResultMetadata" || v.Field(i).IsZero() {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", name, compact(v.Field(i).Interface()))
	}
	if b.Len() == 0 {
		return "ok\n"
	}
	return b.String()
}

// compact is v as JSON without what is null, and without the wire's empty enums.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(b.Bytes(), &tree); err != nil {
		panic(err)
	}
	b.Reset()
	if err := enc.Encode(withoutNull(tree)); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
			} else {
				v[key] = withoutNull(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNull(v[i])
		}
	}
	return v
}

// plain are sealed texts that anybody reads.
type plain struct{}

func (plain) SealMessage(_ *identity.State, use session.Use, text []byte) (string, error) {
	return string(use) + ":" + string(text), nil
}

func (plain) OpenMessage(_ *identity.State, use session.Use, sealed string) ([]byte, bool, error) {
	text, ok := strings.CutPrefix(sealed, string(use)+":")
	return []byte(text), ok, nil
}
