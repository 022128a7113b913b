package api

import (
	"net/http"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/freshness"
)

// What the node around the edge calls by this package's name, though another owns it.
type (
	Forwarded    = admission.Forwarded
	Decided      = shape.Decided
	Status       = shape.Cluster
	Member       = shape.Member
	Verification = shape.Verification
	Verified     = shape.Verified
	Verdict      = shape.Verdict
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

// See package dispatch.
var (
	ErrNotLeader      = dispatch.ErrNotLeader
	ErrOutcomeUnknown = dispatch.ErrOutcomeUnknown
	ErrOverloaded     = dispatch.ErrOverloaded
	ErrTooLarge       = dispatch.ErrTooLarge
)

// IsForwarded is admission.IsForwarded.
func IsForwarded(r *http.Request) bool { return admission.IsForwarded(r) }
