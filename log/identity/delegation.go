package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// DelegationState says how far a delegation request has come. Numbers are stored: append,
// never reorder or reuse.
type DelegationState uint8

// The states of a delegation request ("Understanding the Request Lifecycle"). That one
// has expired is not stored: time shows it.
const (
	DelegationUnassigned      DelegationState = 1
	DelegationAssigned        DelegationState = 2
	DelegationPendingApproval DelegationState = 3
	DelegationFinalized       DelegationState = 4
	DelegationAccepted        DelegationState = 5
	DelegationRejected        DelegationState = 6
	DelegationExpired         DelegationState = 7
)

// String is the name of the state in AWS's API.
func (d DelegationState) String() string {
	switch d {
	case DelegationUnassigned:
		return "UNASSIGNED"
	case DelegationAssigned:
		return "ASSIGNED"
	case DelegationPendingApproval:
		return "PENDING_APPROVAL"
	case DelegationFinalized:
		return "FINALIZED"
	case DelegationAccepted:
		return "ACCEPTED"
	case DelegationRejected:
		return "REJECTED"
	}
	return "EXPIRED"
}

// Limits of delegation requests.
const (
	// MaxDelegationRequests is how many requests of one requestor are kept at once, and
	// MaxDelegationsOf how many that one of its principals asked for: nobody alone takes
	// all places.
	MaxDelegationRequests = 500
	MaxDelegationsOf      = 100
	// MaxDelegationPolicy is how many characters, white space aside, the policy of a
	// request may have ("Policy templates").
	MaxDelegationPolicy = 2048
	// MaxDelegationText is how many bytes, white space included, that policy may have, and
	// its template. AWS names no such limit.
	MaxDelegationText = 16 << 10
	// MaxRootDelegation is the longest session that a root may approve, in seconds
	// ("IAM temporary delegation").
	MaxRootDelegation = 4 * 3600

	// unassignedDelegation is how long a request waits for an owner, delegationStep how long
	// it stays in any later state, and expiredDelegation how long it is kept after that.
	unassignedDelegation Time = 24 * 3600 * 1000
	delegationStep       Time = 7 * 24 * 3600 * 1000
	expiredDelegation    Time = 30 * 24 * 3600 * 1000
	// forgottenAtOnce is how many requests one command forgets at most.
	forgottenAtOnce = 16
)

// DelegationParameter is a value for a place in a policy template, such as @{bucketName}.
type DelegationParameter struct {
	Name   string
	List   bool // the value is a list
	Values []string
}

// DelegationAsk is what a requestor asks for.
type DelegationAsk struct {
	Requestor    AccountID
	By           ID        // who asks, of the requestor; the account's number for its root
	OwnerAccount AccountID // whom it is for; empty for whoever associates it first
	Description  string
	Message      string
	Workflow     string // the requestor's own name for it; none has two requests
	Redirect     string
	Channel      string
	Session      int // seconds
	OwnerSends   bool
	Template     string // ARN of the managed policy that is the template
	Parameters   []DelegationParameter
}

// DelegationRequest asks an account to delegate permissions for a while.
type DelegationRequest struct {
	ID      string
	Ask     DelegationAsk
	Policy  string // the template with the values in their places
	Created Time

	State      DelegationState
	Updated    Time
	Expires    Time
	Account    AccountID // of the owner: asked for, or that of who associated it
	Owner      ID        // who associated it; the account's number for its root
	OwnerARN   string    // at that time
	Approver   string    // ARN of who accepted it, at that time
	Notes      string
	RejectedBy string // why: the notes of the rejection
}

// StateAt is the state of the request at a time.
func (d *DelegationRequest) StateAt(t Time) DelegationState {
	if t >= d.Expires {
		return DelegationExpired
	}
	return d.State
}

// Seen tells whether an account may know of the request: its owner's alone, or while it
// has none, every one.
func (d *DelegationRequest) Seen(account AccountID) bool {
	return d.Account == "" || d.Account == account
}

// Handle makes a DelegationRequest a record of a table, by its key, as do Is and AppendDigest.
func (d *DelegationRequest) Handle() table.Handle { return table.HandleOf(d.ID) }

// Is tells whether the DelegationRequest has that key.
func (d *DelegationRequest) Is(key string) bool { return d.ID == key }

// AppendDigest appends all that the DelegationRequest has.
func (d *DelegationRequest) AppendDigest(b []byte) []byte {
	b = append(b, 'd')
	b = digest.AppendString(b, d.ID)
	b = appendAsk(b, &d.Ask)
	b = digest.AppendString(b, d.Policy)
	b = digest.AppendInt(b, int64(d.Created))
	b = digest.AppendInt(b, uint8(d.State))
	b = digest.AppendInt(b, int64(d.Updated))
	b = digest.AppendInt(b, int64(d.Expires))
	b = digest.AppendString(b, d.Account)
	b = digest.AppendString(b, d.Owner)
	b = digest.AppendString(b, d.OwnerARN)
	b = digest.AppendString(b, d.Approver)
	b = digest.AppendString(b, d.Notes)
	b = digest.AppendString(b, d.RejectedBy)
	if d.Ask.By == "" { // as before it was kept
		return b
	}
	return digest.AppendString(b, d.Ask.By)
}

func appendAsk(b []byte, a *DelegationAsk) []byte {
	b = digest.AppendString(b, a.Requestor)
	b = digest.AppendString(b, a.OwnerAccount)
	for _, text := range [...]string{a.Description, a.Message, a.Workflow, a.Redirect, a.Channel, a.Template} {
		b = digest.AppendString(b, text)
	}
	b = digest.AppendInt(b, a.Session)
	b = digest.AppendBool(b, a.OwnerSends)
	b = digest.AppendInt(b, len(a.Parameters))
	for _, p := range a.Parameters {
		b = digest.AppendString(b, p.Name)
		b = digest.AppendBool(b, p.List)
		b = digest.AppendInt(b, len(p.Values))
		for _, v := range p.Values {
			b = digest.AppendString(b, v)
		}
	}
	return b
}

// The ends of the relation from accounts to delegation requests that one account has by
// two names: as requestor, and as owner.
func requestorOf(account AccountID) string { return "requestor " + string(account) }
func ownerOf(account AccountID) string     { return "owner " + string(account) }

// DelegationRequest returns the request with that identifier.
func (s *State) DelegationRequest(id string) (*DelegationRequest, bool) { return s.delegations.Get(id) }

// DelegationRequests yields the requests that somebody of an account has associated, those
// after the one of that identifier, or all if it is empty. The order is fixed, that of handles.
func (s *State) DelegationRequests(owner AccountID, after string, yield func(*DelegationRequest) bool) {
	s.eachDelegation(ownerOf(owner), after, yield)
}

func (s *State) eachDelegation(from, after string, yield func(*DelegationRequest) bool) {
	s.delegated.Each(from, after, func(h table.Handle) bool {
		d, ok := s.delegations.Rows.Get(h)
		return !ok || yield(d)
	})
}

// CreateDelegationRequest makes a request of what a requestor asks for.
type CreateDelegationRequest struct {
	ID  string
	Ask DelegationAsk
}

// DelegationRequestCreated made a request.
type DelegationRequestCreated struct {
	ID      string
	Ask     DelegationAsk
	Policy  string
	Created Time
}

// DelegationRequestForgotten ends the record of a request that expired long ago.
type DelegationRequestForgotten struct{ ID string }

func (c *CreateDelegationRequest) decide(s *State, m Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Ask.Requestor); err != nil {
		return nil, err
	}
	if _, taken := s.delegations.Rows.Get(table.HandleOf(c.ID)); taken {
		return nil, refuse(EntityAlreadyExists, "Delegation request with id %s already exists.", c.ID)
	}
	events, err := s.placeDelegation(&c.Ask, m)
	if err != nil {
		return nil, err
	}
	policy, err := s.delegatedPolicy(&c.Ask)
	if err != nil {
		return nil, err
	}
	return append(events, &DelegationRequestCreated{ID: c.ID, Ask: c.Ask, Policy: policy, Created: m.Time}), nil
}

// placeDelegation finds a place for a request, or refuses it. It forgets what expired long
// ago; and where that leaves none, the one of the principal's own that expired first.
func (s *State) placeDelegation(a *DelegationAsk, m Meta) (forgotten []Event, err error) {
	var over *DelegationRequest
	kept, own, taken := 0, 0, false
	s.eachDelegation(requestorOf(a.Requestor), "", func(d *DelegationRequest) bool {
		if m.Time >= d.Expires+expiredDelegation && len(forgotten) < forgottenAtOnce {
			forgotten = append(forgotten, &DelegationRequestForgotten{ID: d.ID})
			return true
		}
		kept++
		taken = taken || d.Ask.Workflow == a.Workflow
		if d.Ask.By != a.By {
			return true
		}
		own++
		if m.Time >= d.Expires && (over == nil || d.Expires < over.Expires) {
			over = d
		}
		return true
	})
	if taken {
		return nil, refuse(EntityAlreadyExists, "A delegation request with requestor workflow id %s already exists.", a.Workflow)
	}
	if over != nil && (own >= MaxDelegationsOf || kept >= MaxDelegationRequests) {
		forgotten = append(forgotten, &DelegationRequestForgotten{ID: over.ID})
		kept, own = kept-1, own-1
	}
	switch {
	case own >= MaxDelegationsOf:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for DelegationRequestsPerPrincipal: %d", MaxDelegationsOf)
	case kept >= MaxDelegationRequests:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for DelegationRequestsPerAccount: %d", MaxDelegationRequests)
	}
	return forgotten, nil
}

// Delegable tells why a request would be refused for its policy as the state is, or nil:
// who proposes it need not have that decided. Nothing relies on it, since the policy is
// made of the template as it is when the command is decided.
func (w *Witness) Delegable(a *DelegationAsk) error {
	_, err := w.state.delegatedPolicy(a)
	return err
}

// delegatedPolicy is the policy that is asked for: as the template reads now, whatever
// becomes of that later.
func (s *State) delegatedPolicy(a *DelegationAsk) (string, error) {
	p, ok := s.Policy(a.Template)
	if !ok || p.Account != a.Requestor && p.Account != AWSAccount {
		return "", refuse(InvalidInput, "Policy template %s was not found.", a.Template)
	}
	return filled(p.Document(), a.Parameters)
}

// filled is a policy template with the values in their places: texts in texts, a list in
// place of a text that is the name of the list alone.
//
// It never makes more than twice MaxDelegationText: a value of spaces, which do not count
// as characters, in thousands of places would be megabytes.
func filled(template string, values []DelegationParameter) (string, error) {
	if len(template) > MaxDelegationText {
		return "", refuse(InvalidInput, "The policy template has more than %d bytes, white space included; store it with less of it.", MaxDelegationText)
	}
	var out []byte
	size, rest := 0, template
	for {
		head, tail, found := strings.Cut(rest, "@{")
		start := len(out)
		out = append(out, head...) // all of them together are at most the template
		if found {
			name, after, closed := strings.Cut(tail, "}")
			i := slices.IndexFunc(values, func(p DelegationParameter) bool { return p.Name == name })
			switch {
			case !closed || i < 0:
				return "", refuse(InvalidInput, "The policy template has a parameter %s without a value.", name)
			case !values[i].List && len(values[i].Values) != 1:
				return "", refuse(InvalidInput, "The parameter %s must have one value.", name)
			case len(out)+values[i].size() > MaxDelegationText:
				return "", longDelegation()
			case !values[i].List:
				out = appendEscaped(out, values[i].Values[0])
			case !strings.HasSuffix(head, `"`) || !strings.HasPrefix(after, `"`):
				return "", refuse(InvalidInput, "The parameter %s is a list, which the policy template has within a text.", name)
			default:
				out = appendList(out[:len(out)-1], values[i].Values)
				after = after[1:]
			}
			rest = after
		}
		if size += inlineSize(string(out[start:])); size > MaxDelegationPolicy {
			return "", refuse(InvalidInput, "The policy of a delegation request has at most %d characters.", MaxDelegationPolicy)
		}
		if len(out) > MaxDelegationText {
			return "", longDelegation()
		}
		if !found {
			return string(out), nil
		}
	}
}

func longDelegation() *Refusal {
	return refuse(InvalidInput, "The policy of a delegation request has at most %d bytes, white space included.", MaxDelegationText)
}

// size is how many bytes the values have, before they are escaped.
func (p *DelegationParameter) size() (n int) {
	for _, v := range p.Values {
		n += len(v)
	}
	return n
}

func appendList(out []byte, values []string) []byte {
	out = append(out, '[')
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendEscaped(append(out, '"'), v), '"')
	}
	return append(out, ']')
}

// appendEscaped appends a value, which has printable letters of ASCII alone, as a part of
// a text of JSON: it can end neither the text nor the statement.
func appendEscaped(out []byte, value string) []byte {
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, value[i])
	}
	return out
}

func (e *DelegationRequestCreated) evolve(s *State) {
	d := &DelegationRequest{ID: e.ID, Ask: e.Ask, Policy: e.Policy, Created: e.Created, State: DelegationUnassigned,
		Updated: e.Created, Expires: e.Created + unassignedDelegation, Account: e.Ask.OwnerAccount}
	s.delegations.Put(d)
	s.delegated.Add(table.HandleOf(requestorOf(e.Ask.Requestor)), d.Handle())
}

func (e *DelegationRequestForgotten) evolve(s *State) {
	d, ok := s.delegations.Get(e.ID)
	if !ok {
		return
	}
	s.delegated.Remove(table.HandleOf(requestorOf(d.Ask.Requestor)), d.Handle())
	if d.Owner != "" {
		s.delegated.Remove(table.HandleOf(ownerOf(d.Account)), d.Handle())
	}
	s.delegations.Delete(d)
}

// DelegationParty is who acts on a delegation request.
type DelegationParty struct {
	Account AccountID
	ID      ID // a user's; the account's number for its root
	ARN     string
}

// DelegationRequestChanged brought a request into a state.
type DelegationRequestChanged struct {
	ID     string
	State  DelegationState
	By     DelegationParty
	Notes  string
	Change Time
}

// changeDelegation is the event that brings a request from one of the states into another.
func (s *State) changeDelegation(id string, by DelegationParty, m Meta, wrong Code, to DelegationState, from ...DelegationState) (*DelegationRequest, []Event, error) {
	d, ok := s.delegations.Get(id)
	if !ok || !d.Seen(by.Account) {
		return nil, nil, refuse(NoSuchEntity, "The delegation request with id %s cannot be found.", id)
	}
	now := d.StateAt(max(s.time, m.Time))
	for _, state := range from {
		if now == state {
			return d, []Event{&DelegationRequestChanged{ID: id, State: to, By: by, Change: m.Time}}, nil
		}
	}
	return nil, nil, refuse(wrong, "The delegation request with id %s is in state %s.", id, now)
}

func (e *DelegationRequestChanged) evolve(s *State) {
	changeRecord(&s.delegations, e.ID, func(d *DelegationRequest) bool {
		d.State, d.Updated, d.Expires = e.State, e.Change, e.Change+delegationStep
		switch e.State {
		case DelegationAssigned:
			d.Account, d.Owner, d.OwnerARN = e.By.Account, e.By.ID, e.By.ARN
			s.delegated.Add(table.HandleOf(ownerOf(d.Account)), d.Handle())
		case DelegationPendingApproval:
			d.Notes = e.Notes
		case DelegationAccepted:
			d.Approver = e.By.ARN
		case DelegationRejected:
			d.RejectedBy = e.Notes
		}
		return true
	})
}

// AssociateDelegationRequest makes who calls the owner of a request that has none.
type AssociateDelegationRequest struct {
	ID string
	By DelegationParty
}

func (c *AssociateDelegationRequest) decide(s *State, m Meta) ([]Event, error) {
	_, events, err := s.changeDelegation(c.ID, c.By, m, InvalidInput, DelegationAssigned, DelegationUnassigned)
	return events, err
}

// UpdateDelegationRequest leaves a request to somebody else of the account to approve.
type UpdateDelegationRequest struct {
	ID    string
	By    DelegationParty
	Notes string
}

func (c *UpdateDelegationRequest) decide(s *State, m Meta) ([]Event, error) {
	_, events, err := s.changeDelegation(c.ID, c.By, m, InvalidInput, DelegationPendingApproval, DelegationAssigned, DelegationPendingApproval)
	return noted(events, c.Notes), err
}

// AcceptDelegationRequest approves a request.
type AcceptDelegationRequest struct {
	ID string
	By DelegationParty
}

func (c *AcceptDelegationRequest) decide(s *State, m Meta) ([]Event, error) {
	// The operation has no error of its own for the wrong state: somebody else was quicker.
	d, events, err := s.changeDelegation(c.ID, c.By, m, ConcurrentModification, DelegationAccepted, DelegationAssigned, DelegationPendingApproval)
	if err == nil && c.By.ID == ID(c.By.Account) && d.Ask.Session > MaxRootDelegation {
		return nil, refuse(InvalidInput, "A root user can approve a delegation for at most %d seconds.", MaxRootDelegation)
	}
	return events, err
}

// RejectDelegationRequest refuses a request for good.
type RejectDelegationRequest struct {
	ID    string
	By    DelegationParty
	Notes string
}

func (c *RejectDelegationRequest) decide(s *State, m Meta) ([]Event, error) {
	_, events, err := s.changeDelegation(c.ID, c.By, m, InvalidInput, DelegationRejected,
		DelegationAssigned, DelegationPendingApproval, DelegationAccepted)
	return noted(events, c.Notes), err
}

// SendDelegationToken ends a request that was accepted: from then on its requestor may act.
type SendDelegationToken struct {
	ID string
	By DelegationParty
}

func (c *SendDelegationToken) decide(s *State, m Meta) ([]Event, error) {
	d, events, err := s.changeDelegation(c.ID, c.By, m, InvalidInput, DelegationFinalized, DelegationAccepted)
	if err == nil && d.Ask.OwnerSends && d.Owner != c.By.ID {
		return nil, refuse(InvalidInput, "Only the owner of the delegation request with id %s can send its token.", c.ID)
	}
	return events, err
}

// noted are events of which the first, a change of a request, has these notes.
func noted(events []Event, notes string) []Event {
	if len(events) > 0 {
		events[0].(*DelegationRequestChanged).Notes = notes
	}
	return events
}
