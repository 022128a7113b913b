package sts

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

// Limits of sessions ("AssumeRole" and "GetFederationToken" in the STS API Reference).
const (
	maxPolicy   = 2048 // characters of a session policy
	maxManaged  = 10   // managed session policies
	defaultLife = time.Hour
	// maxChained is how long a session lasts that another session of a role asked for.
	maxChained = time.Hour
	// tokenLife is how long the sessions of users last that do not say it, and rootLife how
	// long those of roots last at most.
	tokenLife = 12 * time.Hour
	rootLife  = time.Hour
)

// draft are the claims of a session that a call asks for, as far as they are the same for
// all kinds.
func draft(c *iam.Call, kind session.Kind, life time.Duration) *session.Claims {
	issued := time.UnixMilli(int64(c.Now)).UTC().Truncate(time.Second)
	return &session.Claims{
		Kind: kind, Account: string(c.Caller.Account), Principal: string(c.Caller.ID),
		Issued: issued, Expires: issued.Add(life), Parent: c.Caller.AccessKey, Origin: origin(&c.Caller, issued),
	}
}

// origin is where the chain of a session begins that a caller asks for: where that of the
// caller's own session did, with that session where it is the first, or with the caller's access
// key and the new session.
func origin(caller *iam.Caller, issued time.Time) session.Origin {
	from := caller.Claims
	switch {
	case from == nil:
		return session.Origin{Account: string(caller.Account), Principal: string(caller.ID), Key: caller.AccessKey, Began: issued}
	case from.Origin != session.Origin{}:
		return from.Origin
	}
	first := session.Origin{Account: from.Account, Principal: from.Principal, Began: from.Issued}
	if !strings.HasPrefix(from.Parent, session.AccessKeyPrefix) { // a token that does not say where its chain began
		first.Key = from.Parent
	}
	return first
}

// lifeOr is a duration that a call asks for, in seconds, or what it gets without.
func lifeOr(seconds *int32, life time.Duration) time.Duration {
	if seconds == nil {
		return life
	}
	return time.Duration(*seconds) * time.Second
}

// restrict gives a session the policies that a call passes.
func restrict(c *iam.Call, claims *session.Claims, document *string, managed []types.PolicyDescriptorType) error {
	if document != nil {
		if len(*document) > maxPolicy {
			return fail(codePackedPolicyTooLarge, "Serialized token too large for session")
		}
		if _, err := valid.Parse(*document, syntax.KindSession); err != nil {
			return iam.BadDocument(err)
		}
		claims.Policy = *document
	}
	if len(managed) > maxManaged {
		return fail(codeValidationError, "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxManaged)
	}
	for _, m := range managed {
		arn := aws.ToString(m.Arn)
		p, ok := c.View.State.Policy(arn)
		if !ok || p.Account != identity.AccountID(claims.Account) && p.Account != identity.AWSAccount {
			return fail(codeInvalidParameterValue, "The policy %s does not exist or is not attachable.", arn)
		}
		if !slices.Contains(claims.Managed, arn) {
			claims.Managed = append(claims.Managed, arn)
		}
	}
	return nil
}

// tag gives a session the tags that a call passes.
func tag(claims *session.Claims, tags []types.Tag, transitive []string) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := casefold.Key(aws.ToString(t.Key))
		switch {
		case seen[key]:
			return fail(codeInvalidParameterValue, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case strings.HasPrefix(key, "aws:"):
			return fail(codeInvalidParameterValue, "Tag keys that begin with aws: are reserved for system use.")
		}
		seen[key] = true
		claims.Tags = append(claims.Tags, session.Tag{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)})
	}
	for _, key := range transitive {
		if !seen[casefold.Key(key)] {
			return fail(codeInvalidParameterValue, "The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.ContainsFunc(claims.Transitive, func(other string) bool { return casefold.Equal(other, key) }) {
			claims.Transitive = append(claims.Transitive, key)
		}
	}
	return nil
}

// tagKeys are the condition keys of the tags that a call passes.
func tagKeys(tags []types.Tag, transitive []string) (entries []policy.Entry) {
	var keys []string
	for _, t := range tags {
		entries = append(entries, policy.Single(policy.NewKey("aws:requesttag/"+aws.ToString(t.Key)), aws.ToString(t.Value)))
		keys = append(keys, aws.ToString(t.Key))
	}
	if len(keys) > 0 {
		entries = append(entries, policy.Multi("aws:tagkeys", keys))
	}
	if len(transitive) > 0 {
		entries = append(entries, policy.Multi("sts:transitivetagkeys", transitive))
	}
	return entries
}

// mint makes the session, and tells how much of the room its policies and tags take; nil for
// nothing. at is the position of the view in which the call was authorized.
func mint(c *iam.Call, claims *session.Claims, at event.Position) (*types.Credentials, *int32, error) {
	claims.Position = uint64(at)
	var packed *int32
	if size := claims.PackedSize(); size > 0 {
		packed = aws.Int32(int32(min(size, 1000)))
	}
	made, err := c.Sessions.Mint(c.View.State, claims)
	if errors.Is(err, session.ErrTooLarge) {
		return nil, nil, fail(codePackedPolicyTooLarge, "The packed size of the session policies and session tags combined is too large: %d%% of what there is room for.", claims.PackedSize())
	}
	if err != nil {
		return nil, nil, err
	}
	return &types.Credentials{AccessKeyId: aws.String(made.AccessKey), SecretAccessKey: aws.String(made.Secret),
		SessionToken: aws.String(made.Token), Expiration: aws.Time(claims.Expires)}, packed, nil
}
