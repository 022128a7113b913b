package shape

import (
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// CataloguePart is a part of a catalogue on its way.
type CataloguePart struct {
	Policies []CataloguePolicy `json:"policies"`
}

// CataloguePolicy is a policy, or more versions of the one that the part before ended with.
type CataloguePolicy struct {
	ID          identity.ID        `json:"id"`
	Name        string             `json:"name"`
	Path        string             `json:"path"`
	Description string             `json:"description,omitempty"`
	CreatedMS   identity.Time      `json:"created_ms"` // Milliseconds since the Unix epoch, as are all times here.
	UpdatedMS   identity.Time      `json:"updated_ms"`
	Default     int                `json:"default"` // Number of the version in force.
	Versions    []CatalogueVersion `json:"versions"`
}

// CatalogueVersion is one text of a policy.
type CatalogueVersion struct {
	Number    int           `json:"number"`
	Document  string        `json:"document"`
	CreatedMS identity.Time `json:"created_ms"`
}

// Catalogue is the one in force, and how much has come of the next.
type Catalogue struct {
	Number       uint64         `json:"number"` // How many catalogues were put in force; 0: the policies with which the cluster began.
	Digest       string         `json:"digest"`
	Policies     uint64         `json:"policies"`
	Kept         uint64         `json:"kept"` // How many policies there are beyond these, which were in use when it was put in force.
	Installed    string         `json:"installed,omitempty"`
	Position     event.Position `json:"position"`      // Since which it is in force.
	StagedDigest string         `json:"staged_digest"` // Of the catalogue that is on its way; empty: none is.
	StagedParts  uint64         `json:"staged_parts"`
	Partition    string         `json:"partition"` // Of the cluster, whose ARNs the policies have.
}

// CatalogueChange is a part of a catalogue that was taken, or a catalogue that was put in
// force.
type CatalogueChange struct {
	Digest   string         `json:"digest"`
	Position event.Position `json:"position"`
	Token    string         `json:"token"`   // Of Position.
	Removed  []string       `json:"removed"` // Names of policies that are there no more.
	Kept     []string       `json:"kept"`    // Names of policies that the catalogue does not have, and that stay because they are in use.
}

// CataloguePolicyOf gives a policy its form in JSON.
func CataloguePolicyOf(p *identity.CataloguePolicy) CataloguePolicy {
	out := CataloguePolicy{ID: p.ID, Name: p.Name, Path: p.Path, Description: p.Description, CreatedMS: p.Created, UpdatedMS: p.Updated, Default: p.Default}
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, CatalogueVersion{Number: v.Number, Document: v.Document, CreatedMS: v.Created})
	}
	return out
}

// Policy is the policy that has that form.
func (p *CataloguePolicy) Policy() identity.CataloguePolicy {
	out := identity.CataloguePolicy{ID: p.ID, Name: p.Name, Path: p.Path, Description: p.Description, Created: p.CreatedMS, Updated: p.UpdatedMS, Default: p.Default}
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, identity.PolicyVersion{Number: v.Number, Document: v.Document, Created: v.CreatedMS})
	}
	return out
}
