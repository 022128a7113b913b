package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestDelegation(t *testing.T) { run(t, slicesOf(delegationSpecs(), delegationChangeSpecs())) }

const hour Time = 3600 * 1000

var (
	aTemplate = &PolicyCreated{Account: acct, ID: "ANPAT", Name: "template", Path: "/", Created: past,
		Document: `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::@{bucketName}/*"}}`}
	anAsk = DelegationAsk{Requestor: acct, By: "AIDAR", Description: "d", Workflow: "workflow-1", Channel: "topic", Session: 3600,
		Template: "arn:aws:iam::123456789012:policy/template", Parameters: []DelegationParameter{{Name: "bucketName", Values: []string{"b"}}}}
	asked = &DelegationRequestCreated{ID: "request-1", Ask: anAsk, Created: now - hour,
		Policy: `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`}
	anOwner = DelegationParty{Account: other, ID: "AIDAO", ARN: "arn:aws:iam::210987654321:user/o"}
	aRoot   = DelegationParty{Account: other, ID: ID(other), ARN: PartitionAWS.RootARN(other)}
)

// slicesOf is lists of specs as one.
func slicesOf(lists ...[]spec) (all []spec) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// moved brings the request into a state.
func moved(to DelegationState) *DelegationRequestChanged {
	return &DelegationRequestChanged{ID: "request-1", State: to, By: anOwner, Change: now - hour}
}

func withAsk(change func(*DelegationAsk)) DelegationAsk {
	a := anAsk
	change(&a)
	return a
}

func delegationSpecs() []spec {
	fresh := *asked
	fresh.Created = now
	create := func(change func(*DelegationAsk)) *CreateDelegationRequest {
		return &CreateDelegationRequest{ID: "request-2", Ask: withAsk(change)}
	}
	var full []Event
	full = append(full, aTemplate)
	for i := range MaxDelegationRequests {
		e := *asked
		e.ID, e.Ask.Workflow, e.Ask.By = fmt.Sprintf("request-1%03d", i), fmt.Sprintf("workflow-%d", i), ID(fmt.Sprintf("AIDA%d", i%5))
		full = append(full, &e)
	}
	long := *asked
	long.Created = now - 40*day
	var own []Event // a principal's share, of which the second has expired
	for i, e := range full[:MaxDelegationsOf+1] {
		if r, ok := e.(*DelegationRequestCreated); ok {
			mine := *r
			mine.Ask.By = anAsk.By
			if i == 2 {
				mine.Created = now - 2*day
			}
			e = &mine
		}
		own = append(own, e)
	}
	wide := *aTemplate
	wide.Document = `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"` + strings.Repeat("@{bucketName}", 1000) + `"}}`
	huge := *aTemplate
	huge.Document = strings.Repeat(" ", MaxDelegationText) + "{}"
	value := func(values ...string) func(*DelegationAsk) {
		return func(a *DelegationAsk) {
			a.Parameters = []DelegationParameter{{Name: "bucketName", List: len(values) > 1, Values: values}}
		}
	}
	return []spec{
		{name: "of a template", given: []Event{aTemplate}, when: &CreateDelegationRequest{ID: "request-1", Ask: anAsk}, then: []Event{&fresh},
			check: func(s *spying) {
				d, _ := s.DelegationRequest("request-1")
				if d.StateAt(now) != DelegationUnassigned || d.StateAt(now+day) != DelegationExpired || !d.Seen(acct) || !d.Seen(other) {
					s.Errorf("the request is %+v", d)
				}
			}},
		{name: "other workflow, the old one forgotten", given: []Event{aTemplate, &long}, when: create(func(*DelegationAsk) {}),
			then: []Event{&DelegationRequestForgotten{ID: "request-1"}, &DelegationRequestCreated{ID: "request-2", Ask: anAsk, Policy: asked.Policy, Created: now}}},
		{name: "same workflow", given: []Event{aTemplate, asked}, when: create(func(*DelegationAsk) {}),
			refused: "EntityAlreadyExists: A delegation request with requestor workflow id workflow-1 already exists."},
		{name: "too many", given: full, when: create(func(a *DelegationAsk) { a.Workflow = "another" }),
			refused: "LimitExceeded: Cannot exceed quota for DelegationRequestsPerAccount: 500"},
		{name: "too many of one's own", given: slices.Concat(own[:2], own[3:], []Event{asked}), when: create(func(a *DelegationAsk) { a.Workflow = "another" }),
			refused: "LimitExceeded: Cannot exceed quota for DelegationRequestsPerPrincipal: 100"},
		{name: "as many, one of them over", given: own, when: create(func(a *DelegationAsk) { a.Workflow = "another" }),
			then: []Event{&DelegationRequestForgotten{ID: "request-1001"},
				&DelegationRequestCreated{ID: "request-2", Ask: withAsk(func(a *DelegationAsk) { a.Workflow = "another" }), Policy: asked.Policy, Created: now}}},
		{name: "one more of another's", given: slices.Concat(own[:2], own[3:], []Event{asked}), when: create(func(a *DelegationAsk) { a.Workflow, a.By = "another", ID(acct) }),
			then: []Event{&DelegationRequestCreated{ID: "request-2", Ask: withAsk(func(a *DelegationAsk) { a.Workflow, a.By = "another", ID(acct) }), Policy: asked.Policy, Created: now}}},
		{name: "a value of spaces", given: []Event{aTemplate}, when: create(value(strings.Repeat(" ", MaxDelegationText))),
			refused: "InvalidInput: The policy of a delegation request has at most 16384 bytes, white space included."},
		{name: "few spaces in many places", given: []Event{&wide}, when: create(value(strings.Repeat(" ", 17))),
			refused: "InvalidInput: The policy of a delegation request has at most 16384 bytes, white space included."},
		{name: "a template of spaces", given: []Event{&huge}, when: create(func(*DelegationAsk) {}),
			refused: "InvalidInput: The policy template has more than 16384 bytes, white space included; store it with less of it."},
		{name: "no template", when: create(func(*DelegationAsk) {}),
			refused: "InvalidInput: Policy template arn:aws:iam::123456789012:policy/template was not found."},
		{name: "another account's template", given: []Event{aTemplate}, when: create(func(a *DelegationAsk) { a.Requestor = other }),
			refused: "InvalidInput: Policy template arn:aws:iam::123456789012:policy/template was not found."},
		{name: "no value", given: []Event{aTemplate}, when: create(func(a *DelegationAsk) { a.Parameters = nil }),
			refused: "InvalidInput: The policy template has a parameter bucketName without a value."},
		{name: "a list within a text", given: []Event{aTemplate}, when: create(value("a", "b")),
			refused: "InvalidInput: The parameter bucketName is a list, which the policy template has within a text."},
		{name: "no one value", given: []Event{aTemplate}, when: create(value()), refused: "InvalidInput: The parameter bucketName must have one value."},
		{name: "too long", given: []Event{aTemplate}, when: create(value(strings.Repeat("x", MaxDelegationPolicy))),
			refused: "InvalidInput: The policy of a delegation request has at most 2048 characters."},
		{name: "no account", given: []Event{aTemplate}, when: create(func(a *DelegationAsk) { a.Requestor = "000000000000" }),
			refused: "NoSuchEntity: The account with id 000000000000 cannot be found."},
		{name: "id in use", given: []Event{aTemplate, asked}, when: &CreateDelegationRequest{ID: "request-1", Ask: anAsk},
			refused: "EntityAlreadyExists: Delegation request with id request-1 already exists."},
	}
}

func delegationChangeSpecs() []spec {
	const id = "request-1"
	stranger := DelegationParty{Account: acct, ID: "AIDA1", ARN: "arn"}
	changed := func(to DelegationState, by DelegationParty, notes string) []Event {
		return []Event{&DelegationRequestChanged{ID: id, State: to, By: by, Notes: notes, Change: now}}
	}
	targeted := *asked
	targeted.Ask.OwnerAccount = other
	ownerSends := *asked
	ownerSends.Ask.OwnerSends = true
	long := *asked
	long.Ask.Session = MaxRootDelegation + 1
	history := func(states ...DelegationState) []Event {
		events := []Event{aTemplate, asked}
		for _, to := range states {
			events = append(events, moved(to))
		}
		return events
	}
	const absent = "NoSuchEntity: The delegation request with id request-1 cannot be found."
	return []spec{
		{name: "free", given: history(), when: &AssociateDelegationRequest{ID: id, By: anOwner}, then: changed(DelegationAssigned, anOwner, ""),
			check: func(s *spying) {
				d, _ := s.DelegationRequest(id)
				n := 0
				s.DelegationRequests(other, "", func(*DelegationRequest) bool { n++; return true })
				if d.Owner != "AIDAO" || d.Seen(acct) || d.Expires != now+7*day || n != 1 {
					s.Errorf("the request is %+v, %d in the list", d, n)
				}
			}},
		{name: "meant for the account", given: []Event{aTemplate, &targeted}, when: &AssociateDelegationRequest{ID: id, By: aRoot}, then: changed(DelegationAssigned, aRoot, "")},
		{name: "meant for another", given: []Event{aTemplate, &targeted}, when: &AssociateDelegationRequest{ID: id, By: stranger}, refused: absent},
		{name: "taken", given: history(DelegationAssigned), when: &AssociateDelegationRequest{ID: id, By: stranger}, refused: absent},
		{name: "taken in the account", given: history(DelegationAssigned), when: &AssociateDelegationRequest{ID: id, By: aRoot},
			refused: "InvalidInput: The delegation request with id request-1 is in state ASSIGNED."},
		{name: "none", when: &AssociateDelegationRequest{ID: id, By: aRoot}, refused: absent},

		{name: "assigned", given: history(DelegationAssigned), when: &UpdateDelegationRequest{ID: id, By: anOwner, Notes: "n"},
			then: changed(DelegationPendingApproval, anOwner, "n")},
		{name: "rejected", given: history(DelegationAssigned, DelegationRejected), when: &UpdateDelegationRequest{ID: id, By: anOwner},
			refused: "InvalidInput: The delegation request with id request-1 is in state REJECTED."},

		{name: "assigned", given: history(DelegationAssigned), when: &AcceptDelegationRequest{ID: id, By: aRoot}, then: changed(DelegationAccepted, aRoot, ""),
			check: func(s *spying) {
				if d, _ := s.DelegationRequest(id); d.Approver != aRoot.ARN || d.Owner != "AIDAO" {
					s.Errorf("the request is %+v", d)
				}
			}},
		{name: "pending", given: history(DelegationAssigned, DelegationPendingApproval), when: &AcceptDelegationRequest{ID: id, By: anOwner},
			then: changed(DelegationAccepted, anOwner, "")},
		{name: "unassigned", given: history(), when: &AcceptDelegationRequest{ID: id, By: anOwner},
			refused: "ConcurrentModification: The delegation request with id request-1 is in state UNASSIGNED."},
		{name: "too long for a root", given: []Event{aTemplate, &long, moved(DelegationAssigned)}, when: &AcceptDelegationRequest{ID: id, By: aRoot},
			refused: "InvalidInput: A root user can approve a delegation for at most 14400 seconds."},
		{name: "expired", given: []Event{aTemplate, asked, &DelegationRequestChanged{ID: id, State: DelegationAssigned, By: anOwner, Change: now - 7*day}},
			when: &AcceptDelegationRequest{ID: id, By: anOwner}, refused: "ConcurrentModification: The delegation request with id request-1 is in state EXPIRED."},

		{name: "accepted", given: history(DelegationAssigned, DelegationAccepted), when: &RejectDelegationRequest{ID: id, By: anOwner, Notes: "no"},
			then: changed(DelegationRejected, anOwner, "no")},
		{name: "finalized", given: history(DelegationAssigned, DelegationAccepted, DelegationFinalized), when: &RejectDelegationRequest{ID: id, By: anOwner},
			refused: "InvalidInput: The delegation request with id request-1 is in state FINALIZED."},

		{name: "accepted", given: history(DelegationAssigned, DelegationAccepted), when: &SendDelegationToken{ID: id, By: aRoot}, then: changed(DelegationFinalized, aRoot, "")},
		{name: "assigned", given: history(DelegationAssigned), when: &SendDelegationToken{ID: id, By: aRoot},
			refused: "InvalidInput: The delegation request with id request-1 is in state ASSIGNED."},
		{name: "by another than the owner", given: []Event{aTemplate, &ownerSends, moved(DelegationAssigned), moved(DelegationAccepted)}, when: &SendDelegationToken{ID: id, By: aRoot},
			refused: "InvalidInput: Only the owner of the delegation request with id request-1 can send its token."},
	}
}

func TestPolicyTemplates(t *testing.T) {
	for _, c := range []struct {
		template string
		values   []DelegationParameter
		want     string
	}{
		{`{"a":"@{x}-@{x}"}`, []DelegationParameter{{Name: "x", Values: []string{`"\`}}}, `{"a":"\"\\-\"\\"}`},
		{`{"a":"@{x}"}`, []DelegationParameter{{Name: "x", List: true, Values: []string{"1", `"`}}}, `{"a":["1","\""]}`},
		{`{"a":"@{x}"}`, []DelegationParameter{{Name: "x", List: true}}, `{"a":[]}`},
		{`{"a":"@{x"}`, nil, ""},
		{`{"a":"${aws:username}"}`, nil, `{"a":"${aws:username}"}`},
	} {
		got, err := filled(c.template, c.values)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s is filled to %s, %v; not %s", c.template, got, err, c.want)
		}
	}
}
