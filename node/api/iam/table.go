package iam

import (
	"slices"
	"strings"
)

// table has every action of IAM that Writ carries out, in order of name.
var table = inOrder(
	absentActions(),
	accessKeyActions(),
	accountActions(),
	attachmentActions(),
	boundaryActions(),
	delegationActions(),
	credentialReportActions(),
	lastAccessedActions(),
	organizationReportActions(),
	groupActions(),
	inlineActions(),
	instanceProfileActions(),
	loginProfileActions(),
	oidcProviderActions(),
	passwordPolicyActions(),
	policyActions(),
	roleActions(),
	samlProviderActions(),
	serverCertificateActions(),
	serviceCredentialActions(),
	serviceLinkedRoleActions(),
	settingsActions(),
	signingCertificateActions(),
	simulateActions(),
	sshKeyActions(),
	tagActions(),
	userActions(),
)

func inOrder(lists ...[]Action) []Action {
	return slices.SortedFunc(slices.Values(slices.Concat(lists...)), compareActions)
}

func compareActions(a, b Action) int { return strings.Compare(a.Name, b.Name) }

// Actions returns every action of IAM that Writ carries out, in order of name.
// The caller must not change them. An operation of the service model that is not
// among them is answered with InvalidAction.
func Actions() []Action { return table }
