package authz

import (
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/projection/policy"
)

// Request is a question: may the principal do the action with the resource? It
// is not changed by an answer, so several goroutines may ask with the same one.
type Request struct {
	Principal *Principal
	// Action is an action such as "s3:GetObject", in any letter case.
	Action string
	// Resource is an ARN, or "*" for actions without resource types.
	Resource string
	// Named is what a message calls the resource; empty for Resource.
	Named string
	// ResourceAccount is the account of the resource. When empty it is the
	// account in the ARN, and where that has none the principal's own.
	ResourceAccount string
	// Target are the policies on the side of the resource; nil without any.
	Target *Target
	// Context are the condition keys of the request. Without FillGlobals they
	// are all there are: a closed world. Tags whose keys differ in letter case
	// alone are entries of one key, each of which counts.
	Context []policy.Entry
	// Granted stands for an Allow in the policies of the principal, where something that is
	// no policy gives it, such as a setting of its account.
	Granted bool
	// Work bounds what the answer takes; nil sets no bound.
	Work *policy.Work

	globals *Globals
}

// FillGlobals adds AWS's global condition keys to the context: aws:PrincipalArn,
// aws:userid, aws:CurrentTime and so on, from the principal, the request and g.
// They come after the keys in Context, and each is computed only when a policy
// reads it. A Request must not be copied afterwards.
func (r *Request) FillGlobals(g *Globals) {
	r.globals = g
}

// Target are the policies that come with a resource.
type Target struct {
	// Policy is the resource's own policy, made by NewResourceSet: a bucket
	// policy, a key policy, the trust policy of a role. Nil without one.
	Policy *Set
	// RCPs are the resource control policies of the resource's account, a set
	// for each level of the organization, outermost first, made by
	// NewResourceSet. Empty without an organization.
	RCPs []*Set
}

// Transport is how a request came, as far as that is known.
type Transport uint8

// The transports.
const (
	UnknownTransport Transport = iota // aws:SecureTransport is missing
	PlainTransport                    // in the clear
	TLSTransport
)

// TransportOf is that of a request that came over TLS or in the clear.
func TransportOf(tls bool) Transport {
	if tls {
		return TLSTransport
	}
	return PlainTransport
}

// secure is the value of aws:SecureTransport.
func (t Transport) secure() string {
	if t == UnknownTransport {
		return ""
	}
	return strconv.FormatBool(t == TLSTransport)
}

// Globals are the facts of a request behind AWS's global condition keys. The keys of
// a field that is empty are missing from the context: a question, which is about a
// request that nobody has made, knows few of them.
type Globals struct {
	// Time is when the request was made.
	Time      time.Time
	SourceIP  string
	Region    string
	UserAgent string
	Transport Transport
	// ResourceOrgID is the organization of the resource's account.
	ResourceOrgID string
}

// account returns the account of the resource, or the principal's own where
// neither the request nor the ARN tells.
func (r *Request) account() string {
	if r.ResourceAccount != "" {
		return r.ResourceAccount
	}
	if arn, ok := splitARN(r.Resource); ok && arn.account != "" {
		return arn.account
	}
	return r.Principal.Account
}

// arn is the fields of an ARN that matter here.
type arn struct{ partition, service, account, resource string }

// splitARN takes an ARN apart. It reports false for a text with fewer than six
// fields.
func splitARN(text string) (a arn, ok bool) {
	const fields = 6
	start, n := 0, 0
	for i := 0; i < len(text) && n < fields-1; i++ {
		if text[i] != ':' {
			continue
		}
		switch n {
		case 1:
			a.partition = text[start:i]
		case 2:
			a.service = text[start:i]
		case 4:
			a.account = text[start:i]
		}
		start = i + 1
		n++
	}
	a.resource = text[start:]
	return a, n == fields-1
}

// AccountOf returns the account that an ARN names, "" where it names none.
func AccountOf(arn string) string {
	a, _ := splitARN(arn)
	return a.account
}

// awsTime is the format of times in a request context.
const awsTime = "2006-01-02T15:04:05Z"

// principalTag is what the keys of principal tags begin with.
const principalTag = "aws:principaltag/"

// globalKeys are the global condition keys of a request.
type globalKeys Request

// Entry fills in a global condition key (IAM User Guide: "AWS global condition
// context keys").
func (r *globalKeys) Entry(key policy.Key, n int) (policy.Entry, bool) {
	if n > 0 && n >= len(r.Principal.Tags) && n >= len(r.Principal.Keys) {
		return policy.Entry{}, false // asked of every key that is there
	}
	if tag, ok := strings.CutPrefix(string(key), principalTag); ok {
		return r.Principal.tag(key, tag, n)
	}
	for _, e := range r.Principal.Keys {
		if e.Key != key {
			continue
		}
		if n == 0 {
			return e, true
		}
		n--
	}
	if n > 0 {
		return policy.Entry{}, false // only tags and what providers say come in several spellings
	}
	if key == "aws:principalorgpaths" {
		return policy.Multi(key, r.Principal.OrgPaths), len(r.Principal.OrgPaths) > 0
	}
	value, ok := r.ofPrincipal(key)
	if !ok {
		value = r.ofRequest(key)
	}
	return policy.Single(key, value), value != ""
}

// ofPrincipal is the value of a key that tells of who asks and of its credentials, empty
// if it has none; false for another key.
func (r *globalKeys) ofPrincipal(key policy.Key) (value string, ok bool) {
	p := r.Principal
	switch key {
	case "aws:principalarn":
		value = p.contextARN()
	case "aws:principalaccount":
		value = p.Account
	case "aws:principaltype":
		value = p.contextType()
	case "aws:userid":
		value = p.userID()
	case "aws:username":
		if p.Type == User {
			value = p.Name
		}
	case "aws:principalorgid":
		value = p.OrgID
	case "aws:principalisawsservice":
		value = strconv.FormatBool(p.Type == Service)
	case "aws:principalservicename":
		value = p.Service
	case "aws:sourceidentity":
		value = p.SourceIdentity
	case "aws:federatedprovider":
		value = p.FederatedProvider
	case "aws:tokenissuetime":
		value = formatTime(p.TokenIssued)
	case "aws:multifactorauthpresent":
		// Missing with long-term credentials, which know nothing of MFA, but where the very
		// request shows a code.
		if !p.TokenIssued.IsZero() || !p.MFA.IsZero() {
			value = strconv.FormatBool(!p.MFA.IsZero())
		}
	case "aws:multifactorauthage":
		if !p.MFA.IsZero() && !r.globals.Time.IsZero() {
			value = strconv.FormatInt(int64(r.globals.Time.Sub(p.MFA)/time.Second), 10)
		}
	default:
		return "", false
	}
	return value, true
}

// ofRequest is the value of a key that tells of the request and its resource, empty if it
// has none.
func (r *globalKeys) ofRequest(key policy.Key) string {
	g := r.globals
	switch key {
	case "aws:currenttime":
		return formatTime(g.Time)
	case "aws:epochtime":
		if !g.Time.IsZero() {
			return strconv.FormatInt(g.Time.Unix(), 10)
		}
	case "aws:sourceip":
		return g.SourceIP
	case "aws:useragent":
		return g.UserAgent
	case "aws:securetransport":
		return g.Transport.secure()
	case "aws:requestedregion":
		return g.Region
	case "aws:resourceaccount":
		return (*Request)(r).account()
	case "aws:resourceorgid":
		return g.ResourceOrgID
	}
	return ""
}

// settles tells whether a request of the principal lacks a key for good if the
// principal has it not. That is known of a principal that has an ID, and so comes from
// a store: a session may have tags of its own, a user has none but the store's.
func (p *Principal) settles(key policy.Key) bool {
	return p.ID != "" && (key == "aws:username" || p.Type == User && strings.HasPrefix(string(key), principalTag))
}

// tag looks up tag n of those whose keys are equal to the name of a key: the letter
// case of tag keys does not count.
func (p *Principal) tag(key policy.Key, name string, n int) (policy.Entry, bool) {
	for _, t := range p.Tags {
		if !casefold.Equal(t.Key, name) {
			continue
		}
		if n == 0 {
			return policy.Single(key, t.Value), true
		}
		n--
	}
	return policy.Entry{}, false
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(awsTime)
}

// contextARN is the value of aws:PrincipalArn: of a role session the role.
func (p *Principal) contextARN() string {
	if p.Type == RoleSession {
		return p.Issuer
	}
	if p.Type == FederatedIdentity {
		return ""
	}
	return p.ARN
}

// contextType is the value of aws:PrincipalType.
func (p *Principal) contextType() string {
	switch p.Type {
	case User:
		return "User"
	case RoleSession, Role:
		return "AssumedRole"
	case FederatedUser:
		return "FederatedUser"
	case Root:
		return "Account"
	case Anonymous:
		return "Anonymous"
	}
	return ""
}

// userID is the value of aws:userid (IAM User Guide: "IAM policy elements:
// Variables and tags", principal key values).
func (p *Principal) userID() string {
	switch p.Type {
	case User, Role:
		return p.ID
	case RoleSession:
		if p.ID == "" {
			return ""
		}
		return p.ID + ":" + p.Name
	case FederatedUser:
		return p.Account + ":" + p.Name
	case Root:
		return p.Account
	case Anonymous:
		return "anonymous"
	}
	return ""
}
