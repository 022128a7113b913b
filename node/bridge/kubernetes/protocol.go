package kubernetes

import (
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/fault"
)

// Paths at a door.
const (
	PathTokenReview  = "/token-review"
	PathAccessReview = "/access-review"
)

// New reads a mapping and returns the protocol. What is wrong in it wraps bridge.ErrConfig.
func New(mapping string) (bridge.Protocol, error) {
	m, err := Load(mapping)
	if err != nil {
		return nil, err
	}
	return protocol{m}, nil
}

type protocol struct{ mapping *Mapping }

// Routes adds what the mapping has something for.
func (p protocol) Routes(mux bridge.Mux, d *bridge.Desk) {
	if p.mapping.Tokens != nil {
		mux.Handle("POST "+PathTokenReview, d.Handler("kubernetes:TokenReview", tokenReview(p), bridge.OfCaller))
	}
	if p.mapping.Access != nil {
		mux.Handle("POST "+PathAccessReview, d.Handler("kubernetes:SubjectAccessReview", accessReview(p), bridge.OfCaller))
	}
}

// review is the object that is asked about and answered, of a version and kind.
type review[S any] struct {
	Version string `json:"apiVersion"`
	Kind    string `json:"kind"`
	Status  S      `json:"status"`
}

// spec reads the spec of a review of a version and kind.
func spec(c *bridge.Call, version, kind, flag string) (*bridge.Document, error) {
	d, err := bridge.ParseDocument(c.Payload)
	if err != nil {
		return nil, err
	}
	is, of := d.Text("kind"), d.Text("apiVersion")
	if err := d.Err(); err != nil {
		return nil, err
	}
	if is != kind || of != version {
		return nil, fault.BadRequest("Have kube-apiserver send "+version+" (--"+flag+"=v1).", "The body is a %s of %s, and no %s of %s.", fault.Quote(is), fault.Quote(of), kind, version)
	}
	return d.Object("spec"), nil
}

// is tells whether a token is of somebody, in the words of the mapping.
func (m *Mapping) is(c *bridge.Call, who *bearer.Identity) (*userInfo, error) {
	name, rule := m.user(who.ARN)
	if rule == nil {
		return nil, &bearer.Refusal{Reason: "no rule of the mapping is for " + who.ARN}
	}
	groups, err := m.groups(c, who, rule)
	if err != nil {
		return nil, err
	}
	u := &userInfo{Username: name, UID: "writ:" + who.Account + ":" + string(who.ID), Groups: groups, Extra: map[string][]string{}}
	canonical := who.ARN
	if who.Role != "" {
		canonical = who.Role
	}
	for key, text := range map[string]string{
		extraARN: who.ARN, "canonicalArn": canonical, "accountId": who.Account, "principalId": string(who.ID), "sessionName": who.Session, "accessKeyId": who.AccessKey,
	} {
		if text != "" {
			u.Extra[key] = []string{text}
		}
	}
	return u, nil
}
