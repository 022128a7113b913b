package identity

import (
	"bytes"
	"fmt"
	"testing"
)

func TestCredentialReports(t *testing.T) { run(t, credentialReportSpecs()) }

func credentialReportSpecs() []spec {
	requested := func(at Time, state ReportState) *CredentialReportRequested {
		return &CredentialReportRequested{Account: acct, State: state, Asked: at}
	}
	stored := func(number, parts int, generated Time) *CredentialReportStored {
		return &CredentialReportStored{Account: acct, Number: number, Parts: parts, Content: []byte{byte(number)}, Generated: generated}
	}
	store := func(at Position, number, parts int) *StoreCredentialReport {
		return &StoreCredentialReport{Account: acct, At: at, Number: number, Parts: parts, Content: []byte{byte(number)}}
	}
	generate := &GenerateCredentialReport{Account: acct}
	begun := requested(now-hour/60, ReportStarted)
	var many []Event
	for i := range MaxReportedUsers + 1 {
		many = append(many, &UserCreated{Account: acct, ID: ID(fmt.Sprintf("AIDA%05d", i)), Name: fmt.Sprintf("u%d", i), Path: "/"})
	}
	const late = "NoSuchEntity: Nobody waits for that credential report of account 123456789012."
	return []spec{
		{name: "none", when: generate, then: []Event{requested(now, ReportStarted)}, check: func(s *spying) {
			if p := s.PendingReports(now); len(p) != 1 || p[0].At != s.Position() || len(s.PendingReports(now+hour)) != 0 {
				s.Errorf("the reports are %v", p)
			}
		}},
		{name: "under way", given: []Event{begun}, when: generate, then: []Event{requested(now, ReportInProgress)}},
		{name: "in vain", given: []Event{requested(now-hour, ReportStarted), stored(1, 2, 0)}, when: generate, then: []Event{requested(now, ReportStarted)},
			check: func(s *spying) {
				if r := s.CredentialReport(acct); r.Stored != 0 || s.reportParts.Rows.Len() != 0 {
					s.Errorf("the report is %+v", r)
				}
			}},
		{name: "complete", given: []Event{begun, stored(1, 1, now-hour)}, when: generate, then: []Event{requested(now, ReportComplete)}},
		{name: "too old", given: []Event{begun, stored(1, 1, now-4*hour)}, when: generate, then: []Event{requested(now, ReportStarted)}},
		{name: "no account", when: &GenerateCredentialReport{Account: "0"}, refused: "NoSuchEntity: The account with id 0 cannot be found."},
		{name: "too many users", given: many, when: generate, refused: "LimitExceeded: A credential report tells of at most 5000 users."},

		{name: "first of two", given: []Event{begun}, when: store(afterBase, 1, 2), then: []Event{stored(1, 2, 0)}},
		{name: "last of two", given: []Event{begun, stored(1, 2, 0)}, when: store(afterBase, 2, 2), then: []Event{stored(2, 2, now)},
			check: func(s *spying) {
				if got := s.CredentialReportContent(acct); !bytes.Equal(got, []byte{1, 2}) {
					s.Errorf("the content is %v", got)
				}
			}},
		{name: "anew", given: []Event{begun, stored(1, 3, 0), stored(2, 3, 0)}, when: store(afterBase, 1, 1), then: []Event{stored(1, 1, now)},
			check: func(s *spying) {
				if r := s.CredentialReport(acct); r.Parts != 1 || s.reportParts.Rows.Len() != 1 {
					s.Errorf("the report is %+v", r)
				}
			}},
		{name: "of another number", given: []Event{begun, stored(1, 3, 0)}, when: store(afterBase, 2, 2),
			refused: "InvalidInput: Part 2 of 2 of the credential report does not come after part 1."},
		{name: "nobody waits", when: store(afterBase, 1, 1), refused: late},
		{name: "another report", given: []Event{begun, begun}, when: store(afterBase, 1, 1), refused: late},
		{name: "whole", given: []Event{begun, stored(1, 1, now-hour)}, when: store(afterBase, 1, 1), refused: late},
		{name: "out of order", given: []Event{begun}, when: store(afterBase, 2, 2),
			refused: "InvalidInput: Part 2 of 2 of the credential report does not come after part 0."},
		{name: "too many parts", given: []Event{begun}, when: store(afterBase, 1, MaxReportParts+1),
			refused: "LimitExceeded: A credential report has at most 64 parts of 98304 bytes."},
		{name: "too long", given: []Event{begun}, when: &StoreCredentialReport{Account: acct, At: afterBase, Number: 1, Parts: 1, Content: make([]byte, MaxReportPart+1)},
			refused: "LimitExceeded: A credential report has at most 64 parts of 98304 bytes."},
	}
}
