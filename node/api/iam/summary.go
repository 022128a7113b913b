package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// maxSummary is how many bytes a summary has (summaryContentType).
const maxSummary = 10_000

// defaultLocale is that of a summary for which none was asked.
const defaultLocale = "en"

// Locales of AWS's console. Summaries are written in English alone.
var (
	englishLocales = []string{"en", "en-US", "en_US", "en-us", "en_us", "en-GB", "en_GB"}
	otherLocales   = []string{
		"de", "de-DE", "de_DE", "es", "es-ES", "es_ES", "fr", "fr-FR", "fr_FR", "id", "id-ID", "id_ID", "it", "it-IT", "it_IT", "ja", "ja-JP", "ja_JP",
		"ko", "ko-KR", "ko_KR", "pt", "pt-BR", "pt_BR", "tr", "tr-TR", "tr_TR", "zh", "zh-CN", "zh_CN", "zh-TW", "zh_TW",
	}
)

type getHumanReadableSummary struct{}

func (getHumanReadableSummary) Access(c *Call, in *sdk.GetHumanReadableSummaryInput) []Access {
	return []Access{{Resource: aws.ToString(in.EntityArn), Account: c.Caller.Account}}
}

// Answer tells of a policy by rule: a sentence for each statement, and the same ones always.
func (getHumanReadableSummary) Answer(c *Call, in *sdk.GetHumanReadableSummaryInput) (*sdk.GetHumanReadableSummaryOutput, error) {
	id, err := c.delegationOf(aws.ToString(in.EntityArn))
	if err != nil {
		return nil, err
	}
	d, err := c.mustDelegation(id)
	if err != nil {
		return nil, err
	}
	out := &sdk.GetHumanReadableSummaryOutput{Locale: aws.String(defaultLocale)}
	if in.Locale != nil {
		out.Locale = in.Locale
	}
	switch {
	case slices.Contains(otherLocales, *out.Locale):
		out.SummaryState = types.SummaryStateTypeNotSupported
		return out, nil
	case !slices.Contains(englishLocales, *out.Locale):
		return nil, fail(codeInvalidInput, "The locale %s is not known.", *out.Locale)
	}
	doc, err := syntax.Parse(d.Policy)
	if err != nil {
		out.SummaryState = types.SummaryStateTypeFailed
		return out, nil
	}
	out.SummaryState, out.SummaryContent = types.SummaryStateTypeAvailable, aws.String(summary(d, doc))
	return out, nil
}

// summary is what a request asks for, in sentences.
func summary(d *identity.DelegationRequest, doc *syntax.Document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Account %s asks to act for %d seconds.", d.Ask.Requestor, d.Ask.Session)
	for i := range doc.Statements {
		rest := fmt.Sprintf(" There are %d more statements.", len(doc.Statements)-i)
		sentence := " " + sentenceOf(&doc.Statements[i])
		if b.Len()+len(sentence)+len(rest) > maxSummary {
			b.WriteString(rest)
			break
		}
		b.WriteString(sentence)
	}
	return b.String()
}

// sentenceOf is a statement as a sentence.
func sentenceOf(s *syntax.Statement) string {
	var b strings.Builder
	verb := "Denies"
	if syntax.EffectOf(s.Effect.Value) == syntax.Allow {
		verb = "Allows"
	}
	b.WriteString(verb + " ")
	if s.NotAction != nil {
		b.WriteString("every action but ")
	}
	b.WriteString(enumerated(s.Actions(), "all actions", "and"))
	if s.NotResource != nil {
		b.WriteString(" on all resources but ")
	} else {
		b.WriteString(" on ")
	}
	b.WriteString(enumerated(s.Resources(), "all resources", "and"))
	if s.Condition != nil {
		word := ", if "
		for _, block := range s.Condition.Blocks {
			for _, key := range block.Keys {
				b.WriteString(word + key.Key.Value + " is " + enumerated(key.Values.Items, "*", "or") + " (" + block.Operator.Value + ")")
				word = " and "
			}
		}
	}
	return b.String() + "."
}

// enumerated are texts in a sentence; a star alone is all.
func enumerated(texts []syntax.Text, all, word string) string {
	if len(texts) == 1 && texts[0].Value == "*" {
		return all
	}
	var b strings.Builder
	for i, t := range texts {
		switch {
		case i == 0:
		case i == len(texts)-1:
			b.WriteString(" " + word + " ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(t.Value)
	}
	return b.String()
}

// covers tells, about, whether the caller may what a policy allows: each pair of action
// and resource is asked for as it is written. Where there are wildcards or conditions,
// what is allowed as it is written may be denied in part.
func (c *Call) covers(document string) (types.PermissionCheckResultType, error) {
	p, err := c.View.Principal(c.Caller.ID)
	if err != nil {
		return "", err
	}
	doc, err := syntax.Parse(document)
	if err != nil {
		return types.PermissionCheckResultTypeUnsure, nil //nolint:nilerr // nobody knows what it allows
	}
	result := types.PermissionCheckResultTypeAllowed
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if syntax.EffectOf(s.Effect.Value) != syntax.Allow {
			continue
		}
		if s.NotAction != nil || s.NotResource != nil || s.Condition != nil {
			result = types.PermissionCheckResultTypeUnsure
			continue
		}
		for _, action := range s.Actions() {
			for _, resource := range s.Resources() {
				q := authz.Request{Principal: &p.Principal, Action: action.Value, Resource: resource.Value, ResourceAccount: string(c.Caller.Account), Work: c.Work}
				if !p.Evaluate(&q).Allowed() {
					return types.PermissionCheckResultTypeDenied, c.Work.Err()
				}
				if strings.ContainsAny(action.Value+resource.Value, "*?$") {
					result = types.PermissionCheckResultTypeUnsure
				}
			}
		}
	}
	if c.Caller.ID == identity.ID(c.Caller.Account) {
		result = types.PermissionCheckResultTypeAllowed // a root may everything
	}
	return result, nil
}
