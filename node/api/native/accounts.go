package native

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection"
)

// The grammar of what describes an account ("CreateAccount" in the Organizations API
// Reference, and "CreateAccountAlias" in the IAM API Reference).
var (
	accountName  = regexp.MustCompile(`^[ -~]{1,50}$`)
	accountAlias = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
)

// maxAlias is how long an alias may be.
const maxAlias = 63

// maxPassword is how long a password of a root may be ("Changing the root user password" in
// the IAM User Guide).
const maxPassword = 128

// listAccounts answers GET /v1/accounts: all accounts, for callers of the one that manages
// them. Others are told of their own, and of no more.
type listAccounts struct{ *API }

func (s listAccounts) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	own := c.Caller.Account
	if err := c.May(admission.Access{Action: actionListAccounts, Resource: "*", Account: own}); err != nil {
		return err
	}
	state := c.Seen.View.State
	said := shape.Accounts{Accounts: []shape.Account{}}
	for _, a := range state.Accounts() {
		if own == s.cfg.Account || a.ID == own {
			said.Accounts = append(said.Accounts, shape.AccountOf(state, a))
		}
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the accounts: %w", err)
	}
	return c.answer(body)
}

// createAccount answers POST /v1/accounts: it opens an account.
type createAccount struct{ *API }

func (s createAccount) serve(c *call) error {
	batch, _, err := c.Write(service, actionCreateAccount, &accountToCreate{clusterChange{c, s.ofCluster(actionCreateAccount), nil}, s.cfg.Seal, seal.ID{}})
	if err != nil || batch == nil {
		return err
	}
	done := shape.AccountCreation{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		switch e := e.(type) {
		case *identity.AccountCreated:
			done.Account = e.ID
		case *identity.AccessKeyCreated: // from the log: a retry is told the key of the first attempt
			secret, err := s.cfg.Seal.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(e.Account), e.ID), e.Sealed)
			if err != nil {
				return dispatch.TookEffect(batch.Position, fmt.Errorf("secret of access key %s: %w", e.ID, err))
			}
			done.RootKey = &shape.AccountRootKey{ID: e.ID, Secret: string(secret)}
		}
	}
	return c.written(batch, done)
}

// accountToCreate is an account that is proposed. Its body is read for callers who may make
// it alone.
type accountToCreate struct {
	clusterChange
	seal *seal.Key
	by   seal.ID // that sealed its key
}

// Authorize is that of a clusterChange, which it completes.
func (r *accountToCreate) Authorize(v *projection.View) (event.Command, error) {
	if err := r.may(v); err != nil {
		return event.Command{}, err
	}
	if by := r.seal.Sealing(); r.change == nil || r.by != by {
		r.by = by
		create, asked, err := parseAccount(r.call.Payload)
		if err != nil {
			return event.Command{}, err
		}
		if create.ID == "" {
			create.ID = drawNumber(v)
		}
		if asked.RootKey {
			id, secret := iam.NewAccessKey(rand.Reader)
			sealed, err := iam.SealSecret(r.seal, create.ID, id, secret)
			if err != nil {
				return event.Command{}, err
			}
			create.RootKey = identity.NewAccessKey{ID: id, Sealed: sealed}
		}
		r.change = create
	}
	return r.command(v), nil
}

// drawNumber draws the number of an account that a view does not have.
func drawNumber(v *projection.View) identity.AccountID {
	first, span := big.NewInt(100_000_000_000), big.NewInt(900_000_000_000)
	for {
		n, err := rand.Int(rand.Reader, span)
		if err != nil { // crypto/rand ends the process instead
			panic(err)
		}
		id := identity.AccountID(n.Add(n, first).String())
		if _, taken := v.State.Account(id); !taken {
			return id
		}
	}
}

// parseAccount reads what account is to be made and checks what that alone can show.
func parseAccount(body []byte) (*identity.CreateAccount, *shape.AccountToCreate, error) {
	const hint = `Send {"email":"ops@example.com","name":"...","alias":"..."}, as /openapi.json describes.`
	var asked shape.AccountToCreate
	if err := fault.DecodeBody(body, &asked, "account", hint); err != nil {
		return nil, nil, err
	}
	switch {
	case !identity.IsEmail(asked.Email):
		return nil, nil, noEmail(asked.Email)
	case asked.Name != "" && !accountName.MatchString(asked.Name):
		return nil, nil, fault.BadRequest("Give up to 50 characters of ASCII.", "No account can be called %.80q.", asked.Name)
	case asked.Alias != "" && !isAlias(asked.Alias):
		return nil, nil, noAlias(asked.Alias)
	case asked.Account != "" && !accountNumber.MatchString(asked.Account):
		return nil, nil, fault.BadRequest("Give twelve digits, or leave it out: then one is drawn.", "%.80q is no number of an account.", asked.Account)
	}
	return &identity.CreateAccount{ID: identity.AccountID(asked.Account), Email: asked.Email, Name: asked.Name, Alias: asked.Alias}, &asked, nil
}

func noEmail(text string) error {
	return fault.BadRequest("Give one of up to 64 characters of ASCII, such as ops@example.com.", "%.80q is no e-mail address.", text)
}

// isAlias tells whether an account can have the alias. Twelve digits would be a number.
func isAlias(text string) bool {
	return len(text) <= maxAlias && accountAlias.MatchString(text) && !accountNumber.MatchString(text)
}

func noAlias(text string) error {
	return fault.BadRequest("Give 3 to 63 lower-case letters, digits and single hyphens, not twelve digits alone.", "%.80q can be no alias.", text)
}

// changeAccount answers a request to change one account: its alias, its root's e-mail
// address or password, or that it is there.
type changeAccount struct {
	*API
	action string
}

func (s changeAccount) serve(c *call) error {
	id := c.PathValue("account")
	if !accountNumber.MatchString(id) {
		return fault.BadRequest("Give the twelve digits of its number.", "%.80q is no account.", id)
	}
	p := &accountChange{s, c, identity.AccountID(id), password.Checker{}}
	batch, _, err := c.Write(service, s.action+" "+id, p)
	if err != nil || batch == nil {
		return err
	}
	return c.written(batch, shape.AccountChange{Account: p.account, Position: batch.Position, Token: dispatch.TokenOf(batch)})
}

// accountChange is a change of an account that is proposed.
type accountChange struct {
	changeAccount
	call      *call
	account   identity.AccountID
	passwords password.Checker
}

// Authorize finds out whether the caller may make the change. Of which account it is decides
// who may, and that never changes.
func (r *accountChange) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.call.admitChange(v); err != nil {
		return cmd, err
	}
	if err := r.may(v); err != nil {
		return cmd, err
	}
	a, err := heldAccount(v, r.account)
	if err != nil {
		return cmd, &dispatch.FromView{Err: err}
	}
	change, err := r.command(v, a)
	if err != nil {
		return cmd, err
	}
	return r.call.Command(v, r.action, change, nil), nil
}

// may lets callers of the account that manages the others change any of those, and others
// their own account alone. What its root signs in with the root alone changes there.
func (r *accountChange) may(v *projection.View) error {
	own := r.account == r.call.Caller.Account
	needs := admission.Access{Action: r.action, Resource: v.State.Partition().RootARN(r.account), Account: r.cfg.Account}
	if own && r.action != actionCloseAccount {
		needs.Account = r.account
	}
	if err := r.call.May(needs); err != nil {
		return err
	}
	ofRoot := r.action == actionSetRootEmail || r.action == actionSetRootPassword
	if own && ofRoot && !r.call.Caller.RootItself() {
		return fault.New(fault.Denied, "Only the root of an account changes what it signs in with.", "Sign the request with credentials of the root, or have the account that manages the others do it.")
	}
	return nil
}

// command is the command that the request asks for.
func (r *accountChange) command(v *projection.View, a *identity.Account) (identity.Command, error) {
	switch r.action {
	case actionSetAccountAlias:
		var asked shape.AccountAlias
		if err := fault.DecodeBody(r.call.Payload, &asked, "alias", `Send {"alias":"..."}; an empty one takes the alias away.`); err != nil {
			return nil, err
		}
		switch {
		case asked.Alias == "":
			return &identity.DeleteAccountAlias{Account: r.account, Alias: a.Alias}, nil
		case !isAlias(asked.Alias):
			return nil, noAlias(asked.Alias)
		}
		return &identity.SetAccountAlias{Account: r.account, Alias: asked.Alias}, nil
	case actionSetRootEmail:
		var asked shape.RootEmail
		if err := fault.DecodeBody(r.call.Payload, &asked, "e-mail address", `Send {"email":"ops@example.com"}.`); err != nil {
			return nil, err
		}
		if !identity.IsEmail(asked.Email) {
			return nil, noEmail(asked.Email)
		}
		return &identity.SetRootEmail{Account: r.account, Email: asked.Email}, nil
	case actionSetRootPassword:
		return r.password(v, a)
	}
	return &identity.CloseAccount{Account: r.account}, nil
}

// password hashes and seals the password that a request brings. It must be like one of a
// user whose account has no policy: policies are not of roots.
func (r *accountChange) password(v *projection.View, a *identity.Account) (identity.Command, error) {
	var asked shape.RootPassword
	if err := fault.DecodeBody(r.call.Payload, &asked, "password", `Send {"password":"..."}.`); err != nil {
		return nil, err
	}
	if len(asked.Password) > maxPassword {
		return nil, fault.New(fault.PasswordPolicyViolation, fmt.Sprintf("The password is longer than %d bytes.", maxPassword), "")
	}
	names := []string{string(a.ID), a.Alias, a.Name, a.Email}
	if text := password.Violation(nil, asked.Password, names...); text != "" {
		return nil, fault.New(fault.PasswordPolicyViolation, text, "")
	}
	set := &identity.SetRootPassword{Account: a.ID, Instead: a.Password.SetAt}
	if a.Closed != 0 { // it will be refused
		return set, nil
	}
	if _, took := r.call.Repeated(v); took { // the answer is the first attempt's; should that be forgotten, this is refused
		return &identity.SetRootPassword{}, nil
	}
	r.cfg.Passwords.Begin(&r.passwords, r.call.Context(), &r.call.Job, r.call.Principal.ID, r.call.Now)
	hash, err := r.passwords.Hash(rand.Reader, asked.Password)
	if err != nil {
		return nil, err
	}
	set.Sealed, err = r.cfg.Seal.Seal(seal.PasswordHash, seal.PasswordContext(string(a.ID), string(a.ID)), []byte(hash))
	return set, err
}
