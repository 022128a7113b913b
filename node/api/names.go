package api

import (
	"net/http"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
)

// What a node calls by this package's name, though another owns it: a node names the
// package that it serves by, and few of those below it.
type (
	Forwarded    = admission.Forwarded
	Decided      = shape.Decided
	Status       = shape.Cluster
	Member       = shape.Member
	Verification = shape.Verification
	Verified     = shape.Verified
	Verdict      = shape.Verdict
	Change       = native.Change
	GapError     = native.GapError
	WithoutLease = freshness.WithoutLease
)

// See the packages that own them.
const (
	AdmitNothing           = freshness.AdmitNothing
	AdmitQuestions         = freshness.AdmitQuestions
	AdmitReads             = freshness.AdmitReads
	MaxWait                = freshness.MaxWait
	VerdictOK              = shape.VerdictOK
	VerdictDiffers         = shape.VerdictDiffers
	VerdictBroken          = shape.VerdictBroken
	VerdictUnfinished      = shape.VerdictUnfinished
	VerdictUnreachable     = shape.VerdictUnreachable
	MaxHandedOn            = admission.MaxHandedOn
	DefaultPresignedWrites = dispatch.DefaultPresignedWrites
	MaxPresignedWrites     = dispatch.MaxPresignedWrites
)

// See the packages that own them.
var (
	ErrNotLeader      = dispatch.ErrNotLeader
	ErrOutcomeUnknown = dispatch.ErrOutcomeUnknown
	ErrOverloaded     = dispatch.ErrOverloaded
	ErrTooLarge       = dispatch.ErrTooLarge
	ErrVerifying      = native.ErrVerifying
)

// IsForwarded is admission.IsForwarded.
func IsForwarded(r *http.Request) bool { return admission.IsForwarded(r) }

// ChangeOf is native.ChangeOf.
func ChangeOf(b *event.Batch) Change { return native.ChangeOf(b) }
