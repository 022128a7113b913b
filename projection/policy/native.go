package policy

import "strings"

// Permissions of Writ's own API. They are written here and nowhere else: the server
// asks for them, Lint knows them, and test/tidy finds others in code and pages.
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
)

// NativeActions returns the permissions of Writ's own API.
func NativeActions() []string {
	return []string{
		ActionAuthorize, ActionGetPropagation, ActionGetCluster, ActionWatch, ActionDrainReplica, ActionResumeReplica,
		ActionRemoveReplica, ActionAdmitReplica, ActionGetHead, ActionGetChain, ActionVerify,
	}
}

// nativeNames are the names of NativeActions as the catalogue has those of a service.
func nativeNames() string {
	return strings.ReplaceAll(strings.Join(NativeActions(), " "), "writ:", "")
}
