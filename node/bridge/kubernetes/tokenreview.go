package kubernetes

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

const (
	versionTokens = "authentication.k8s.io/v1"
	kindTokens    = "TokenReview"
	// extraARN is the extra of a user with the ARN of the principal, as aws-iam-authenticator has it.
	extraARN = "arn"
)

// tokenStatus is TokenReviewStatus, and userInfo UserInfo, of authentication.k8s.io/v1.
type tokenStatus struct {
	Authenticated bool      `json:"authenticated"`
	User          *userInfo `json:"user,omitempty"`
	Error         string    `json:"error,omitempty"`
}

type userInfo struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

type tokenReview struct{ mapping *Mapping }

// Serve answers a call.
func (o tokenReview) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForSession); err != nil {
		return err
	}
	s, err := spec(c, versionTokens, kindTokens, "authentication-token-webhook-version")
	if err != nil {
		return err
	}
	token := s.Text("token")
	if err := s.Err(); err != nil {
		return err
	}
	who, err := o.mapping.Tokens.Identify(c, token)
	var user *userInfo
	if err == nil {
		user, err = o.mapping.is(c, &who)
	}
	var refused *bearer.Refusal
	switch {
	case errors.As(err, &refused):
		return o.tell(c, http.StatusOK, tokenStatus{Error: refused.Reason})
	case err != nil:
		return err
	}
	return o.tell(c, http.StatusOK, tokenStatus{Authenticated: true, User: user})
}

// Refuse answers with a fault.
func (o tokenReview) Refuse(c *bridge.Call, f *fault.Fault) {
	_ = o.tell(c, bridge.StatusOf(f), tokenStatus{Error: f.Detail()}) // or who asked is gone
}

func (tokenReview) tell(c *bridge.Call, status int, s tokenStatus) error {
	return c.TellJSON(status, review[tokenStatus]{versionTokens, kindTokens, s})
}

// groups are those of whom a token is of.
func (m *Mapping) groups(c *bridge.Call, who *bearer.Identity, r *Rule) (list []string, err error) {
	for _, g := range r.Groups {
		list = append(list, g.Value)
	}
	s := c.Seen.View.State
	var tags []identity.Tag
	if u, ok := s.UserByID(who.ID); ok {
		tags = u.Tags
		for _, id := range u.Groups {
			if g, there := s.GroupByID(id); there && m.Groups.IAM != nil {
				list = append(list, m.Groups.IAM.Prefix.Value+g.Name)
			}
		}
	} else if r, ok := s.RoleByID(who.ID); ok {
		tags = r.Tags
	}
	if t := m.Groups.Tag; t != nil {
		for _, tag := range tags {
			if casefold.Equal(tag.Key, t.Key.Value) {
				for name := range strings.FieldsSeq(tag.Value) {
					list = append(list, t.Prefix.Value+name)
				}
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > MaxGroups {
		return nil, &bearer.Refusal{Reason: "the user is in more groups than are told"}
	}
	for _, name := range list {
		if !m.mayTell(name) {
			return nil, &bearer.Refusal{Reason: "the user would be in the group " + fault.Quote(name) + ", which the mapping does not allow"}
		}
	}
	return list, nil
}
