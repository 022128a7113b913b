package wire

import "github.com/writ-iam/writ/log/identity"

// Delegation requests, reports, and what the nodes tell of uses.

func createDelegationRequest(c *coder, v *identity.CreateDelegationRequest) {
	str(c, &v.ID)
	delegationAsk(c, &v.Ask)
}

func associateDelegationRequest(c *coder, v *identity.AssociateDelegationRequest) {
	str(c, &v.ID)
	delegationParty(c, &v.By)
}

func updateDelegationRequest(c *coder, v *identity.UpdateDelegationRequest) {
	str(c, &v.ID)
	delegationParty(c, &v.By)
	str(c, &v.Notes)
}

func acceptDelegationRequest(c *coder, v *identity.AcceptDelegationRequest) {
	str(c, &v.ID)
	delegationParty(c, &v.By)
}

func rejectDelegationRequest(c *coder, v *identity.RejectDelegationRequest) {
	str(c, &v.ID)
	delegationParty(c, &v.By)
	str(c, &v.Notes)
}

func sendDelegationToken(c *coder, v *identity.SendDelegationToken) {
	str(c, &v.ID)
	delegationParty(c, &v.By)
}

func generateCredentialReport(c *coder, v *identity.GenerateCredentialReport) { atom(c, &v.Account) }

func storeCredentialReport(c *coder, v *identity.StoreCredentialReport) {
	atom(c, &v.Account)
	num(c, &v.At)
	num(c, &v.Number)
	num(c, &v.Parts)
	c.blob(&v.Content)
}

func delegationRequestCreated(c *coder, v *identity.DelegationRequestCreated) {
	str(c, &v.ID)
	delegationAsk(c, &v.Ask)
	str(c, &v.Policy)
	num(c, &v.Created)
}

func delegationRequestChanged(c *coder, v *identity.DelegationRequestChanged) {
	str(c, &v.ID)
	num(c, &v.State)
	delegationParty(c, &v.By)
	str(c, &v.Notes)
	num(c, &v.Change)
}

func delegationRequestForgotten(c *coder, v *identity.DelegationRequestForgotten) { str(c, &v.ID) }

func credentialReportRequested(c *coder, v *identity.CredentialReportRequested) {
	atom(c, &v.Account)
	num(c, &v.State)
	num(c, &v.Asked)
}

func credentialReportStored(c *coder, v *identity.CredentialReportStored) {
	atom(c, &v.Account)
	num(c, &v.Number)
	num(c, &v.Parts)
	c.blob(&v.Content)
	num(c, &v.Generated)
}

func delegationRequest(c *coder, v *identity.DelegationRequest) {
	str(c, &v.ID)
	delegationAsk(c, &v.Ask)
	str(c, &v.Policy)
	num(c, &v.Created)
	num(c, &v.State)
	num(c, &v.Updated)
	num(c, &v.Expires)
	atom(c, &v.Account)
	atom(c, &v.Owner)
	atom(c, &v.OwnerARN)
	atom(c, &v.Approver)
	str(c, &v.Notes)
	str(c, &v.RejectedBy)
}

func credentialReport(c *coder, v *identity.CredentialReport) {
	atom(c, &v.Account)
	num(c, &v.Asked)
	num(c, &v.At)
	num(c, &v.Parts)
	num(c, &v.Stored)
	num(c, &v.Generated)
}

func credentialReportPart(c *coder, v *identity.CredentialReportPart) {
	atom(c, &v.Account)
	num(c, &v.Number)
	c.blob(&v.Content)
}

func delegationAsk(c *coder, v *identity.DelegationAsk) {
	atom(c, &v.Requestor)
	atom(c, &v.OwnerAccount)
	str(c, &v.Description)
	str(c, &v.Message)
	str(c, &v.Workflow)
	str(c, &v.Redirect)
	str(c, &v.Channel)
	num(c, &v.Session)
	c.flag(&v.OwnerSends)
	atom(c, &v.Template)
	list(c, &v.Parameters, delegationParameter)
	if c.version >= 2 {
		atom(c, &v.By)
	}
}

func delegationParameter(c *coder, v *identity.DelegationParameter) {
	str(c, &v.Name)
	c.flag(&v.List)
	list(c, &v.Values, str)
}

func delegationParty(c *coder, v *identity.DelegationParty) {
	atom(c, &v.Account)
	atom(c, &v.ID)
	atom(c, &v.ARN)
}

func noteUses(c *coder, v *identity.NoteUses) { list(c, &v.Uses, use) }

func useNoted(c *coder, v *identity.UseNoted) {
	str(c, &v.Owner)
	use(c, &v.Use)
}

func usage(c *coder, v *identity.Usage) {
	str(c, &v.Owner)
	list(c, &v.Credentials, credentialUse)
	list(c, &v.Actions, actionUse)
}

func use(c *coder, v *identity.Use) {
	str(c, &v.Credential)
	num(c, &v.At)
	atom(c, &v.Region)
	atom(c, &v.Service)
	list(c, &v.Actions, actionUse)
}

func credentialUse(c *coder, v *identity.CredentialUse) {
	str(c, &v.Credential)
	num(c, &v.At)
	atom(c, &v.Region)
	atom(c, &v.Service)
}

func actionUse(c *coder, v *identity.ActionUse) {
	atom(c, &v.Service)
	atom(c, &v.Name)
	num(c, &v.At)
	atom(c, &v.Region)
}

func startAccessJob(c *coder, v *identity.StartAccessJob) {
	atom(c, &v.Account)
	str(c, &v.By)
	str(c, &v.ID)
	str(c, &v.ARN)
	c.flag(&v.Actions)
	str(c, &v.Path)
	str(c, &v.Policy)
}

func accessJobStarted(c *coder, v *identity.AccessJobStarted) {
	atom(c, &v.Account)
	accessJob(c, &v.Job)
}

func accessJobs(c *coder, v *identity.AccessJobs) {
	atom(c, &v.Account)
	list(c, &v.Jobs, accessJob)
}

func accessJob(c *coder, v *identity.AccessJob) {
	str(c, &v.ID)
	str(c, &v.By)
	num(c, &v.Created)
	num(c, &v.Kind)
	str(c, &v.Entity)
	str(c, &v.ARN)
	c.flag(&v.Actions)
	str(c, &v.Path)
	str(c, &v.Policy)
}
