package shape

import "github.com/writ-iam/writ/log/event"

// PrincipalsWanted asks which principals may do something.
type PrincipalsWanted struct {
	Action   string  `json:"action"`             // One action, such as "s3:GetObject", in any letter case; no wildcards.
	Resource string  `json:"resource,omitempty"` // An ARN, or "*" for an action without resources.
	Context  Context `json:"context,omitempty"`
	Limit    int     `json:"limit,omitempty"`  // How many principals a page has at most; it may have fewer.
	Cursor   string  `json:"cursor,omitempty"` // That of the page before.
}

// Principals are those that may do something, of those that the caller may ask about.
type Principals struct {
	Position event.Position `json:"position"`        // Where all of the page holds.
	Moved    bool           `json:"moved,omitempty"` // The page before was of another position: the pages are of no one position.
	// Principals may, or may with condition keys that the question lacks.
	Principals []FoundPrincipal `json:"principals"`
	Cursor     string           `json:"cursor,omitempty"` // Of the next page, though this one may have no principals; missing behind the last.
}

// FoundPrincipal is a user, role or root that may do something. It surely may where the decision is
// "allow" and depends_on is empty.
type FoundPrincipal struct {
	ARN        string           `json:"arn"`
	Decision   string           `json:"decision"`             // With the context given, as a question has it.
	DependsOn  []string         `json:"depends_on,omitempty"` // Condition keys that the question lacks and that could turn the decision.
	Free       bool             `json:"free,omitempty"`       // The action needs no permission.
	Statements []FoundStatement `json:"statements,omitempty"` // Those that decided or may, at most 20; a root needs none.
}

// FoundStatement is a statement by which a principal may, or may not with other condition keys.
type FoundStatement struct {
	Effect  string   `json:"effect"` // "Allow" or "Deny"
	Layer   string   `json:"layer"`
	Policy  string   `json:"policy"`           // Name.
	ARN     string   `json:"arn,omitempty"`    // Of a managed policy.
	Source  string   `json:"source"`           // Where it is attached, as simulations say it.
	Holder  string   `json:"holder,omitempty"` // The user, group or role that has it.
	Sid     string   `json:"sid,omitempty"`
	Index   int      `json:"index"`             // In its document, from 0.
	Applies bool     `json:"applies"`           // It took part.
	Missing []string `json:"missing,omitempty"` // Keys that it reads and the question lacks.
}
