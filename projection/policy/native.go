package policy

// Permissions of Writ's own API. They are written here and nowhere else: the server
// asks for them, package catalogue knows them, and test/tidy finds others in code and pages.
const (
	ActionAuthorize        = "writ:Authorize"
	ActionSearchPrincipals = "writ:SearchPrincipals"
	ActionGetPropagation   = "writ:GetPropagation"
	ActionGetCluster       = "writ:GetCluster"
	ActionWatch            = "writ:Watch"
	ActionDrainReplica     = "writ:DrainReplica"
	ActionResumeReplica    = "writ:ResumeReplica"
	ActionRemoveReplica    = "writ:RemoveReplica"
	ActionAdmitReplica     = "writ:AdmitReplica"
	ActionAddWriter        = "writ:AddWriter"
	ActionMoveWriter       = "writ:MoveWriter"
	ActionRemoveWriter     = "writ:RemoveWriter"
	ActionGetHead          = "writ:GetHead"
	ActionGetChain         = "writ:GetChain"
	ActionVerify           = "writ:Verify"
	ActionGetCatalog       = "writ:GetCatalog"
	ActionImportCatalog    = "writ:ImportCatalog"
	ActionGetQuotas        = "writ:GetQuotas"
	ActionSetQuotas        = "writ:SetQuotas"
	ActionRevokeSessions   = "writ:RevokeSessions"

	ActionCreateAccount    = "writ:CreateAccount"
	ActionListAccounts     = "writ:ListAccounts"
	ActionSetAccountAlias  = "writ:SetAccountAlias"
	ActionCloseAccount     = "writ:CloseAccount"
	ActionSetRootEmail     = "writ:SetRootEmail"
	ActionSetRootPassword  = "writ:SetRootPassword"
	ActionListSessions     = "writ:ListSessions"
	ActionListSessionKeys  = "writ:ListSessionKeys"
	ActionListIssuerKeys   = "writ:ListIssuerKeys"
	ActionRotateSessionKey = "writ:RotateSessionKey"
	ActionRotateIssuerKey  = "writ:RotateIssuerKey"
	ActionRevokeSessionKey = "writ:RevokeSessionKey"
	ActionRevokeIssuerKey  = "writ:RevokeIssuerKey"
	ActionSetProviderKeys  = "writ:SetProviderKeys"

	ActionGetSeal            = "writ:GetSeal"
	ActionRotateSealKey      = "writ:RotateSealKey"
	ActionTransferLeadership = "writ:TransferLeadership"
	ActionRevokeCertificates = "writ:RevokeCertificates"
	ActionBackup             = "writ:Backup"
	ActionGetRetention       = "writ:GetRetention"
	ActionSetRetention       = "writ:SetRetention"

	ActionAuthenticate       = "writ:Authenticate"
	ActionGetSigningKey      = "writ:GetSigningKey"
	ActionAuthorizeAt        = "writ:AuthorizeAt"
	ActionGetDecisionChanges = "writ:GetDecisionChanges"
)

// KeySigningService is the condition key of ActionAuthenticate and ActionGetSigningKey that has the
// service name of the signatures which they are about.
const KeySigningService = "writ:signingService"

// NativeActions returns the permissions of Writ's own API.
func NativeActions() []string {
	return []string{
		ActionAuthorize, ActionSearchPrincipals, ActionGetPropagation, ActionGetCluster, ActionWatch, ActionDrainReplica, ActionResumeReplica,
		ActionRemoveReplica, ActionAdmitReplica, ActionGetHead, ActionGetChain, ActionVerify,
		ActionGetCatalog, ActionImportCatalog, ActionGetQuotas, ActionSetQuotas, ActionRevokeSessions,
		ActionCreateAccount, ActionListAccounts, ActionSetAccountAlias, ActionCloseAccount, ActionSetRootEmail, ActionSetRootPassword,
		ActionListSessions, ActionListSessionKeys, ActionRotateSessionKey, ActionRevokeSessionKey,
		ActionListIssuerKeys, ActionRotateIssuerKey, ActionRevokeIssuerKey,
		ActionSetProviderKeys, ActionAddWriter, ActionMoveWriter, ActionRemoveWriter, ActionTransferLeadership,
		ActionRevokeCertificates, ActionGetSeal, ActionRotateSealKey, ActionBackup, ActionGetRetention, ActionSetRetention,
		ActionAuthenticate, ActionGetSigningKey,
		ActionAuthorizeAt, ActionGetDecisionChanges,
	}
}
