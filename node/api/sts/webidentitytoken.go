package sts

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/projection/policy"
)

// issuedLife is how long a web identity token lasts whose caller does not say it.
const issuedLife = 5 * time.Minute

// getWebIdentityToken makes a token that tells other systems who the caller is.
type getWebIdentityToken struct{}

// Access says the lifetime also where the request leaves it to the default: a policy that
// bounds it means every token.
func (getWebIdentityToken) Access(c *iam.Call, in *sdk.GetWebIdentityTokenInput) []iam.Access {
	access := iam.Access{Resource: "*", Account: c.Caller.Account}.With(
		policy.Multi("sts:identitytokenaudience", in.Audience),
		policy.Single("sts:signingalgorithm", aws.ToString(in.SigningAlgorithm)),
		policy.Single("sts:durationseconds", strconv.Itoa(int(lifeOr(in.DurationSeconds, issuedLife)/time.Second))),
	).With(tagKeys(in.Tags, nil)...)
	list := []iam.Access{access}
	if len(in.Tags) > 0 {
		list = append(list, access.As("sts:TagGetWebIdentityToken"))
	}
	return list
}

func (getWebIdentityToken) Answer(c *iam.Call, in *sdk.GetWebIdentityTokenInput) (*sdk.GetWebIdentityTokenOutput, error) {
	settings := c.View.State.AccountSettings(c.Caller.Account)
	if !settings.Vends {
		return nil, fail(codeWebIdentityDisabled, "%s", identity.WebIdentityIsDisabled)
	}
	algorithm := aws.ToString(in.SigningAlgorithm)
	if algorithm != issuer.RS256 && algorithm != issuer.ES384 {
		return nil, fail(codeValidationError, "1 validation error detected: Value '%s' at 'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [%s, %s]",
			algorithm, issuer.ES384, issuer.RS256)
	}
	issued := time.UnixMilli(int64(c.Now)).UTC().Truncate(time.Second)
	claims := &issuer.Claims{Issuer: settings.Issuer, Audience: in.Audience, Issued: issued, Expires: issued.Add(lifeOr(in.DurationSeconds, issuedLife))}
	claims.About.Account, claims.About.Region = string(c.Caller.Account), c.Region
	if s := c.Caller.Claims; s != nil {
		if claims.Expires.After(s.Expires) {
			return nil, fail(codeSessionEscalation, "The requested token duration would extend the session beyond its original expiration time.")
		}
		claims.About.SessionEnds = &s.Expires
	}
	if err := about(c, in, claims); err != nil {
		return nil, err
	}
	encoded, err := claims.Encode()
	if errors.Is(err, issuer.ErrTooLarge) {
		return nil, fail(codePayloadTooLarge, "The requested token payload size exceeds the maximum allowed size. Reduce the number of request tags included in the GetWebIdentityToken API call to reduce the token payload size.")
	}
	if err != nil {
		return nil, err
	}
	token, err := c.Tokens.Sign(c.View.State, algorithm, encoded)
	if err != nil {
		return nil, err
	}
	return &sdk.GetWebIdentityTokenOutput{WebIdentityToken: aws.String(token), Expiration: aws.Time(claims.Expires)}, nil
}

// about fills in whom a token is about, and what the call adds.
func about(c *iam.Call, in *sdk.GetWebIdentityTokenInput, claims *issuer.Claims) error {
	of, err := c.View.Principal(c.Caller.ID)
	if err != nil {
		return fmt.Errorf("find the principal of a web identity token: %w", err)
	}
	claims.Subject, claims.About.Principal = of.ARN, of.ARN // of a session the role's, as AWS has it
	tags := map[string]string{}
	for _, t := range of.Tags {
		tags[t.Key] = t.Value
	}
	if s := c.Caller.Claims; s != nil {
		for _, t := range s.Tags {
			for key := range tags { // a session's tag takes the place of the principal's
				if casefold.Equal(key, t.Key) {
					delete(tags, key)
				}
			}
			tags[t.Key] = t.Value
		}
	}
	claims.About.PrincipalTags = tags
	given := map[string]string{}
	for _, t := range in.Tags {
		key := aws.ToString(t.Key)
		if _, there := given[key]; there {
			return fail(codeInvalidParameterValue, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		given[key] = aws.ToString(t.Value)
	}
	claims.About.RequestTags = given
	var id [16]byte
	if _, err := io.ReadFull(c.Random, id[:]); err != nil {
		return fmt.Errorf("draw the identifier of a web identity token: %w", err)
	}
	claims.ID = hex.EncodeToString(id[:])
	return nil
}
