// Package native is Writ's own API, JSON over HTTP: decisions, how far changes have come
// and whether they are in force, watching, the cluster and its roster, and what anyone can
// check. Every operation is a type with serve, in the file of its subject.
package native

import (
	"context"
	_ "embed"
	"net/http"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/changes"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/effect"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/received"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/usage"
	"github.com/writ-iam/writ/projection"
)

// Config is what an API is made of. All fields are required but those that say so.
type Config struct {
	Name    string             // of the node
	Account identity.AccountID // the cluster's own: the first one, which manages the others
	Votes   bool               // a writer, not a replica

	Dispatcher *dispatch.Dispatcher
	Desk       *admission.Desk
	Views      *freshness.Views
	Engine     *decision.Engine
	Projection *projection.Projection
	// Seal encrypts the secrets of roots, and Passwords hashes their passwords, at the
	// leader; elsewhere Seal may be nil.
	Seal      *seal.Key
	Passwords *password.Hasher
	// Passkeys are what passkeys are bound to; nil where there are none.
	Passkeys *passkey.Party
	Issuer   Issuer

	// Tracker knows what replicas have reached, Notary vouches for what the cluster has, Voters
	// changes who votes, and Sealing knows the keys that seal secrets. Only a node that leads asks
	// them; at a replica they are nil.
	Tracker effect.Tracker
	Notary  Notary
	Voters  Voters
	Sealing Sealing
	// Chain has the heads of all batches; nil at a replica.
	Chain Chain
	// Backups has what archives are made of; nil at a replica.
	Backups Backups
	// History has the changes that watchers are told of.
	History History
	Cluster Cluster
	// Past has the views of earlier positions; nil at a replica.
	Past Past
	// Sessions are those that the node saw.
	Sessions *usage.Sessions

	// WithoutLease is what the node admits while nothing proves that it is current.
	WithoutLease freshness.WithoutLease
	Now          func() time.Time
	Meter        Meter
}

// Issuer makes issuer keys, at the leader.
type Issuer interface {
	// NewKey is the command that gives a state its next one.
	NewKey(*identity.State) (identity.Command, error)
}

// History has changes, as watchers are told of them.
type History interface {
	// Changes returns the changes from a position on, in order, at most count of them;
	// they exist. A *changes.GapError says that the first ones are not kept here.
	Changes(from event.Position, count int) ([]changes.Change, error)
}

// Chain has the heads of batches.
type Chain interface {
	// Headers returns the headers of the batches behind a position, in order: at most
	// limit, and no more than an answer may hold.
	Headers(after event.Position, limit int) ([][]byte, error)
}

// Notary vouches for what the cluster has, at the leader.
type Notary interface {
	// SignHead returns a head that is current after the call, under the leader's
	// signature. Errors are dispatch.ErrNotLeader or the context's, or say why it cannot.
	SignHead(context.Context) (*event.SignedHead, error)
	// Verify compares all nodes with the leader's log, the chain from a position on,
	// in about the given time. Errors are dispatch.ErrNotLeader, ErrVerifying or the context's.
	Verify(ctx context.Context, from event.Position, timeout time.Duration) (*shape.Verification, error)
}

// Voters changes who votes in the log, at the leader.
type Voters interface {
	// Spares finds the member that a writer is, by its name, and whether the others can do
	// without it; empty for one that is no member. Errors are dispatch.ErrNotLeader,
	// members.ErrLeads or members.ErrQuorum.
	Spares(ctx context.Context, name string) (id string, err error)
	// RemoveWriter takes a member away that is no writer of the cluster, by its address or id.
	// Errors are dispatch.ErrNotLeader, those of members.List.Without, or the context's.
	RemoveWriter(ctx context.Context, called string) error
	// TransferLeadership hands leadership to a writer, by its name, address or id; to the
	// one that is furthest ahead if called is empty. Errors are as of RemoveWriter.
	TransferLeadership(ctx context.Context, called string) error
}

// Cluster is how a cluster fares.
type Cluster interface {
	// Status describes the cluster as this node knows it; the leader knows most.
	Status(context.Context) shape.Cluster
}

// Meter counts what the API serves.
type Meter interface {
	// Watching adds to the number of streams of events that are being served.
	Watching(change int)
}

// API serves the native API of one node.
type API struct {
	cfg      Config
	effects  effect.Config
	received *received.Desk
	backups  chan struct{} // one element for each archive that is being sent
	ending   chan struct{} // closed when streams of events are to end
	endOnce  sync.Once
}

// New returns the native API of a node.
func New(cfg Config) *API {
	return &API{
		cfg: cfg, ending: make(chan struct{}), backups: make(chan struct{}, MaxBackups),
		received: received.New(received.Config{Name: cfg.Name, Account: cfg.Account, Views: cfg.Views, Projection: cfg.Projection}),
		effects:  effect.Config{Desk: cfg.Desk, Views: cfg.Views, Projection: cfg.Projection, Tracker: cfg.Tracker, Now: cfg.Now},
	}
}

// Mux takes routes, as http.ServeMux does.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// Routes adds the API's routes to a mux.
func (s *API) Routes(mux Mux) {
	for _, r := range []struct {
		pattern, action string
		op              operation
	}{
		{"POST /v1/authorize", actionAuthorize, authorizeOne{s}},
		{"POST /v1/authorize/batch", actionAuthorize, authorizeMany{s}},
		{"POST /v1/authenticate", actionAuthenticate, authenticateOther{s}},
		{"POST /v1/signing-key", actionGetSigningKey, getSigningKey{s}},
		{"POST /v1/authorize/changes", actionGetDecisionChanges, searchChanges{s}},
		{"POST /v1/search/principals", actionSearchPrincipals, searchPrincipals{s}},
		{"GET /v1/propagation", actionGetPropagation, getPropagation{s}},
		{"GET /v1/propagation/{token}", actionGetPropagation, getPropagation{s}},
		{"POST /v1/propagation/effect", actionGetPropagation, awaitEffect{s}},
		{"GET /v1/cluster", actionGetCluster, getCluster{s}},
		{"GET /v1/events", actionWatch, watch{s}},
		{"POST /v1/replicas/{name}/drain", actionDrainReplica, changeRoster{s, actionDrainReplica}},
		{"POST /v1/replicas/{name}/resume", actionResumeReplica, changeRoster{s, actionResumeReplica}},
		{"POST /v1/replicas/{name}/admit", actionAdmitReplica, changeRoster{s, actionAdmitReplica}},
		{"DELETE /v1/replicas/{name}", actionRemoveReplica, changeRoster{s, actionRemoveReplica}},
		{"POST /v1/writers", actionAddWriter, changeWriters{s, actionAddWriter}},
		{"POST /v1/writers/{name}/move", actionMoveWriter, changeWriters{s, actionMoveWriter}},
		{"DELETE /v1/writers/{name}", actionRemoveWriter, changeVoters{s, actionRemoveWriter}},
		{"POST /v1/leader", actionTransferLeadership, changeVoters{s, actionTransferLeadership}},
		{"POST /v1/verify", actionVerify, verifyNodes{s}},
		{"GET /v1/head", actionGetHead, getHead{s}},
		{"GET /v1/chain", actionGetChain, getChain{s}},
		{"GET /v1/backup", actionBackup, getBackup{s}},
		{"GET /v1/retention", actionGetRetention, getRetention{s}},
		{"PUT /v1/retention", actionSetRetention, setRetention{s}},
		{"GET /v1/catalog", actionGetCatalog, getCatalogue{s}},
		{"POST /v1/catalog/{digest}/parts/{part}", actionImportCatalog, stageCatalogue{s}},
		{"POST /v1/catalog/{digest}/install", actionImportCatalog, installCatalogue{s}},
		{"GET /v1/quotas", actionGetQuotas, getQuotas{s}},
		{"POST /v1/quotas", actionSetQuotas, setQuotas{s}},
		{"POST /v1/revocations", actionRevokeSessions, revokeSessions{s}},
		{"GET /v1/accounts", actionListAccounts, listAccounts{s}},
		{"POST /v1/accounts", actionCreateAccount, createAccount{s}},
		{"POST /v1/accounts/{account}/alias", actionSetAccountAlias, changeAccount{s, actionSetAccountAlias}},
		{"POST /v1/accounts/{account}/close", actionCloseAccount, changeAccount{s, actionCloseAccount}},
		{"POST /v1/accounts/{account}/root/email", actionSetRootEmail, changeAccount{s, actionSetRootEmail}},
		{"POST /v1/accounts/{account}/root/password", actionSetRootPassword, changeAccount{s, actionSetRootPassword}},
		{"GET /v1/sessions", actionListSessions, listSessions{s}},
		{"GET /v1/seal", actionGetSeal, getSeal{s}},
		{"POST /v1/seal/rotate", actionRotateSealKey, rotateSeal{s}},
		{"GET /v1/session-keys", actionListSessionKeys, listKeys{s.sessionKeys()}},
		{"POST /v1/session-keys", actionRotateSessionKey, rotateKey{s.sessionKeys()}},
		{"POST /v1/session-keys/{number}/revoke", actionRevokeSessionKey, revokeKey{s.sessionKeys()}},
		{"GET /v1/issuer-keys", actionListIssuerKeys, listKeys{s.issuerKeys()}},
		{"POST /v1/issuer-keys", actionRotateIssuerKey, rotateKey{s.issuerKeys()}},
		{"POST /v1/issuer-keys/{number}/revoke", actionRevokeIssuerKey, revokeKey{s.issuerKeys()}},
		{"POST /v1/certificates/revoke", actionRevokeCertificates, revokeCertificates{s}},
		{"POST /v1/passkeys", actionEnableMFA, registerPasskey{s}},
		{"POST /v1/passkeys/challenge", actionEnableMFA, challengePasskey{s}},
		{"POST /v1/providers/keys", actionSetProviderKeys, setProviderKeys{s}},
	} {
		mux.Handle(r.pattern, route{s, r.action, r.op})
	}
	mux.Handle("GET /openapi.json", http.HandlerFunc(OpenAPI))
}

// EndStreams ends all streams of events, and lets none begin that would go on.
func (s *API) EndStreams() { s.endOnce.Do(func() { close(s.ending) }) }

//go:generate go test . -run ^TestDocument$ -update

// openAPIDocument is made by the tests of this package from the routes, the types of
// package shape and the prose of each operation.
//
//go:embed openapi.json
var openAPIDocument []byte

// OpenAPI answers with the description of the native API.
func OpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(openAPIDocument) // an error here means that the caller has gone
}
