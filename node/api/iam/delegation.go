package iam

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// delegationActions are about requests to delegate permissions for a while. AWS lets an
// owner read and change its own request without a policy that says so; here all of them
// need their permission, on the request in the caller's account.
func delegationActions() []Action {
	return []Action{
		write("AcceptDelegationRequest", acceptDelegationRequest{}),
		write("AssociateDelegationRequest", associateDelegationRequest{}),
		write("CreateDelegationRequest", createDelegationRequest{}),
		read("GetDelegationRequest", getDelegationRequest{}),
		read("GetHumanReadableSummary", getHumanReadableSummary{}),
		read("ListDelegationRequests", listDelegationRequests{}),
		write("RejectDelegationRequest", rejectDelegationRequest{}),
		minting(write("SendDelegationToken", sendDelegationToken{})),
		write("UpdateDelegationRequest", updateDelegationRequest{}),
	}
}

// Condition keys of CreateDelegationRequest.
const (
	keyDelegationDuration policy.Key = "iam:delegationduration"
	keyDelegationOwner    policy.Key = "iam:delegationrequestowner"
	keyNotification       policy.Key = "iam:notificationchannel"
	keyTemplate           policy.Key = "iam:templatearn"
)

// maxDelegationValues bounds the bytes of the parameters of a request: AWS bounds their
// number alone.
const maxDelegationValues = 16 << 10

const delegationNoun = "delegation-request/"

// maxRequestorName is how many characters a requestor's name may have in an answer.
const maxRequestorName = 30

// delegationARN is the ARN of the request of that identifier. Requests have theirs in the
// account of whoever asks for them.
func (c *Call) delegationARN(id string) string {
	return c.partition().IAM() + string(c.Caller.Account) + ":" + delegationNoun + id
}

// onDelegation is the access to the request of that identifier.
func (c *Call) onDelegation(id *string) []Access {
	return []Access{{Resource: c.delegationARN(aws.ToString(id)), Account: c.Caller.Account}}
}

// party is the caller, for a command.
func (c *Call) party() identity.DelegationParty {
	return identity.DelegationParty{Account: c.Caller.Account, ID: c.Caller.ID, ARN: c.Caller.ARN}
}

// mustDelegation finds a request that the caller's account may know of.
func (c *Call) mustDelegation(id string) (*identity.DelegationRequest, error) {
	if d, ok := c.state().DelegationRequest(id); ok && d.Seen(c.Caller.Account) {
		return d, nil
	}
	return nil, fail(codeNoSuchEntity, "The delegation request with id %s cannot be found.", id)
}

type createDelegationRequest struct{}

func (createDelegationRequest) Access(c *Call, in *sdk.CreateDelegationRequestInput) []Access {
	a := c.onDelegation(aws.String("*"))[0].With(
		policy.Single(keyDelegationDuration, strconv.Itoa(int(aws.ToInt32(in.SessionDuration)))),
		policy.Single(keyNotification, aws.ToString(in.NotificationChannel)))
	if in.OwnerAccountId != nil {
		a = a.With(policy.Single(keyDelegationOwner, *in.OwnerAccountId))
	}
	if in.Permissions != nil && in.Permissions.PolicyTemplateArn != nil {
		c.policyTarget(in.Permissions.PolicyTemplateArn) // the very policy that the ARN names now
		a = a.With(policy.Single(keyTemplate, *in.Permissions.PolicyTemplateArn))
	}
	return []Access{a}
}

func (createDelegationRequest) Command(c *Call, in *sdk.CreateDelegationRequestInput) (identity.Command, error) {
	if in.Permissions == nil || in.Permissions.PolicyTemplateArn == nil {
		return nil, fail(codeInvalidInput, "The permissions of a delegation request must name a policy template.")
	}
	parameters, err := newParameters(in.Permissions.Parameters)
	if err != nil {
		return nil, err
	}
	ask := identity.DelegationAsk{
		Requestor: c.Caller.Account, By: c.Caller.ID, OwnerAccount: identity.AccountID(aws.ToString(in.OwnerAccountId)),
		Description: aws.ToString(in.Description), Message: aws.ToString(in.RequestMessage), Workflow: aws.ToString(in.RequestorWorkflowId),
		Redirect: aws.ToString(in.RedirectUrl), Channel: aws.ToString(in.NotificationChannel), Session: int(aws.ToInt32(in.SessionDuration)),
		OwnerSends: in.OnlySendByOwner, Template: *in.Permissions.PolicyTemplateArn, Parameters: parameters,
	}
	if err := c.witness.Delegable(&ask); err != nil { // what would be refused is not to take its way through the log
		return nil, err
	}
	return &identity.CreateDelegationRequest{ID: c.newUUID(), Ask: ask}, nil
}

// newParameters are the parameters of a request for a command.
func newParameters(list []types.PolicyParameter) (parameters []identity.DelegationParameter, err error) {
	size := 0
	seen := map[string]bool{}
	for _, p := range list {
		name := aws.ToString(p.Name)
		if seen[name] {
			return nil, fail(codeInvalidInput, "The parameter %s is given twice.", name)
		}
		seen[name] = true
		size += len(name)
		for _, v := range p.Values {
			size += len(v) + 1
		}
		parameters = append(parameters, identity.DelegationParameter{Name: name, List: p.Type == types.PolicyParameterTypeEnumStringList, Values: p.Values})
	}
	if size > maxDelegationValues {
		return nil, fail(codeInvalidInput, "The parameters of a delegation request have at most %d bytes.", maxDelegationValues)
	}
	return parameters, nil
}

func (createDelegationRequest) Render(_ *Call, _ *sdk.CreateDelegationRequestInput, b *event.Batch) (*sdk.CreateDelegationRequestOutput, error) {
	e, err := one[*identity.DelegationRequestCreated](b)
	if err != nil {
		return nil, err
	}
	return &sdk.CreateDelegationRequestOutput{DelegationRequestId: aws.String(e.ID)}, nil // without a console there is no link
}

type associateDelegationRequest struct {
	nothing[sdk.AssociateDelegationRequestInput, sdk.AssociateDelegationRequestOutput]
}

func (associateDelegationRequest) Access(c *Call, in *sdk.AssociateDelegationRequestInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

func (associateDelegationRequest) Command(c *Call, in *sdk.AssociateDelegationRequestInput) (identity.Command, error) {
	return &identity.AssociateDelegationRequest{ID: aws.ToString(in.DelegationRequestId), By: c.party()}, nil
}

type updateDelegationRequest struct {
	nothing[sdk.UpdateDelegationRequestInput, sdk.UpdateDelegationRequestOutput]
}

func (updateDelegationRequest) Access(c *Call, in *sdk.UpdateDelegationRequestInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

func (updateDelegationRequest) Command(c *Call, in *sdk.UpdateDelegationRequestInput) (identity.Command, error) {
	return &identity.UpdateDelegationRequest{ID: aws.ToString(in.DelegationRequestId), By: c.party(), Notes: aws.ToString(in.Notes)}, nil
}

type acceptDelegationRequest struct {
	nothing[sdk.AcceptDelegationRequestInput, sdk.AcceptDelegationRequestOutput]
}

func (acceptDelegationRequest) Access(c *Call, in *sdk.AcceptDelegationRequestInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

func (acceptDelegationRequest) Command(c *Call, in *sdk.AcceptDelegationRequestInput) (identity.Command, error) {
	return &identity.AcceptDelegationRequest{ID: aws.ToString(in.DelegationRequestId), By: c.party()}, nil
}

type rejectDelegationRequest struct {
	nothing[sdk.RejectDelegationRequestInput, sdk.RejectDelegationRequestOutput]
}

func (rejectDelegationRequest) Access(c *Call, in *sdk.RejectDelegationRequestInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

func (rejectDelegationRequest) Command(c *Call, in *sdk.RejectDelegationRequestInput) (identity.Command, error) {
	return &identity.RejectDelegationRequest{ID: aws.ToString(in.DelegationRequestId), By: c.party(), Notes: aws.ToString(in.Notes)}, nil
}

type sendDelegationToken struct{}

func (sendDelegationToken) Access(c *Call, in *sdk.SendDelegationTokenInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

// Command brings the request into its last state.
func (sendDelegationToken) Command(c *Call, in *sdk.SendDelegationTokenInput) (identity.Command, error) {
	return &identity.SendDelegationToken{ID: aws.ToString(in.DelegationRequestId), By: c.party()}, nil
}

// tradeIn is what a trade-in token says: the request, and when it was made.
func tradeIn(id string, at event.Position, now identity.Time) []byte {
	return fmt.Appendf(nil, "%d %d %s", at, now, id)
}

// ParseTradeIn reads what a trade-in token says; what is none is of no request.
func ParseTradeIn(text []byte) (id string, at event.Position, made identity.Time) {
	if _, err := fmt.Sscanf(string(text), "%d %d %s", &at, &made, &id); err != nil {
		return "", 0, 0
	}
	return id, at, made
}

// Render makes the token that the requestor trades in for credentials. There is no
// notification channel here by which it could be sent: whoever sends it gets it, in a header,
// and hands it to the requestor.
func (sendDelegationToken) Render(c *Call, _ *sdk.SendDelegationTokenInput, b *event.Batch) (*sdk.SendDelegationTokenOutput, error) {
	sent, err := one[*identity.DelegationRequestChanged](b)
	if err != nil {
		return nil, err
	}
	token, err := c.Messages.SealMessage(c.View.State, session.TradeIn, tradeIn(sent.ID, c.View.Head.Position, c.Now))
	if err != nil {
		return nil, fmt.Errorf("seal a trade-in token: %w", err)
	}
	c.TradeIn = token
	return &sdk.SendDelegationTokenOutput{}, nil
}

type getDelegationRequest struct{}

func (getDelegationRequest) Access(c *Call, in *sdk.GetDelegationRequestInput) []Access {
	return c.onDelegation(in.DelegationRequestId)
}

func (getDelegationRequest) Answer(c *Call, in *sdk.GetDelegationRequestInput) (*sdk.GetDelegationRequestOutput, error) {
	d, err := c.mustDelegation(aws.ToString(in.DelegationRequestId))
	if err != nil {
		return nil, err
	}
	shown := c.shownDelegation(d)
	out := &sdk.GetDelegationRequestOutput{DelegationRequest: &shown}
	if in.DelegationPermissionCheck {
		out.PermissionCheckStatus = types.PermissionCheckStatusTypeComplete
		if out.PermissionCheckResult, err = c.covers(d.Policy); err != nil {
			return nil, err
		}
	}
	return out, c.Work.Err()
}

func (c *Call) shownDelegation(d *identity.DelegationRequest) types.DelegationRequest {
	a := &d.Ask
	shown := types.DelegationRequest{
		DelegationRequestId: aws.String(d.ID), Description: aws.String(a.Description), State: types.StateType(d.StateAt(c.Now).String()),
		CreateDate: shownTime(d.Created), UpdatedTime: shownTime(d.Updated), ExpirationTime: shownTime(d.Expires),
		RequestorId: aws.String(string(a.Requestor)), SessionDuration: aws.Int32(int32(a.Session)), OnlySendByOwner: a.OwnerSends,
		PermissionPolicy: aws.String(d.Policy), Permissions: &types.DelegationPermission{PolicyTemplateArn: aws.String(a.Template)},
		OwnerAccountId: textOrNil(string(d.Account)), OwnerId: textOrNil(d.OwnerARN), ApproverId: textOrNil(d.Approver), Notes: textOrNil(d.Notes),
		RejectionReason: textOrNil(d.RejectedBy), RequestMessage: textOrNil(a.Message), RedirectUrl: textOrNil(a.Redirect),
		RolePermissionRestrictionArns: c.restrictions(d.Policy),
	}
	if of, ok := c.state().Account(a.Requestor); ok && utf8.RuneCountInString(of.Alias) <= maxRequestorName {
		shown.RequestorName = textOrNil(of.Alias)
	}
	for _, p := range a.Parameters {
		kind := types.PolicyParameterTypeEnumString
		if p.List {
			kind = types.PolicyParameterTypeEnumStringList
		}
		shown.Permissions.Parameters = append(shown.Permissions.Parameters, types.PolicyParameter{Name: aws.String(p.Name), Type: kind, Values: p.Values})
	}
	return shown
}

// textOrNil is a text for an answer that leaves out empty ones.
func textOrNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// restrictions are the boundaries that a policy demands of the roles that it lets make.
func (c *Call) restrictions(document string) (arns []string) {
	doc := c.parsed(document)
	if doc == nil {
		return nil
	}
	compiled := policy.Compile(doc)
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Condition == nil || compiled.Statements[i].Effect != syntax.Allow || !compiled.Statements[i].MatchActionWithin("iam:CreateRole", c.Work) {
			continue
		}
		for _, b := range s.Condition.Blocks {
			for _, k := range b.Keys {
				if policy.NewKey(k.Key.Value) != keyBoundary {
					continue
				}
				for _, v := range k.Values.Items {
					arns = append(arns, v.Value)
				}
			}
		}
	}
	return arns
}

type listDelegationRequests struct{}

func (listDelegationRequests) Access(c *Call, in *sdk.ListDelegationRequestsInput) []Access {
	list := c.anything()
	if in.OwnerId != nil {
		list[0] = list[0].With(policy.Single(keyDelegationOwner, *in.OwnerId))
	}
	return list
}

func (listDelegationRequests) Answer(c *Call, in *sdk.ListDelegationRequestsInput) (*sdk.ListDelegationRequestsOutput, error) {
	walk := func(after string, yield func(*identity.DelegationRequest) bool) {
		c.state().DelegationRequests(c.Caller.Account, after, yield)
	}
	id := func(d *identity.DelegationRequest) string { return d.ID }
	p, err := paginate("ListDelegationRequests", in.Marker, in.MaxItems, walk, id, func(d *identity.DelegationRequest) (types.DelegationRequest, bool) {
		if in.OwnerId != nil && d.OwnerARN != *in.OwnerId {
			return types.DelegationRequest{}, false
		}
		return c.shownDelegation(d), true
	})
	if err == nil {
		err = c.Work.Err()
	}
	return &sdk.ListDelegationRequestsOutput{DelegationRequests: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// delegationOf is the identifier in the ARN of a delegation request; of no other account's
// ARN, since it is by the ARN in the caller's account that the caller is allowed.
func (c *Call) delegationOf(arn string) (id string, ok bool) {
	id, ok = strings.CutPrefix(arn, c.delegationARN(""))
	return id, ok && id != ""
}

// parsed parses a stored document as a part of the call's work; nil if it cannot be read.
func (c *Call) parsed(document string) *syntax.Document {
	if !c.Work.Spend(policy.ParseCost(document)) {
		return nil
	}
	doc, err := syntax.Parse(document)
	if err != nil {
		return nil
	}
	return doc
}
