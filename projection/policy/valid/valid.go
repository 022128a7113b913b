// Package valid tells which policy documents AWS accepts, and refuses the others with
// AWS's messages, in AWS's order. What it refuses must be evaluable all the same, since
// it may be stored already; so package policy does not ask it. It is pure.
package valid

import (
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Parse checks the size of a document, parses it, and checks it as AWS does
// for the kind. The error is a *SizeError or a *MalformedError: of what is too long
// nobody needs to know what else is wrong. Callers with several inline policies add
// up Size themselves.
func Parse(text string, kind syntax.Kind) (*syntax.Document, error) {
	if err := syntax.CheckSize(text, kind); err != nil {
		return nil, err
	}
	doc, err := syntax.ParseAs(text, kind)
	if err != nil {
		return nil, err
	}
	if err := Check(doc, kind); err != nil {
		return nil, err
	}
	return doc, nil
}

// ParsePrincipals parses and checks a policy with principals as what it most likely
// is: a trust policy when it names no resources and no actions but those of STS, or
// else the policy of a resource. It does not look at the size, apart from MaxDocument.
func ParsePrincipals(text string) (*syntax.Document, error) {
	doc, err := syntax.ParseAs(text, syntax.KindResource)
	kind := syntax.KindResource
	if trust, e := syntax.ParseAs(text, syntax.KindTrust); e == nil && trusts(trust) {
		doc, kind, err = trust, syntax.KindTrust, nil
	}
	if err == nil {
		err = Check(doc, kind)
	}
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// trusts tells that a document is most likely a trust policy.
func trusts(doc *syntax.Document) bool {
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Resource != nil || s.NotResource != nil {
			return false
		}
		for _, action := range s.Actions() {
			if policy.CompileAction(action.Value).Service != "sts" {
				return false
			}
		}
	}
	return true
}
