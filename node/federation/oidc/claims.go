package oidc

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Names of claims that AWS gives a meaning ("Pass session tags in AWS STS" in the IAM User
// Guide, "AssumeRoleWithWebIdentity" in the STS API Reference).
const (
	claimTags           = "https://aws.amazon.com/tags"
	claimPrincipalTags  = "principal_tags"
	claimTransitiveKeys = "transitive_tag_keys"
	claimSourceIdentity = "https://aws.amazon.com/source_identity"
)

// The same as claims of their own, for issuers that cannot nest them.
const (
	flatPrincipalTags  = claimTags + "/" + claimPrincipalTags + "/"
	flatTransitiveKeys = claimTags + "/" + claimTransitiveKeys
)

// Tag is a session tag that a token brings.
type Tag struct{ Key, Value string }

// Key is a claim as a condition key has it: its name, without the provider's.
type Key struct {
	Name   string
	Values []string
	// Many tells a claim that is a list.
	Many bool
}

// Claims are what a token says that is its issuer's.
type Claims struct {
	Subject string
	// Audiences are whom the token is for: the authorized party alone, where it names one, as
	// AWS has it.
	Audiences []string
	// Tags and Transitive are those of the session, and SourceIdentity its source identity.
	Tags           []Tag
	Transitive     []string
	SourceIdentity string
	// Keys are the claims that can be condition keys, in order of the claims' names: all but aud.
	Keys []Key
}

func newClaims(t *Token) (*Claims, error) {
	c := &Claims{}
	c.Subject, _ = t.claims["sub"].(string)
	aud := textsOf(t.claims["aud"])
	if azp, ok := t.claims["azp"].(string); ok && azp != "" {
		c.Audiences = []string{azp}
	} else {
		c.Audiences = aud
	}
	if c.Subject == "" || len(c.Audiences) == 0 {
		return nil, fmt.Errorf("%w: sub, aud", ErrClaim)
	}
	for _, name := range slices.Sorted(maps.Keys(t.claims)) {
		_, many := t.claims[name].([]any)
		if name == "aud" {
			if !slices.Equal(aud, c.Audiences) && len(aud) > 0 {
				c.Keys = append(c.Keys, Key{Name: "oaud", Values: aud, Many: many}) // as AWS calls it beside azp
			}
			continue
		}
		if values := textsOf(t.claims[name]); len(values) > 0 && name != "oaud" {
			c.Keys = append(c.Keys, Key{Name: name, Values: values, Many: many})
		}
	}
	if err := c.readTags(t.claims); err != nil {
		return nil, err
	}
	if said := t.claims[claimSourceIdentity]; said != nil {
		if c.SourceIdentity, _ = said.(string); c.SourceIdentity == "" {
			return nil, fmt.Errorf("%w: %s", ErrClaim, claimSourceIdentity)
		}
	}
	return c, nil
}

// textsOf are the texts that a claim is or lists; none where anything in it has no text.
func textsOf(claim any) (texts []string) {
	list, many := claim.([]any)
	if !many {
		list = []any{claim}
	}
	for _, v := range list {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case json.Number:
			texts = append(texts, v.String())
		case bool:
			texts = append(texts, strconv.FormatBool(v))
		default:
			return nil
		}
	}
	return texts
}

// readTags reads the claims of session tags: each tag has one value, as a text or a list of one.
func (c *Claims) readTags(claims map[string]any) error {
	bad := fmt.Errorf("%w: %s", ErrClaim, claimTags)
	tags, keys := map[string]any{}, claims[flatTransitiveKeys]
	for name, value := range claims {
		if key, flat := strings.CutPrefix(name, flatPrincipalTags); flat {
			tags[key] = value
		}
	}
	if claim := claims[claimTags]; claim != nil {
		said, ok := claim.(map[string]any)
		nested, tagged := said[claimPrincipalTags].(map[string]any)
		if !ok || !tagged && said[claimPrincipalTags] != nil || len(tags) > 0 && len(nested) > 0 {
			return bad
		}
		maps.Copy(tags, nested)
		if nestedKeys := said[claimTransitiveKeys]; nestedKeys != nil {
			keys = nestedKeys
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		values := textsOf(tags[key])
		if key == "" || len(values) != 1 {
			return bad
		}
		c.Tags = append(c.Tags, Tag{Key: key, Value: values[0]})
	}
	if keys != nil {
		if list, ok := keys.([]any); !ok || len(list) > 0 && len(textsOf(keys)) == 0 {
			return bad
		}
		c.Transitive = textsOf(keys)
	}
	return nil
}
