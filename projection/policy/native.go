package policy

// Permissions of Writ's own API. They are written here and nowhere else: the server
// asks for them, package catalogue knows them, and test/tidy finds others in code and pages.
const (
	ActionAuthorize      = "writ:Authorize"
	ActionGetPropagation = "writ:GetPropagation"
	ActionGetCluster     = "writ:GetCluster"
	ActionWatch          = "writ:Watch"
	ActionDrainReplica   = "writ:DrainReplica"
	ActionResumeReplica  = "writ:ResumeReplica"
	ActionRemoveReplica  = "writ:RemoveReplica"
	ActionAdmitReplica   = "writ:AdmitReplica"
	ActionGetHead        = "writ:GetHead"
	ActionGetChain       = "writ:GetChain"
	ActionVerify         = "writ:Verify"
	ActionGetCatalog     = "writ:GetCatalog"
	ActionImportCatalog  = "writ:ImportCatalog"
	ActionGetQuotas      = "writ:GetQuotas"
	ActionSetQuotas      = "writ:SetQuotas"
	ActionRevokeSessions = "writ:RevokeSessions"

	ActionSetProviderKeys = "writ:SetProviderKeys"
)

// NativeActions returns the permissions of Writ's own API.
func NativeActions() []string {
	return []string{
		ActionAuthorize, ActionGetPropagation, ActionGetCluster, ActionWatch, ActionDrainReplica, ActionResumeReplica,
		ActionRemoveReplica, ActionAdmitReplica, ActionGetHead, ActionGetChain, ActionVerify,
		ActionGetCatalog, ActionImportCatalog, ActionGetQuotas, ActionSetQuotas, ActionRevokeSessions,
		ActionSetProviderKeys,
	}
}
