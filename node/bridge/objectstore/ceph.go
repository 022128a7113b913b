package objectstore

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/projection/policy"
)

// PathCeph answers the Open Policy Agent integration of Ceph's object gateway (rgw_opa_url).
const PathCeph = "/ceph/access"

// MaxTenants is how many tenants a mapping names.
const MaxTenants = 256

// Ceph is the mapping of users of the object gateway. Fields are read from YAML.
type Ceph struct {
	// Users is the ARN of the users of no tenant, with ${name}; left out, they are nobody.
	Users bridge.Text `yaml:"users,omitempty"`
	// Tenants are those of users of tenants, by the tenants' names.
	Tenants map[string]bridge.Text `yaml:"tenants,omitempty"`
}

// NewCeph reads a mapping and returns the protocol. What is wrong in it wraps bridge.ErrConfig.
func NewCeph(mapping string) (bridge.Protocol, error) {
	return load(new(Ceph), mapping, "ceph needs a mapping: a file with `users`, `tenants`, or both")
}

// ParseCeph is NewCeph for a text; name is what errors call it.
func ParseCeph(name string, text []byte) (*Ceph, error) {
	m := new(Ceph)
	if err := bridge.Parse(name, text, m); err != nil {
		return nil, err
	}
	return m, m.complete(name)
}

func (m *Ceph) complete(file string) error {
	if !m.Users.Given() && len(m.Tenants) == 0 || len(m.Tenants) > MaxTenants {
		return bearer.At(file, 1, "give `users`, `tenants` (at most %d), or both", MaxTenants)
	}
	seen := map[string]int{}
	check := func(what string, arn bridge.Text) error {
		if line, ok := seen[arn.Value]; ok {
			return bearer.At(file, arn.Line, "%s: users of two tenants would be one principal, see line %d", what, line)
		}
		seen[arn.Value] = arn.Line
		return checkOwners(file, what, arn)
	}
	if m.Users.Given() {
		if err := check("`users`", m.Users); err != nil {
			return err
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(m.Tenants)) {
		if tenant == "" || strings.ContainsAny(tenant, "$:/*?") {
			return bearer.At(file, m.Tenants[tenant].Line, "`tenants`: %q is no name of a tenant", tenant)
		}
		if err := check("`tenants`", m.Tenants[tenant]); err != nil {
			return err
		}
	}
	return nil
}

// Routes adds PathCeph. The gateway shows its token in a header of its own.
func (m *Ceph) Routes(mux bridge.Mux, d *bridge.Desk) {
	ask := d.Handler("ceph:Access", agent{m}, bridge.OfCaller)
	mux.Handle("POST "+PathCeph, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Values("X-Auth-Token"); len(token) == 1 && token[0] != "" && len(r.Header["Authorization"]) == 0 {
			r.Header.Set("Authorization", "Bearer "+token[0])
		}
		r.Header.Del("X-Auth-Token")
		ask.ServeHTTP(w, r)
	}))
}

// question makes a question of the gateway's input, which names no action: the method and the
// parameters tell it. Those that are none of a table's are not guessed at.
func (m *Ceph) question(in *bridge.Document) (q decision.Question, why string) {
	method, object := in.Text("method"), in.Text("object_name")
	bucket := in.Object("bucket_info").Object("bucket")
	name, tenant := bucket.Text("name"), bucket.Text("tenant")
	user := in.Object("user_info").Text("user_id")
	if q.Principal, why = m.principal(user, in.Text("subuser")); why != "" {
		return q, why
	}
	at, relative, raw := in.Text("decoded_uri"), in.Text("relative_uri"), in.Text("params")
	if name == "" && object == "" && method == http.MethodPut && at == relative { // it is to be made
		name = strings.Trim(at, "/")
		if of, _, is := strings.Cut(user, "$"); is {
			tenant = of
		}
	}
	if strings.ContainsAny(name+tenant, "/:*?") {
		return q, "the request names no bucket"
	}
	if !named(at, tenant, name, object) {
		return q, "the request's path is not that of its bucket and object in the S3 API"
	}
	where := service
	q.Resource = "*"
	if name != "" {
		where, q.Resource = ofBucket, arnS3+name
		if tenant != "" {
			q.Resource = arnS3 + tenant + ":" + name
		}
	}
	if object != "" {
		where, q.Resource = ofObject, q.Resource+"/"+object
	}
	if q.Action, q.Context, why = actionOf(where, method, raw); why != "" {
		return q, why
	}
	return q, checked(&q)
}

// principal is whose a user is, who is called NAME or TENANT$NAME.
func (m *Ceph) principal(user, subuser string) (arn, why string) {
	if subuser != "" {
		return "", "subusers are nobody by the mapping"
	}
	arn, name := m.Users.Value, user
	if tenant, of, is := strings.Cut(user, "$"); is {
		arn, name = m.Tenants[tenant].Value, of
	}
	if arn = owner(arn, name); arn == "" {
		return "", "the user is nobody by the mapping"
	}
	return arn, ""
}

// named tells whether a path is that of a bucket and an object in the S3 API: what the gateway serves
// as another API, or below another path, is not.
func named(at, tenant, bucket, object string) bool {
	if bucket == "" {
		return at == "/" && object == ""
	}
	names := []string{"/" + bucket}
	if tenant != "" {
		names = append(names, "/"+tenant+":"+bucket)
	}
	for _, name := range names {
		if object != "" && at == name+"/"+object || object == "" && (at == name || at == name+"/") {
			return true
		}
	}
	return false
}

// level is what a request is about.
type level int

const (
	service level = iota
	ofBucket
	ofObject
)

// ask is a request by its level, its method, and the parameter that says what it is for.
type ask struct {
	where  level
	method string
	param  string
}

// actions are those of requests ("Actions, resources, and condition keys for Amazon S3" in the
// Service Authorization Reference). POST to a bucket is not among them: which objects it deletes or
// makes its body says, which the gateway does not hand on.
var actions = map[ask]string{
	{service, "GET", ""}: "s3:ListAllMyBuckets",

	{ofBucket, "GET", ""}: "s3:ListBucket", {ofBucket, "HEAD", ""}: "s3:ListBucket", {ofBucket, "PUT", ""}: "s3:CreateBucket", {ofBucket, "DELETE", ""}: "s3:DeleteBucket",
	{ofBucket, "GET", "versions"}: "s3:ListBucketVersions", {ofBucket, "GET", "uploads"}: "s3:ListBucketMultipartUploads", {ofBucket, "GET", "location"}: "s3:GetBucketLocation",
	{ofBucket, "GET", "acl"}: "s3:GetBucketAcl", {ofBucket, "PUT", "acl"}: "s3:PutBucketAcl",
	{ofBucket, "GET", "policy"}: "s3:GetBucketPolicy", {ofBucket, "PUT", "policy"}: "s3:PutBucketPolicy", {ofBucket, "DELETE", "policy"}: "s3:DeleteBucketPolicy",
	{ofBucket, "GET", "policyStatus"}: "s3:GetBucketPolicyStatus",
	{ofBucket, "GET", "cors"}:         "s3:GetBucketCORS", {ofBucket, "PUT", "cors"}: "s3:PutBucketCORS", {ofBucket, "DELETE", "cors"}: "s3:PutBucketCORS",
	{ofBucket, "GET", "lifecycle"}: "s3:GetLifecycleConfiguration", {ofBucket, "PUT", "lifecycle"}: "s3:PutLifecycleConfiguration", {ofBucket, "DELETE", "lifecycle"}: "s3:PutLifecycleConfiguration",
	{ofBucket, "GET", "versioning"}: "s3:GetBucketVersioning", {ofBucket, "PUT", "versioning"}: "s3:PutBucketVersioning",
	{ofBucket, "GET", "tagging"}: "s3:GetBucketTagging", {ofBucket, "PUT", "tagging"}: "s3:PutBucketTagging", {ofBucket, "DELETE", "tagging"}: "s3:PutBucketTagging",
	{ofBucket, "GET", "website"}: "s3:GetBucketWebsite", {ofBucket, "PUT", "website"}: "s3:PutBucketWebsite", {ofBucket, "DELETE", "website"}: "s3:DeleteBucketWebsite",
	{ofBucket, "GET", "encryption"}: "s3:GetEncryptionConfiguration", {ofBucket, "PUT", "encryption"}: "s3:PutEncryptionConfiguration", {ofBucket, "DELETE", "encryption"}: "s3:PutEncryptionConfiguration",
	{ofBucket, "GET", "object-lock"}: "s3:GetBucketObjectLockConfiguration", {ofBucket, "PUT", "object-lock"}: "s3:PutBucketObjectLockConfiguration",
	{ofBucket, "GET", "publicAccessBlock"}: "s3:GetBucketPublicAccessBlock", {ofBucket, "PUT", "publicAccessBlock"}: "s3:PutBucketPublicAccessBlock", {ofBucket, "DELETE", "publicAccessBlock"}: "s3:PutBucketPublicAccessBlock",
	{ofBucket, "GET", "notification"}: "s3:GetBucketNotification", {ofBucket, "PUT", "notification"}: "s3:PutBucketNotification",

	{ofObject, "GET", ""}: "s3:GetObject", {ofObject, "HEAD", ""}: "s3:GetObject", {ofObject, "PUT", ""}: "s3:PutObject", {ofObject, "DELETE", ""}: "s3:DeleteObject",
	{ofObject, "GET", "acl"}: "s3:GetObjectAcl", {ofObject, "PUT", "acl"}: "s3:PutObjectAcl",
	{ofObject, "GET", "tagging"}: "s3:GetObjectTagging", {ofObject, "PUT", "tagging"}: "s3:PutObjectTagging", {ofObject, "DELETE", "tagging"}: "s3:DeleteObjectTagging",
	{ofObject, "GET", "retention"}: "s3:GetObjectRetention", {ofObject, "PUT", "retention"}: "s3:PutObjectRetention",
	{ofObject, "GET", "legal-hold"}: "s3:GetObjectLegalHold", {ofObject, "PUT", "legal-hold"}: "s3:PutObjectLegalHold",
	{ofObject, "POST", "uploads"}: "s3:PutObject", {ofObject, "POST", "uploadId"}: "s3:PutObject", {ofObject, "PUT", "uploadId"}: "s3:PutObject",
	{ofObject, "GET", "uploadId"}: "s3:ListMultipartUploadParts", {ofObject, "DELETE", "uploadId"}: "s3:AbortMultipartUpload",
}

// ofVersions are the actions on a version of an object, where it is another.
var ofVersions = map[string]string{
	"s3:GetObject": "s3:GetObjectVersion", "s3:DeleteObject": "s3:DeleteObjectVersion", "s3:GetObjectAcl": "s3:GetObjectVersionAcl", "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
	"s3:GetObjectTagging": "s3:GetObjectVersionTagging", "s3:PutObjectTagging": "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
	"s3:GetObjectRetention": "s3:GetObjectRetention", "s3:PutObjectRetention": "s3:PutObjectRetention", "s3:GetObjectLegalHold": "s3:GetObjectLegalHold", "s3:PutObjectLegalHold": "s3:PutObjectLegalHold",
}

// idle are parameters that do not change what a request is for: how a list goes on, how an answer is
// written, and how the request is signed.
var idle = []string{
	"AWSAccessKeyId", "Expires", "Signature", "X-Amz-Algorithm", "X-Amz-Content-Sha256", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
	"allow-unordered", "continuation-token", "encoding-type", "fetch-owner", "format", "key-marker", "list-type", "marker", "max-parts", "max-uploads", "part-number-marker", "partNumber",
	"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
	"start-after", "upload-id-marker", "version-id-marker", "x-id",
}

// keysOf are parameters that are condition keys.
var keysOf = map[string]policy.Key{"delimiter": policy.NewKey("s3:delimiter"), "max-keys": policy.NewKey("s3:max-keys"), "prefix": policy.NewKey("s3:prefix"), "versionId": policy.NewKey("s3:VersionId")}

// actionOf finds the action of a request, and the condition keys in its parameters.
func actionOf(where level, method, raw string) (action string, context []policy.Entry, why string) {
	query, err := url.ParseQuery(strings.TrimPrefix(raw, "?"))
	if err != nil {
		return "", nil, "the request's parameters are malformed"
	}
	of := ""
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		key, isKey := keysOf[name]
		switch {
		case len(values) > 1:
			return "", nil, "the request gives a parameter twice"
		case isKey && (where == ofObject) == (name == "versionId"):
			if name != "versionId" || values[0] != "" {
				context = append(context, policy.Single(key, values[0]))
			}
		case slices.Contains(idle, name):
		case of != "":
			return "", nil, "the request has two parameters that say what it is for"
		default:
			of = name
		}
	}
	action, ok := actions[ask{where, method, of}]
	if !ok {
		return "", nil, "the table has no action for what the request does"
	}
	if where == ofObject && len(context) > 0 {
		if action, ok = ofVersions[action]; !ok {
			return "", nil, "the table has no action for what the request does to a version"
		}
	}
	return action, context, ""
}
