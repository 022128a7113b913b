package native

import (
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy"
)

// service is the service name in signatures, and the prefix of permissions.
const service = "writ"

// Permissions of the native API, in short.
const (
	actionAuthorize        = policy.ActionAuthorize
	actionAuthenticate     = policy.ActionAuthenticate
	actionGetSigningKey    = policy.ActionGetSigningKey
	actionGetPropagation   = policy.ActionGetPropagation
	actionGetCluster       = policy.ActionGetCluster
	actionWatch            = policy.ActionWatch
	actionDrainReplica     = policy.ActionDrainReplica
	actionResumeReplica    = policy.ActionResumeReplica
	actionRemoveReplica    = policy.ActionRemoveReplica
	actionAdmitReplica     = policy.ActionAdmitReplica
	actionAddWriter        = policy.ActionAddWriter
	actionMoveWriter       = policy.ActionMoveWriter
	actionRemoveWriter     = policy.ActionRemoveWriter
	actionGetHead          = policy.ActionGetHead
	actionGetChain         = policy.ActionGetChain
	actionVerify           = policy.ActionVerify
	actionGetCatalog       = policy.ActionGetCatalog
	actionImportCatalog    = policy.ActionImportCatalog
	actionGetQuotas        = policy.ActionGetQuotas
	actionSetQuotas        = policy.ActionSetQuotas
	actionRevokeSessions   = policy.ActionRevokeSessions
	actionSearchPrincipals = policy.ActionSearchPrincipals

	actionCreateAccount    = policy.ActionCreateAccount
	actionListAccounts     = policy.ActionListAccounts
	actionSetAccountAlias  = policy.ActionSetAccountAlias
	actionCloseAccount     = policy.ActionCloseAccount
	actionSetRootEmail     = policy.ActionSetRootEmail
	actionSetRootPassword  = policy.ActionSetRootPassword
	actionListSessions     = policy.ActionListSessions
	actionListSessionKeys  = policy.ActionListSessionKeys
	actionListIssuerKeys   = policy.ActionListIssuerKeys
	actionRotateSessionKey = policy.ActionRotateSessionKey
	actionRotateIssuerKey  = policy.ActionRotateIssuerKey
	actionRevokeSessionKey = policy.ActionRevokeSessionKey
	actionRevokeIssuerKey  = policy.ActionRevokeIssuerKey

	actionRevokeCertificates = policy.ActionRevokeCertificates
	actionSetProviderKeys    = policy.ActionSetProviderKeys

	actionGetSeal            = policy.ActionGetSeal
	actionRotateSealKey      = policy.ActionRotateSealKey
	actionTransferLeadership = policy.ActionTransferLeadership
	actionBackup             = policy.ActionBackup
	actionGetRetention       = policy.ActionGetRetention
	actionSetRetention       = policy.ActionSetRetention
	actionAuthorizeAt        = policy.ActionAuthorizeAt
	actionGetDecisionChanges = policy.ActionGetDecisionChanges
)

// operation is one of the native API.
type operation interface {
	// serve answers a call or says, having written nothing, why it cannot. It verifies who
	// calls, or gives the call to the leader.
	serve(*call) error
}

// call is a request of the native API. It is one piece of memory, for it is made for
// every decision.
type call struct {
	dispatch.Exchange
	op     operation
	asker  decision.Asker // once it asks
	values [5]string      // of the answer's headers
}

// route leads requests to an operation.
type route struct {
	api    *API
	action string // the permission
	op     operation
}

// ServeHTTP carries a request of the native API through.
func (r route) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c := &call{op: r.op}
	c.Action = r.action
	r.api.cfg.Dispatcher.Serve(w, q, &c.Exchange, c)
}

// Read reads nothing: an operation reads its body when it knows who calls.
func (c *call) Read() (string, error) { return service, nil }

// Serve answers the call.
func (c *call) Serve() error { return c.op.serve(c) }

// admitChange is Admit for a change. Credentials that IAM lets change nothing change nothing
// here: they would make some that outlast them.
func (c *call) admitChange(v *projection.View) error {
	if err := c.Admit(v); err != nil {
		return err
	}
	return c.changes()
}

// changes refuses credentials that change nothing.
func (c *call) changes() error {
	if c.Caller.Barred() {
		return fault.New(fault.Denied, "Credentials by GetFederationToken, and by GetSessionToken without an MFA code, change nothing here, as in IAM.",
			"Use an access key, the session of a role, or a session that an MFA code was shown for.")
	}
	return nil
}

// Refuse answers with problem details.
func (c *call) Refuse(f *fault.Fault) {
	if c.Message != "" && f.Code() == fault.Denied {
		c.W.Header().Set(shape.HeaderMessage, c.Message)
	}
	fault.WriteProblem(&c.W, c.ID, f)
}

// ofCluster is what a request needs that is about the whole cluster, which belongs
// to its own account: no other account's root may change its roster, or read what
// all accounts do.
func (s *API) ofCluster(action string) admission.Access {
	return admission.Access{Action: action, Resource: "*", Account: s.cfg.Account}
}

// answer writes a JSON body with the position that it was computed at.
func (c *call) answer(body []byte) error {
	c.Job.Rest() // the caller may read slowly
	free, err := c.Desk.HoldAnswer(&c.Request, len(body))
	if err != nil {
		return err
	}
	defer free()
	c.values = [...]string{c.ID, "application/json", strconv.Itoa(len(body)), c.Seen.Position(), c.Seen.Mode}
	h := c.W.Header()
	for i, name := range [...]string{shape.HeaderRequestID, "Content-Type", "Content-Length", shape.HeaderPosition, shape.HeaderFreshness} {
		h[name] = c.values[i : i+1 : i+1]
	}
	c.W.WriteHeader(http.StatusOK)
	_, err = c.W.Write(body)
	return err
}
