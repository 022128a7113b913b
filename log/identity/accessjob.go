package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of jobs.
const (
	// MaxAccessJobsOf is how many jobs of one principal are kept. One more of its own ends
	// the oldest of its own.
	MaxAccessJobsOf = 100
	// MaxAccessJobs is how many jobs of an account are kept. One more ends the oldest of
	// the principal that has the most: who asks for many takes nothing from who asked for
	// few. The jobs are one record, which each of them writes anew.
	MaxAccessJobs = 200
)

// AccessJob is a report on when services were last accessed, that somebody asked for. The
// report itself is made of the state when it is read.
type AccessJob struct {
	ID      string
	By      ID // whose it is; the account's number for its root
	Created Time

	// Kind and Entity are the user, group, role or policy that it is about, and ARN what it
	// was called. Of a report on an organization they are empty.
	Kind    Kind
	Entity  ID
	ARN     string
	Actions bool // the report has actions, too

	// Path is the entity of the organization that the report is about, and Policy the id of
	// a policy of the organization, if one was named.
	Path   string
	Policy string
}

// AccessJobs are the jobs of an account, the oldest first.
type AccessJobs struct {
	Account AccountID
	Jobs    []AccessJob
}

// Handle makes AccessJobs a record of a table, by its key, as do Is and AppendDigest.
func (j *AccessJobs) Handle() table.Handle { return table.HandleOf(j.Account) }

// Is tells whether the AccessJobs have that key.
func (j *AccessJobs) Is(key string) bool { return string(j.Account) == key }

// AppendDigest appends all that the AccessJobs have.
func (j *AccessJobs) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "access-jobs")
	b = digest.AppendString(b, j.Account)
	b = digest.AppendInt(b, len(j.Jobs))
	for _, a := range j.Jobs {
		b = digest.AppendString(b, a.ID)
		b = digest.AppendString(b, a.By)
		b = digest.AppendInt(b, int64(a.Created))
		b = digest.AppendInt(b, uint8(a.Kind))
		b = digest.AppendString(b, a.Entity)
		b = digest.AppendString(b, a.ARN)
		b = digest.AppendBool(b, a.Actions)
		b = digest.AppendString(b, a.Path)
		b = digest.AppendString(b, a.Policy)
	}
	return b
}

// AccessJob returns the job of an account that has that identifier.
func (s *State) AccessJob(account AccountID, id string) (AccessJob, bool) {
	if all, ok := s.accessJobs.Get(account); ok {
		for _, j := range all.Jobs {
			if j.ID == id {
				return j, true
			}
		}
	}
	return AccessJob{}, false
}

// StartAccessJob asks for a report on the entity of an ARN, or on one of the organization.
type StartAccessJob struct {
	Account AccountID
	By      ID
	ID      string
	ARN     string // of a user, group, role or policy
	Actions bool
	Path    string // where there is no ARN
	Policy  string
}

// AccessJobStarted began a job.
type AccessJobStarted struct {
	Account AccountID
	Job     AccessJob
}

func (c *StartAccessJob) decide(s *State, m Meta) ([]Event, error) {
	if _, err := s.mustAccount(c.Account); err != nil {
		return nil, err
	}
	job := AccessJob{ID: c.ID, By: c.By, Created: m.Time, ARN: c.ARN, Actions: c.Actions, Path: c.Path, Policy: c.Policy}
	if c.Path == "" {
		var ok bool
		if job.Kind, job.Entity, ok = s.EntityByARN(c.Account, c.ARN); !ok {
			return nil, refuse(NoSuchEntity, "ARN %s not found", c.ARN)
		}
	}
	return []Event{&AccessJobStarted{Account: c.Account, Job: job}}, nil
}

// EntityByARN finds the user, group or role of an account, or the policy that it may see,
// by the very ARN that it has.
func (s *State) EntityByARN(account AccountID, arn string) (Kind, ID, bool) {
	if p, ok := s.Policy(arn); ok && (p.Account == account || p.Account == AWSAccount) {
		return KindPolicy, p.ID, true
	}
	rest, ok := strings.CutPrefix(arn, s.partition.IAM()+string(account)+":")
	noun, path, _ := strings.Cut(rest, "/")
	for _, kind := range [...]Kind{KindUser, KindGroup, KindRole} {
		if !ok || noun != kind.Noun() {
			continue
		}
		h, err := s.mustHold(Owner{Kind: kind, Account: account, Name: path[strings.LastIndexByte(path, '/')+1:]})
		if err == nil && s.partition.ARN(h.kind, h.account, h.path, h.name) == arn {
			return kind, h.id, true
		}
	}
	return 0, "", false
}

func (e *AccessJobStarted) evolve(s *State) {
	all := AccessJobs{Account: e.Account}
	if old, ok := s.accessJobs.Get(e.Account); ok {
		all = *old
	}
	all.Jobs = appended(all.Jobs, e.Job)
	if i, full := all.surplus(e.Job.By); full {
		all.Jobs = slices.Delete(all.Jobs, i, i+1)
	}
	s.accessJobs.Put(&all)
}

// surplus is the job that ends since one of a principal was added, if one does.
func (j *AccessJobs) surplus(added ID) (i int, full bool) {
	count, most := make(map[ID]int), 0 // asked, never gone through
	for _, job := range j.Jobs {
		count[job.By]++
		most = max(most, count[job.By])
	}
	switch {
	case count[added] > MaxAccessJobsOf:
		return slices.IndexFunc(j.Jobs, func(job AccessJob) bool { return job.By == added }), true
	case len(j.Jobs) > MaxAccessJobs:
		return slices.IndexFunc(j.Jobs, func(job AccessJob) bool { return count[job.By] == most }), true
	}
	return 0, false
}
