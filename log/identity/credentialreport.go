package identity

import (
	"strconv"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of credential reports.
const (
	// MaxReportedUsers is how many users an account with a credential report may have: a
	// report of more may be longer than an answer.
	MaxReportedUsers = 5000
	// MaxReportParts and MaxReportPart bound what a report is stored in: commands of the
	// log, of which none may keep others waiting.
	MaxReportParts = 64
	MaxReportPart  = 96 << 10 // bytes

	// ReportLifetime is how long a report holds ("Getting credential reports").
	ReportLifetime Time = 4 * 3600 * 1000
	// reportPatience is after how long a report that did not come is asked for again.
	reportPatience Time = 15 * 60 * 1000
)

// ReportState says what there is of an account's credential report. Numbers are stored:
// append, never reorder or reuse.
type ReportState uint8

// The states of a credential report that a request for one is told.
const (
	ReportStarted    ReportState = 1
	ReportInProgress ReportState = 2
	ReportComplete   ReportState = 3
)

// CredentialReport is what there is of an account's credential report. Its content lies
// in parts.
type CredentialReport struct {
	Account AccountID
	// Asked is when the report was asked for, At the position. It tells of the state at
	// that position or a later one.
	Asked Time
	At    Position
	// Parts is of how many parts there will be, Stored how many there are.
	Parts  int
	Stored int
	// Generated is when the report was whole; zero until then.
	Generated Time
}

// CredentialReportPart is a part of the content of an account's credential report.
type CredentialReportPart struct {
	Account AccountID
	Number  int // from 1 on
	Content []byte
}

// StateAt is what there is of the report at a time; ok is false where it is too old, or was
// asked for in vain. A nil report is none.
func (r *CredentialReport) StateAt(t Time) (state ReportState, ok bool) {
	switch {
	case r == nil:
		return 0, false
	case r.Generated != 0:
		return ReportComplete, t < r.Generated+ReportLifetime
	}
	return ReportInProgress, t < r.Asked+reportPatience
}

// Handle makes a CredentialReport a record of a table, by its key, as do Is and AppendDigest.
func (r *CredentialReport) Handle() table.Handle { return table.HandleOf(r.Account) }

// Is tells whether the CredentialReport has that key.
func (r *CredentialReport) Is(key string) bool { return string(r.Account) == key }

// AppendDigest appends all that the CredentialReport has.
func (r *CredentialReport) AppendDigest(b []byte) []byte {
	b = append(b, 'C')
	b = digest.AppendString(b, r.Account)
	b = digest.AppendInt(b, int64(r.Asked))
	b = digest.AppendInt(b, uint64(r.At))
	b = digest.AppendInt(b, r.Parts)
	b = digest.AppendInt(b, r.Stored)
	return digest.AppendInt(b, int64(r.Generated))
}

func reportPartKey(account AccountID, number int) string {
	return string(account) + "/" + strconv.Itoa(number)
}

// Handle makes a CredentialReportPart a record of a table, by its key, as do Is and AppendDigest.
func (p *CredentialReportPart) Handle() table.Handle {
	return table.HandleOf(reportPartKey(p.Account, p.Number))
}

// Is tells whether the CredentialReportPart has that key.
func (p *CredentialReportPart) Is(key string) bool { return reportPartKey(p.Account, p.Number) == key }

// AppendDigest appends all that the CredentialReportPart has.
func (p *CredentialReportPart) AppendDigest(b []byte) []byte {
	b = append(b, 'c')
	b = digest.AppendString(b, p.Account)
	b = digest.AppendInt(b, p.Number)
	return digest.AppendString(b, p.Content)
}

// CredentialReport returns what there is of an account's credential report; nil for nothing.
func (s *State) CredentialReport(account AccountID) *CredentialReport {
	r, _ := s.reports.Get(account)
	return r
}

// CredentialReportContent returns the content of an account's report that is whole.
func (s *State) CredentialReportContent(account AccountID) (content []byte) {
	r := s.CredentialReport(account)
	for n := range r.Parts {
		if p, ok := s.reportParts.Get(reportPartKey(account, n+1)); ok {
			content = append(content, p.Content...)
		}
	}
	return content
}

// PendingReports are the reports that were asked for and are not whole at a time, in the
// order of handles: those that the leader is to write.
func (s *State) PendingReports(t Time) (pending []*CredentialReport) {
	s.reports.Rows.Scan(func(_ table.Handle, r *CredentialReport) bool {
		if state, ok := r.StateAt(t); ok && state == ReportInProgress {
			pending = append(pending, r)
		}
		return true
	})
	return pending
}

// GenerateCredentialReport asks for a credential report, if there is none that holds.
type GenerateCredentialReport struct{ Account AccountID }

// CredentialReportRequested tells what there was of a report when it was asked for. With
// ReportStarted it begins one.
type CredentialReportRequested struct {
	Account AccountID
	State   ReportState
	Asked   Time
}

func (c *GenerateCredentialReport) decide(s *State, m Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	state, ok := s.CredentialReport(c.Account).StateAt(m.Time)
	if !ok {
		state = ReportStarted
		if s.Count(c.Account, KindUser) > MaxReportedUsers {
			return nil, refuse(LimitExceeded, "A credential report tells of at most %d users.", MaxReportedUsers)
		}
	}
	return []Event{&CredentialReportRequested{Account: c.Account, State: state, Asked: m.Time}}, nil
}

func (e *CredentialReportRequested) evolve(s *State) {
	if e.State != ReportStarted {
		return
	}
	s.dropReportParts(e.Account)
	s.reports.Put(&CredentialReport{Account: e.Account, Asked: e.Asked, At: s.position})
}

// dropReportParts ends what is stored of an account's report.
func (s *State) dropReportParts(account AccountID) {
	old := s.CredentialReport(account)
	if old == nil {
		return
	}
	for n := range old.Stored {
		if p, ok := s.reportParts.Get(reportPartKey(account, n+1)); ok {
			s.reportParts.Delete(p)
		}
	}
}

// StoreCredentialReport puts a part of a report that was asked for at a position into the
// state: the parts in their order, of which the first may come again and begins anew, for
// another leader writes another content. The last one makes the report whole.
type StoreCredentialReport struct {
	Account AccountID
	At      Position
	Number  int // from 1 on
	Parts   int
	Content []byte
}

// CredentialReportStored is a part of a report. Of the last one, Generated is when the
// report was whole.
type CredentialReportStored struct {
	Account   AccountID
	Number    int
	Parts     int
	Content   []byte
	Generated Time
}

func (c *StoreCredentialReport) decide(s *State, m Meta) ([]Event, error) {
	r := s.CredentialReport(c.Account)
	switch {
	case r == nil || r.At != c.At || r.Generated != 0:
		return nil, refuse(NoSuchEntity, "Nobody waits for that credential report of account %s.", c.Account)
	case c.Number != 1 && (c.Number != r.Stored+1 || r.Parts != c.Parts) || c.Number > c.Parts:
		return nil, refuse(InvalidInput, "Part %d of %d of the credential report does not come after part %d.", c.Number, c.Parts, r.Stored)
	case c.Parts > MaxReportParts || len(c.Content) > MaxReportPart:
		return nil, refuse(LimitExceeded, "A credential report has at most %d parts of %d bytes.", MaxReportParts, MaxReportPart)
	}
	e := &CredentialReportStored{Account: c.Account, Number: c.Number, Parts: c.Parts, Content: c.Content}
	if c.Number == c.Parts {
		e.Generated = m.Time
	}
	return []Event{e}, nil
}

func (e *CredentialReportStored) evolve(s *State) {
	if e.Number == 1 {
		s.dropReportParts(e.Account)
	}
	s.reportParts.Put(&CredentialReportPart{Account: e.Account, Number: e.Number, Content: e.Content})
	changeRecord(&s.reports, e.Account, func(r *CredentialReport) bool {
		r.Parts, r.Stored, r.Generated = e.Parts, e.Number, e.Generated
		return true
	})
}
