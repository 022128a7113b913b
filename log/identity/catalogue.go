package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// A catalogue is all policies of the account "aws". It is replaced as a whole. It is
// more than one command can hold, so it comes in parts, which nobody sees, and one
// last command puts all of it in force at one position. What it is made of has a
// digest, by which it is named: what comes is what was announced, or it is refused.

// Limits of a catalogue. AWS's own has about 1,500 policies.
const (
	// MaxCataloguePolicies is how many policies a catalogue may have.
	MaxCataloguePolicies = 3000
	// MaxCatalogueBytes bounds the texts of all versions together, in bytes. While
	// one catalogue replaces another a state holds both.
	MaxCatalogueBytes = 32 << 20
	// MaxManagedDocument bounds one text, in bytes. The largest of AWS has 140 KB.
	MaxManagedDocument = 176 << 10
)

// CataloguePolicy is a policy of a catalogue: with the identifier, the dates and the
// numbers of versions that AWS gave it.
type CataloguePolicy struct {
	ID          ID
	Name        string
	Path        string
	Description string
	Created     Time
	Updated     Time
	Default     int             // number of the version in force
	Versions    []PolicyVersion // in order of number
}

// Handle makes a CataloguePolicy a record of a table, by its key, as do Is and AppendDigest.
func (p *CataloguePolicy) Handle() table.Handle { return table.HandleOf(p.ID) }

// Is tells whether the CataloguePolicy has that key.
func (p *CataloguePolicy) Is(key string) bool { return string(p.ID) == key }

// key is what a catalogue is in order of.
func (p *CataloguePolicy) key() string { return lower(p.Name) }

// AppendDigest appends all that the CataloguePolicy has.
func (p *CataloguePolicy) AppendDigest(b []byte) []byte {
	b = p.appendHead(append(b, 'm'))
	b = digest.AppendInt(b, len(p.Versions))
	for i := range p.Versions {
		b = appendVersion(b, &p.Versions[i])
	}
	return b
}

// appendHead appends all but the versions.
func (p *CataloguePolicy) appendHead(b []byte) []byte {
	b = digest.AppendString(b, p.ID)
	b = digest.AppendString(b, p.Name)
	b = digest.AppendString(b, p.Path)
	b = digest.AppendString(b, p.Description)
	b = digest.AppendInt(b, int64(p.Created))
	b = digest.AppendInt(b, int64(p.Updated))
	return digest.AppendInt(b, p.Default)
}

func appendVersion(b []byte, v *PolicyVersion) []byte {
	b = digest.AppendInt(b, v.Number)
	b = digest.AppendString(b, v.Document)
	return digest.AppendInt(b, int64(v.Created))
}

// Catalogue says which policies of AWS are in force, and which are on their way.
type Catalogue struct {
	// Number counts the catalogues that were put in force. It is zero in a cluster
	// that has the policies with which it began before there were any.
	Number    uint32
	Digest    string // of the latest; see CatalogueDigest
	Policies  uint32 // that it brought
	Installed Time
	At        Position
	Staged    StagedCatalogue
}

// StagedCatalogue is the catalogue that is on its way, or nothing.
type StagedCatalogue struct {
	Digest   string // that it will have; empty while nothing is on its way
	Parts    uint32 // that have come
	Policies uint32
	Bytes    uint64 // of texts
	Last     ID     // of the policies; the next part may go on with its versions
	Sum      [sha256.Size]byte
}

func (c *Catalogue) appendDigest(b []byte) []byte {
	b = digest.AppendInt(b, c.Number)
	b = digest.AppendString(b, c.Digest)
	b = digest.AppendInt(b, c.Policies)
	b = digest.AppendInt(b, int64(c.Installed))
	b = digest.AppendInt(b, uint64(c.At))
	b = digest.AppendString(b, c.Staged.Digest)
	b = digest.AppendInt(b, c.Staged.Parts)
	b = digest.AppendInt(b, c.Staged.Policies)
	b = digest.AppendInt(b, c.Staged.Bytes)
	b = digest.AppendString(b, c.Staged.Last)
	return append(b, c.Staged.Sum[:]...)
}

// Catalogue says which policies of AWS are in force, and which are on their way.
func (s *State) Catalogue() Catalogue { return s.catalogue }

// CatalogueDigest is the SHA-256 of a catalogue, in hexadecimal: of its policies one
// after the other, in order of name. How they are divided into parts does not enter it.
func CatalogueDigest(policies []CataloguePolicy) string {
	var c StagedCatalogue
	for i := range policies {
		c.add(&policies[i])
	}
	return c.found()
}

// found is the digest of what has come.
func (c *StagedCatalogue) found() string { return hex.EncodeToString(c.Sum[:]) }

// add counts a policy, or more versions of the last one.
func (c *StagedCatalogue) add(p *CataloguePolicy) {
	if p.ID != c.Last {
		c.sum(p.appendHead([]byte{'p'}))
		c.Last = p.ID
		c.Policies++
	}
	for i := range p.Versions {
		c.sum(appendVersion([]byte{'v'}, &p.Versions[i]))
		c.Bytes += uint64(len(p.Versions[i].Document))
	}
}

// sum chains what comes next to what has come, so that no division into parts shows.
func (c *StagedCatalogue) sum(next []byte) {
	c.Sum = sha256.Sum256(append(next, c.Sum[:]...))
}

// StageCatalogue brings a part of a catalogue. Part 0 begins one, in place of
// whatever was on its way. Names ascend, and the versions of each policy, through
// all parts; a part may begin with more versions of the policy that the last ended with.
type StageCatalogue struct {
	Catalogue string // the digest that it will have
	Part      uint32
	Policies  []CataloguePolicy
}

// CatalogueStaged brought a part of a catalogue.
type CatalogueStaged struct {
	Catalogue string
	Part      uint32
	Policies  []CataloguePolicy
}

func (c *StageCatalogue) decide(s *State, _ Meta) ([]Event, error) {
	staged := s.catalogue.Staged
	switch {
	case c.Catalogue == "" || len(c.Policies) == 0:
		return nil, refuse(InvalidInput, "A part of a catalogue has a digest and at least one policy.")
	case c.Part == 0:
		staged = StagedCatalogue{}
	case staged.Digest != c.Catalogue || staged.Parts != c.Part:
		return nil, refuse(ConcurrentModification, "Part %d of the catalogue %s is not the next: another import is under way. Begin again when it is over.", c.Part, c.Catalogue)
	}
	var last *CataloguePolicy
	if c.Part > 0 {
		last, _ = s.staged.Get(staged.Last)
	}
	seen := make(map[table.Handle]bool, len(c.Policies)) // asked, never gone through
	for i := range c.Policies {
		p := &c.Policies[i]
		if err := s.mayStage(p, last, c.Part > 0, seen); err != nil {
			return nil, err
		}
		seen[p.Handle()] = true
		staged.add(p)
		last = p
	}
	switch {
	case staged.Policies > MaxCataloguePolicies:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for policies in a catalogue: %d", MaxCataloguePolicies)
	case staged.Bytes > MaxCatalogueBytes:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for bytes of policies in a catalogue: %d", MaxCatalogueBytes)
	}
	return []Event{&CatalogueStaged{Catalogue: c.Catalogue, Part: c.Part, Policies: c.Policies}}, nil
}

// mayStage refuses a policy that cannot follow the last one, which is nil at the
// beginning. It goes on with it if it has its identifier.
func (s *State) mayStage(p, last *CataloguePolicy, parts bool, seen map[table.Handle]bool) error {
	held := 0
	after := 0
	if last != nil && last.ID == p.ID && !seen[p.Handle()] {
		held, after = len(last.Versions), last.Versions[len(last.Versions)-1].Number
	} else {
		_, staged := s.staged.Rows.Get(p.Handle())
		switch {
		case last != nil && last.key() >= p.key():
			return refuse(InvalidInput, "The policy %s does not come after %s.", p.Name, last.Name)
		case seen[p.Handle()] || parts && staged:
			return refuse(EntityAlreadyExists, "The unique identifier %s is in use.", p.ID)
		}
		if err := s.mayInstall(p); err != nil {
			return err
		}
	}
	if n := held + len(p.Versions); n == 0 || n > MaxPolicyVersions {
		return refuse(LimitExceeded, "The policy %s has %d versions, of at most %d.", p.Name, n, MaxPolicyVersions)
	}
	for i := range p.Versions {
		v := &p.Versions[i]
		switch {
		case v.Number <= after:
			return refuse(InvalidInput, "The versions of the policy %s are not in order.", p.Name)
		case len(v.Document) > MaxManagedDocument:
			return refuse(LimitExceeded, "Version v%d of the policy %s has %d bytes, of at most %d.", v.Number, p.Name, len(v.Document), MaxManagedDocument)
		}
		after = v.Number
	}
	return nil
}

// mayInstall refuses a policy whose identifier belongs to anything but a policy of
// AWS of that name.
func (s *State) mayInstall(p *CataloguePolicy) error {
	if holder, ok := s.names.find(scopeOf(AWSAccount, KindPolicy), p.Name); ok && holder == p.Handle() {
		return nil
	}
	return s.mayIdentify(p.ID)
}

func (e *CatalogueStaged) evolve(s *State) {
	staged := &s.catalogue.Staged
	if e.Part == 0 {
		*staged = StagedCatalogue{Digest: e.Catalogue}
		s.staged = table.Table[ID, *CataloguePolicy]{}
	}
	for i := range e.Policies {
		p := e.Policies[i]
		if p.ID == staged.Last {
			if begun, ok := s.staged.Get(p.ID); ok {
				whole := *begun
				whole.Versions = slices.Concat(begun.Versions, p.Versions)
				s.staged.Put(&whole)
			}
		} else {
			s.staged.Put(&p)
		}
		staged.add(&e.Policies[i])
	}
	staged.Parts++
}

// InstallCatalogue puts the catalogue in force that has come. Policies of AWS that it
// does not have are removed, but for those that are attached or a boundary: they stay
// as they are until a later catalogue finds them unused.
type InstallCatalogue struct {
	Catalogue string // its digest
	Parts     uint32
}

// CatalogueInstalled put a catalogue in force.
type CatalogueInstalled struct {
	Catalogue string
	Removed   []string // names of policies that are there no more
	Kept      []string // names of those that the catalogue does not have, and that are in use
	At        Time
}

func (c *InstallCatalogue) decide(s *State, m Meta) ([]Event, error) {
	staged := &s.catalogue.Staged
	switch {
	case c.Catalogue == "" || staged.Digest != c.Catalogue || staged.Parts != c.Parts:
		return nil, refuse(ConcurrentModification, "The catalogue %s is not what has come: another import is under way. Begin again when it is over.", c.Catalogue)
	case staged.found() != c.Catalogue:
		return nil, refuse(InvalidInput, "What has come has the digest %s, and not %s.", staged.found(), c.Catalogue)
	}
	brought := make(map[table.Handle]bool, staged.Policies) // those that there are; asked, never gone through
	var refusal error
	s.staged.Rows.Scan(func(_ table.Handle, p *CataloguePolicy) bool {
		if !slices.ContainsFunc(p.Versions, func(v PolicyVersion) bool { return v.Number == p.Default }) {
			refusal = refuse(InvalidInput, "The default version of the policy %s is not among its versions.", p.Name)
			return false
		}
		refusal = s.mayInstall(p) // again: it came at another position
		if old, ok := s.names.find(scopeOf(AWSAccount, KindPolicy), p.Name); ok {
			brought[old] = true
		}
		return refusal == nil
	})
	if refusal != nil {
		return nil, refusal
	}
	e := &CatalogueInstalled{Catalogue: c.Catalogue, At: m.Time}
	s.Policies(AWSAccount, "", func(p *Policy) bool {
		switch {
		case brought[p.Handle()]:
		case s.inUse(p.ID):
			e.Kept = append(e.Kept, p.Name)
		default:
			e.Removed = append(e.Removed, p.Name)
		}
		return true
	})
	return []Event{e}, nil
}

// inUse tells whether a policy is attached, or a boundary.
func (s *State) inUse(policy ID) bool {
	return s.AttachmentCount(policy) > 0 || s.BoundaryUsageCount(policy) > 0
}

func (e *CatalogueInstalled) evolve(s *State) {
	for _, name := range e.Removed {
		if p, ok := named(s, &s.policies, AWSAccount, KindPolicy, name); ok {
			(&PolicyDeleted{ID: p.ID}).evolve(s)
		}
	}
	s.staged.Rows.Scan(func(_ table.Handle, p *CataloguePolicy) bool {
		s.install(p)
		return true
	})
	s.staged = table.Table[ID, *CataloguePolicy]{}
	s.catalogue = Catalogue{
		Number: s.catalogue.Number + 1, Digest: e.Catalogue, Policies: s.catalogue.Staged.Policies, Installed: e.At, At: s.position,
	}
}

// install puts one policy in force. One that is attached keeps its identifier, by
// which those that have it know it.
func (s *State) install(from *CataloguePolicy) {
	p := &Policy{In: s.partition, ID: from.ID, Account: AWSAccount, Name: from.Name, Path: from.Path, Description: from.Description,
		Created: from.Created, Updated: from.Updated, Default: from.Default, Latest: from.Versions[len(from.Versions)-1].Number,
		Versions: from.Versions, Changed: s.position}
	if old, ok := named(s, &s.policies, AWSAccount, KindPolicy, from.Name); ok {
		if s.inUse(old.ID) {
			p.ID = old.ID
		}
		if old.ID == p.ID && old.ARN() == p.ARN() && old.Document() == p.Document() {
			p.Changed = old.Changed
		}
		s.paths.remove(scopeOf(AWSAccount, KindPolicy), old.Path, old.Name)
		if old.ID != p.ID {
			s.deletePolicy(old)
		}
	}
	s.putPolicy(p)
	s.names.add(scopeOf(AWSAccount, KindPolicy), p.Name, p.Handle())
	s.paths.add(scopeOf(AWSAccount, KindPolicy), p.Path, p.Name, p.Handle())
}
