package objectstore

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/casefold"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Paths of MinIO's plugins at a door.
const (
	PathMinIOAccess   = "/minio/access"
	PathMinIOIdentity = "/minio/identity"
)

// Limits of MinIO's credentials and of a mapping.
const (
	// minLife is the shortest life of credentials that MinIO takes, and maxLife the longest that a
	// mapping gives.
	minLife, maxLife = 15 * time.Minute, 12 * time.Hour
	defaultLife      = time.Hour
	// MaxConditions is how many conditions a mapping names.
	MaxConditions = 64
)

// MinIO is the mapping of its plugins. Fields are read from YAML.
type MinIO struct {
	// Access is for the access management plugin, and Identity for the identity management plugin.
	Access   *MinIOAccess   `yaml:"access,omitempty"`
	Identity *MinIOIdentity `yaml:"identity,omitempty"`
}

// MinIOAccess says who asks for what.
type MinIOAccess struct {
	// Users is the ARN of those whom MinIO itself knows, with ${name}; left out, they are nobody.
	// Those whom the identity plugin told are known by what it told.
	Users bridge.Text `yaml:"users,omitempty"`
	// Owner is the ARN as whom MinIO's root asks; left out, it is nobody.
	Owner bridge.Text `yaml:"owner,omitempty"`
	// Conditions are names of MinIO's conditions with the keys that they are besides the usual ones.
	// Its clients can write most of them themselves.
	Conditions map[string]bridge.Text `yaml:"conditions,omitempty"`

	told bool // the identity plugin is this mapping's, too
}

// MinIOIdentity says whom tokens are of.
type MinIOIdentity struct {
	Tokens bearer.Sources `yaml:"tokens"`
	// Life is for how long MinIO's credentials are good at most, as 1h: 15m to 12h; 1h if nothing is
	// said.
	Life bridge.Text `yaml:"life,omitempty"`

	life time.Duration
}

// NewMinIO reads a mapping and returns the protocol. What is wrong in it wraps bridge.ErrConfig.
func NewMinIO(mapping string) (bridge.Protocol, error) {
	return load(new(MinIO), mapping, "minio needs a mapping: a file with `access`, `identity`, or both")
}

// ParseMinIO is NewMinIO for a text; name is what errors call it.
func ParseMinIO(name string, text []byte) (*MinIO, error) {
	m := new(MinIO)
	if err := bridge.Parse(name, text, m); err != nil {
		return nil, err
	}
	return m, m.complete(name)
}

func (m *MinIO) complete(file string) error {
	if m.Access == nil && m.Identity == nil {
		return bearer.At(file, 1, "give `access`, `identity`, or both: else the mapping is for nothing")
	}
	if a := m.Access; a != nil {
		if err := a.complete(file, m.Identity != nil); err != nil {
			return err
		}
	}
	i := m.Identity
	if i == nil {
		return nil
	}
	if !i.Tokens.Any() {
		return bearer.At(file, i.Life.Line, "`identity` needs `tokens`, with `presigned`, `web_identity`, or both")
	}
	i.life = defaultLife
	if i.Life.Given() {
		life, err := time.ParseDuration(i.Life.Value)
		if err != nil || life < minLife || life > maxLife || life%time.Second != 0 {
			return bearer.At(file, i.Life.Line, "`life` is a duration of 15m to 12h, in whole seconds")
		}
		i.life = life
	}
	return i.Tokens.Complete(file)
}

func (a *MinIOAccess) complete(file string, identity bool) error {
	if a.told = identity; !a.told && !a.Users.Given() && !a.Owner.Given() {
		return bearer.At(file, 1, "`access` knows nobody: give `users`, `owner`, or `identity`")
	}
	if a.Users.Given() {
		if err := checkOwners(file, "`users`", a.Users); err != nil {
			return err
		}
	}
	if a.Owner.Given() {
		if err := checkUser(file, "`owner`", a.Owner); err != nil {
			return err
		}
	}
	if len(a.Conditions) > MaxConditions {
		return bearer.At(file, 1, "there are more than %d `conditions`", MaxConditions)
	}
	seen := map[policy.Key]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Conditions)) {
		key := a.Conditions[name]
		of := policy.NewKey(key.Value)
		switch err := authz.CheckContextKey(key.Value); {
		case err != nil:
			return bearer.At(file, key.Line, "%v", err)
		case casefold.Equal(key.Value[:min(4, len(key.Value))], "aws:"):
			return bearer.At(file, key.Line, "the key %s is not a mapping's to give", key.Value)
		case slices.ContainsFunc(usual, func(u condition) bool { return u.key == of || casefold.Equal(u.name, name) }):
			return bearer.At(file, key.Line, "the condition %q, or the key %s, is among the usual ones", name, key.Value)
		case seen[of] != "":
			return bearer.At(file, key.Line, "two conditions are the key %s: which of them counts is open", key.Value)
		}
		seen[of] = name
	}
	return nil
}

// Routes adds the plugins that the mapping is for.
func (m *MinIO) Routes(mux bridge.Mux, d *bridge.Desk) {
	if m.Access != nil {
		mux.Handle("POST "+PathMinIOAccess, d.Handler("minio:Access", agent{m.Access}, bridge.OfCaller))
	}
	if m.Identity != nil {
		identify := d.Handler("minio:Identity", identify{m.Identity}, bridge.OfCaller)
		mux.Handle("POST "+PathMinIOIdentity, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			identify.ServeHTTP(w, hideToken(r))
		}))
	}
}

// condition is one of MinIO's conditions, and the key that it is.
type condition struct {
	name string
	key  policy.Key
	// server: MinIO always sets it itself, under this very name.
	server bool
}

// usual are the conditions that become keys: those that MinIO sets itself or reads as the store does.
var usual = []condition{
	{"SourceIp", policy.NewKey("aws:SourceIp"), true}, {"SecureTransport", policy.NewKey("aws:SecureTransport"), true},
	{"UserAgent", policy.NewKey("aws:UserAgent"), true}, {"Referer", policy.NewKey("aws:Referer"), true},
	{"prefix", policy.NewKey("s3:prefix"), false}, {"delimiter", policy.NewKey("s3:delimiter"), false}, {"max-keys", policy.NewKey("s3:max-keys"), false},
}

// listing are what MinIO itself writes into headers to find out which buckets somebody may list, the
// one case in which these conditions are spelled as headers.
var listing = map[string]string{"Prefix": "", "Delimiter": "/"}

// context finds the keys of a request. MinIO puts the headers and parameters of its client into the
// map in which its own conditions are. So a condition that has two values, or is there under two
// spellings that differ, is one that a client may have written, and so is a parameter that is
// spelled as a header.
func (a *MinIOAccess) context(given map[string][]string) (list []policy.Entry, why string) {
	all := usual
	for _, name := range slices.Sorted(maps.Keys(a.Conditions)) {
		all = append(all[:len(all):len(all)], condition{name: name, key: policy.NewKey(a.Conditions[name].Value)})
	}
	names := slices.Sorted(maps.Keys(given))
	for i := range all {
		k := &all[i]
		value, found := "", false
		for _, name := range names {
			if !casefold.Equal(name, k.name) || len(given[name]) == 0 {
				continue
			}
			values := slices.Compact(slices.Clone(given[name]))
			if wrote, is := listing[name]; name != k.name && (!is || values[0] != wrote) || len(values) > 1 || found && value != values[0] {
				return nil, "the condition " + k.name + " is there twice, or in a spelling that is not MinIO's: its client may have written it"
			}
			value, found = values[0], true
		}
		if found && (value != "" || !k.server) {
			list = append(list, policy.Single(k.key, value))
		}
	}
	return list, ""
}

// custom begins the parents of credentials whose owner the identity plugin told.
const custom = "custom:"

// question makes a question of the plugin's input.
func (a *MinIOAccess) question(in *bridge.Document) (q decision.Question, why string) {
	account, action, bucket, object := in.Text("account"), in.Text("action"), in.Text("bucket"), in.Text("object")
	given, isOwner := in.Lists("conditions"), in.Flag("owner")
	in.Flag("denyOnly") // whether nothing denies it; it is not heeded: the action must be allowed
	if q.Principal, why = a.principal(in.Object("claims"), account, isOwner); why != "" {
		return q, why
	}
	q.Action = action
	switch {
	case bucket == "" && object == "":
		q.Resource = "*"
	case bucket == "" || strings.ContainsAny(bucket, "/*?"):
		return q, "the request names no bucket"
	case object == "":
		q.Resource = arnS3 + bucket
	default:
		q.Resource = arnS3 + bucket + "/" + object
	}
	if q.Context, why = a.context(given); why != "" {
		return q, why
	}
	return q, checked(&q)
}

// principal is who asks. Credentials with policies of their own are nobody's: MinIO does not heed
// these where a plugin decides.
func (a *MinIOAccess) principal(claims *bridge.Document, account string, isOwner bool) (arn, why string) {
	for _, name := range claims.Names() {
		switch name {
		case "sessionPolicy", "ldapUser", "ldapUsername", "iss":
			return "", "the credentials have a policy of their own, or are of an identity provider of MinIO's: these are not mapped"
		case "sa-policy":
			if claims.Text(name) != "inherited-policy" {
				return "", "the service account has a policy of its own, which MinIO does not heed here"
			}
		}
	}
	name := account
	if claims.Has("parent") {
		name = claims.Text("parent")
	}
	told, is := strings.CutPrefix(name, custom)
	switch is = is && claims.Has("parent"); {
	case is && a.told:
		return told, ""
	case is || claims.Has("roleArn"):
		return "", "the credentials are of an identity provider of MinIO's, which is not mapped"
	case isOwner && a.Owner.Given():
		return a.Owner.Value, ""
	case isOwner:
		return "", "MinIO's root is nobody by the mapping"
	}
	if arn = owner(a.Users.Value, name); arn == "" {
		return "", "the user is nobody by the mapping"
	}
	return arn, ""
}

// tokenKey is under which a context has the token of a request.
type tokenKey struct{}

// shown is what a request's query shows: a token, or why there is none.
type shown struct{ token, why string }

// hideToken is a request whose token is no more in its URL, where traces and faults could show it.
func hideToken(r *http.Request) *http.Request {
	var s shown
	query, err := url.ParseQuery(r.URL.RawQuery)
	if list := query["token"]; err != nil || len(query) != 1 || len(list) != 1 {
		s.why = "the query is not token=TOKEN alone"
	} else {
		s.token = list[0]
	}
	r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, s))
	u := *r.URL
	u.RawQuery = ""
	r.URL, r.RequestURI = &u, u.Path
	return r
}

// known is the answer of the identity plugin to a token that is somebody's.
type known struct {
	User        string         `json:"user"`
	MaxValidity int            `json:"maxValiditySeconds"`
	Claims      map[string]any `json:"claims"`
}

// unknown is its answer to one that is not.
type unknown struct {
	Reason string `json:"reason"`
}

// identify answers the identity plugin.
type identify struct{ mapping *MinIOIdentity }

// Serve answers a call.
func (o identify) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForSession); err != nil {
		return err
	}
	s, _ := c.Request.Context().Value(tokenKey{}).(shown)
	if s.why != "" {
		return c.TellJSON(http.StatusForbidden, unknown{s.why})
	}
	who, err := o.mapping.Tokens.Identify(c, s.token)
	var refused *bearer.Refusal
	switch {
	case errors.As(err, &refused):
		return c.TellJSON(http.StatusForbidden, unknown{refused.Reason})
	case err != nil:
		return err
	}
	life := o.mapping.life
	if !who.Expires.IsZero() {
		life = min(life, who.Expires.Sub(c.Now).Truncate(time.Second))
	}
	if life < minLife {
		return c.TellJSON(http.StatusForbidden, unknown{"the token's session ends before MinIO's shortest one would"})
	}
	return c.TellJSON(http.StatusOK, known{User: who.ARN, MaxValidity: int(life / time.Second), Claims: map[string]any{}})
}

// Refuse answers with a fault. MinIO reads a reason of 403 alone.
func (o identify) Refuse(c *bridge.Call, f *fault.Fault) {
	status := bridge.StatusOf(f)
	if status != http.StatusServiceUnavailable {
		status = http.StatusForbidden
	}
	_ = c.TellJSON(status, unknown{f.Detail()}) // or who asked is gone
}
