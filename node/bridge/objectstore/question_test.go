package objectstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/objectstore"
	"github.com/writ-iam/writ/node/decision"
)

const minioMapping = `
access:
  users: "arn:aws:iam::123456789012:user/${name}"
  owner: arn:aws:iam::123456789012:user/minio-root
  conditions: {X-Amz-Copy-Source: "s3:x-amz-copy-source"}
identity:
  tokens: {presigned: {id: store, endpoints: ["https://sts.example.com"]}}
`

const cephMapping = `
users: "arn:aws:iam::123456789012:user/${name}"
tenants: {acme: "arn:aws:iam::123456789012:user/acme/${name}"}
`

// questioner makes questions of bodies.
type questioner interface {
	Question(body []byte) (decision.Question, string, error)
}

func minio(t testing.TB, text string) *objectstore.MinIO {
	t.Helper()
	m, err := objectstore.ParseMinIO("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ceph(t testing.TB) *objectstore.Ceph {
	t.Helper()
	m, err := objectstore.ParseCeph("m.yaml", []byte(cephMapping))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// recorded is a request of a store.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// changed is a request in which members of the input are others; a path names members in members,
// and nil takes one away.
func changed(t testing.TB, name string, pairs ...any) []byte {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(recorded(t, name), &body); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		at := body["input"].(map[string]any)
		path := strings.Split(pairs[i].(string), ".")
		for _, part := range path[:len(path)-1] {
			at = at[part].(map[string]any)
		}
		if last := path[len(path)-1]; pairs[i+1] == nil {
			delete(at, last)
		} else {
			at[last] = pairs[i+1]
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// told is a question as text: who, what, on what, and the keys of its context.
func told(q *decision.Question) string {
	text := q.Principal[strings.LastIndexByte(q.Principal, ':')+1:] + " " + q.Action + " " + q.Resource
	for _, e := range q.Context {
		text += fmt.Sprintf(" %s=%s", e.Key, e.Value)
	}
	return text
}

type becomes struct {
	name string
	body []byte
	want string // the question, or a part of why there is none
}

func check(t *testing.T, m questioner, list []becomes) {
	t.Helper()
	for _, c := range list {
		q, why, err := m.Question(c.body)
		if err != nil {
			why = err.Error()
		}
		if got := told(&q); why == "" && got != c.want || why != "" && !strings.Contains(why, c.want) {
			t.Errorf("%s: %s; %s; want %s", c.name, got, why, c.want)
		}
	}
}

func TestMinIOQuestions(t *testing.T) {
	t.Parallel()
	const agent = " aws:useragent=MinIO (linux; amd64) minio-go/v7.0.24 mc/DEVELOPMENT.2022-04-20T23-07-53Z"
	const from = " aws:sourceip=10.1.2.3 aws:securetransport=true" + agent
	const get, list = "minio-get-object", "minio-list-objects"
	m := minio(t, minioMapping)
	check(t, m, []becomes{
		{"the sample", recorded(t, "minio-list-bucket"), "user/minio-root s3:ListBucket arn:aws:s3:::test aws:sourceip=127.0.0.1 aws:securetransport=false" + agent + " s3:prefix= s3:delimiter=/"},
		{"an object", recorded(t, get), "user/alice s3:GetObject arn:aws:s3:::b/k/1" + from},
		{"a list", recorded(t, list), "user/alice s3:ListBucket arn:aws:s3:::b" + from + " s3:prefix=home/ s3:delimiter=/"},
		{"credentials of the identity plugin", recorded(t, "minio-custom-token"), "user/alice s3:GetObject arn:aws:s3:::b/k/1" + from},
		{"a service account", changed(t, get, "account", "SA1", "claims", map[string]any{"parent": "bob", "sa-policy": "inherited-policy"}), "user/bob s3:GetObject arn:aws:s3:::b/k/1" + from},
		{"all buckets", changed(t, get, "action", "s3:ListAllMyBuckets", "bucket", "", "object", ""), "user/alice s3:ListAllMyBuckets *" + from},
		{"the administration", changed(t, get, "action", "admin:ServerInfo", "bucket", "", "object", ""), "user/alice admin:ServerInfo *" + from},
		{"an object with a star", changed(t, get, "object", "*"), "user/alice s3:GetObject arn:aws:s3:::b/*" + from},
		{"a copy", changed(t, get, "conditions.X-Amz-Copy-Source", []string{"/b/x"}), "user/alice s3:GetObject arn:aws:s3:::b/k/1" + from + " s3:x-amz-copy-source=/b/x"},
		{"the same twice", changed(t, get, "conditions.Referer", []string{"x", "x"}), "user/alice s3:GetObject arn:aws:s3:::b/k/1" + strings.Replace(from, " MinIO", " MinIO", 1) + " aws:referer=x"},
		{"denyOnly", changed(t, get, "denyOnly", true), "user/alice s3:GetObject arn:aws:s3:::b/k/1" + from},

		{"a source that the client wrote", changed(t, get, "conditions.SourceIp", []string{"10.1.2.3", "192.168.0.1"}), "may have written it"},
		{"a source as a header", changed(t, get, "conditions.Sourceip", []string{"192.168.0.1"}), "may have written it"},
		{"a prefix as a header", changed(t, list, "conditions.prefix", nil, "conditions.Prefix", []string{"home/"}), "may have written it"},
		{"another prefix as a header", changed(t, list, "conditions.Prefix", []string{""}), "may have written it"},
		{"a copy as a parameter", changed(t, get, "conditions.x-amz-copy-source", []string{"/b/x"}), "may have written it"},
		{"the root without a mapping", recorded(t, "minio-list-bucket"), "user/minio-root s3:ListBucket arn:aws:s3:::test aws:sourceip=127.0.0.1 aws:securetransport=false" + agent + " s3:prefix= s3:delimiter=/"},
		{"a session policy", changed(t, get, "claims", map[string]any{"parent": "alice", "sessionPolicy": "e30="}), "policy of their own"},
		{"a service account with a policy", changed(t, get, "claims", map[string]any{"parent": "alice", "sa-policy": "embedded-policy"}), "policy of its own"},
		{"of LDAP", changed(t, get, "claims", map[string]any{"parent": "uid=alice,dc=example", "ldapUser": "uid=alice,dc=example"}), "identity provider"},
		{"of OpenID Connect", changed(t, get, "claims", map[string]any{"parent": "abc", "roleArn": "arn:minio:iam:::role/x"}), "identity provider"},
		{"nobody", changed(t, get, "account", ""), "nobody by the mapping"},
		{"a name with a path", changed(t, get, "account", "team/alice"), "nobody by the mapping"},
		{"a name that is none", changed(t, get, "account", "a b"), "no question"},
		{"credentials of no principal", changed(t, "minio-custom-token", "claims.parent", "custom:alice"), "no question"},
		{"an account with the prefix of credentials", changed(t, get, "account", "custom:arn:aws:iam::123456789012:user/alice"), "nobody by the mapping"},
		{"every action", changed(t, get, "action", "s3:*"), "no question"},
		{"no action", changed(t, get, "action", ""), "no question"},
		{"a bucket with a slash", changed(t, get, "bucket", "b/x"), "no bucket"},
		{"no bucket", changed(t, get, "bucket", ""), "no bucket"},
		{"an object with a control", changed(t, get, "object", "a\x01"), "no question"},
		{"an object that is not Unicode", []byte(strings.Replace(string(changed(t, get, "object", "QQ")), `"QQ"`, `"a\ud800"`, 1)), "not Unicode"},
		{"conditions of another kind", changed(t, get, "conditions", []string{"x"}), "no object of lists"},
		{"an owner of another kind", changed(t, get, "owner", "true"), "no boolean"},
	})
	check(t, minio(t, "access: {users: \"arn:aws:iam::123456789012:user/${name}\"}"), []becomes{
		{"the root, who is not named", recorded(t, "minio-list-bucket"), "root is nobody"},
		{"credentials of another identity plugin", recorded(t, "minio-custom-token"), "identity provider"},
	})
	check(t, minio(t, "access: {owner: \"arn:aws:iam::123456789012:user/minio-root\"}"), []becomes{
		{"a user, and none is named", recorded(t, get), "nobody by the mapping"},
	})
}

func TestCephQuestions(t *testing.T) {
	t.Parallel()
	const get, list = "ceph-get-object", "ceph-list-bucket"
	at := func(name, path string, more ...any) []byte {
		return changed(t, name, append([]any{"decoded_uri", path, "relative_uri", path}, more...)...)
	}
	check(t, ceph(t), []becomes{
		{"an object", recorded(t, get), "user/alice s3:GetObject arn:aws:s3:::b/k/1"},
		{"a list", recorded(t, list), "user/alice s3:ListBucket arn:aws:s3:::b s3:delimiter=/ s3:prefix=home/"},
		{"all buckets", recorded(t, "ceph-list-buckets"), "user/alice s3:ListAllMyBuckets *"},
		{"a bucket that is to be made", recorded(t, "ceph-create-bucket"), "user/alice s3:CreateBucket arn:aws:s3:::new"},
		{"a tenant's", recorded(t, "ceph-tenant"), "user/acme/bob s3:GetObjectVersion arn:aws:s3:::acme:b/k s3:versionid=v1"},
		{"a tenant's, by its path", at("ceph-tenant", "/acme:b/k"), "user/acme/bob s3:GetObjectVersion arn:aws:s3:::acme:b/k s3:versionid=v1"},
		{"a bucket that a tenant's user makes", changed(t, "ceph-create-bucket", "user_info.user_id", "acme$bob"), "user/acme/bob s3:CreateBucket arn:aws:s3:::acme:new"},
		{"a write", changed(t, get, "method", "PUT"), "user/alice s3:PutObject arn:aws:s3:::b/k/1"},
		{"a part", changed(t, get, "method", "PUT", "params", "partNumber=1&uploadId=x"), "user/alice s3:PutObject arn:aws:s3:::b/k/1"},
		{"an end", changed(t, get, "method", "DELETE", "params", "uploadId=x"), "user/alice s3:AbortMultipartUpload arn:aws:s3:::b/k/1"},
		{"an ACL", changed(t, get, "method", "PUT", "params", "acl"), "user/alice s3:PutObjectAcl arn:aws:s3:::b/k/1"},
		{"a version", changed(t, get, "method", "DELETE", "params", "?versionId=v1"), "user/alice s3:DeleteObjectVersion arn:aws:s3:::b/k/1 s3:versionid=v1"},
		{"a policy", changed(t, list, "method", "PUT", "params", "policy"), "user/alice s3:PutBucketPolicy arn:aws:s3:::b"},
		{"presigned", changed(t, get, "params", "X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=s&x-id=GetObject"), "user/alice s3:GetObject arn:aws:s3:::b/k/1"},

		{"a delete of many", changed(t, list, "method", "POST", "params", "delete"), "no action"},
		{"a form", changed(t, list, "method", "POST", "params", ""), "no action"},
		{"a parameter of no table", changed(t, get, "params", "torrent"), "no action"},
		{"a parameter of multisite", changed(t, get, "params", "rgwx-uid=x"), "no action"},
		{"two for what", changed(t, get, "params", "acl&tagging"), "two parameters"},
		{"one twice", changed(t, get, "params", "acl&acl"), "twice"},
		{"malformed", changed(t, get, "params", "a;b"), "malformed"},
		{"a prefix for an object", changed(t, get, "params", "prefix=x"), "no action"},
		{"another method", changed(t, get, "method", "COPY"), "no action"},
		{"no method", changed(t, get, "method", ""), "no action"},
		{"Swift", changed(t, get, "decoded_uri", "/swift/v1/b/k/1"), "not that of its bucket"},
		{"the administration", changed(t, "ceph-create-bucket", "decoded_uri", "/admin/new"), "not that of its bucket"},
		{"another object's path", at(get, "/b/k/2"), "not that of its bucket"},
		{"another bucket's path", at(get, "/c/k/1"), "not that of its bucket"},
		{"no path", at(get, ""), "not that of its bucket"},
		{"the documentation's sample", []byte(`{"input":{"method":"GET","user_info":{"user_id":"john","display_name":"John"},"bucket_info":{"bucket":{"name":"Testbucket","bucket_id":"testbucket"},"owner":"john"}}}`), "not that of its bucket"},
		{"a subuser", changed(t, get, "subuser", "alice:swift"), "subusers"},
		{"a tenant that is not named", changed(t, get, "user_info.user_id", "other$alice"), "nobody"},
		{"an empty tenant", changed(t, get, "user_info.user_id", "$alice"), "nobody"},
		{"nobody", changed(t, get, "user_info", nil), "nobody"},
		{"a name with a path", changed(t, get, "user_info.user_id", "acme/bob"), "nobody"},
		{"a user of another kind", changed(t, get, "user_info", "alice"), "no object"},
	})
}

// What a mapping leaves open, or says in two ways, is told with the file and the line.
func TestWrongMappings(t *testing.T) {
	t.Parallel()
	const users, tokens = "users: \"arn:aws:iam::123456789012:user/${name}\"\n", "  tokens: {presigned: {id: s, endpoints: [\"https://sts\"]}}\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "m.yaml:1: give `access`"},
		{"an unknown field", "acces: {}\n", "line 1: field acces"},
		{"access to nobody", "access: {}\n", "m.yaml:1: `access` knows nobody"},
		{"users without a name", "access:\n  users: arn:aws:iam::123456789012:user/alice\n", "m.yaml:2: `users` is the ARN"},
		{"users of a path that is open", "access:\n  users: \"arn:aws:iam::123456789012:user/${team}/${name}\"\n", "m.yaml:2: `users` is the ARN"},
		{"users who are groups", "access:\n  users: \"arn:aws:iam::123456789012:group/${name}\"\n", "m.yaml:2: `users`"},
		{"users who are sessions", "access:\n  users: \"arn:aws:sts::123456789012:assumed-role/r/${name}\"\n", "m.yaml:2: `users` is a user or a role"},
		{"an owner who is root", "access:\n  owner: arn:aws:iam::123456789012:root\n", "m.yaml:2: `owner` is a user or a role"},
		{"an owner who is nobody", "access:\n  owner: minio\n", "m.yaml:2: `owner`"},
		{"a condition of the caller", "access:\n  " + users + "  conditions: {x: \"AWS:username\"}\n", "m.yaml:3: the key AWS:username is not a mapping's"},
		{"a condition of the usual ones", "access:\n  " + users + "  conditions: {prefix: \"s3:x\"}\n", "among the usual"},
		{"a key of the usual ones", "access:\n  " + users + "  conditions: {x: \"s3:Prefix\"}\n", "among the usual"},
		{"two conditions of one key", "access:\n  " + users + "  conditions: {x: \"s3:x\", y: \"S3:X\"}\n", "m.yaml:3: two conditions are the key"},
		{"a condition without a key", "access:\n  " + users + "  conditions: {x: \"\"}\n", "m.yaml:3"},
		{"identity without tokens", "identity:\n  life: 1h\n", "m.yaml:2: `identity` needs `tokens`"},
		{"a life too short", "identity:\n" + tokens + "  life: 10m\n", "m.yaml:3: `life` is a duration of 15m to 12h"},
		{"a life too long", "identity:\n" + tokens + "  life: 13h\n", "m.yaml:3: `life`"},
	} {
		if _, err := objectstore.ParseMinIO("m.yaml", []byte(c.text)); !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("minio: %s: %v; want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "m.yaml:1: give `users`"},
		{"an unknown field", "user: x\n", "line 1: field user"},
		{"users without a name", "users: arn:aws:iam::123456789012:user/alice\n", "m.yaml:1: `users` is the ARN"},
		{"two tenants of one ARN", users + "tenants: {a: \"arn:aws:iam::123456789012:user/${name}\"}\n", "m.yaml:2: `tenants`: users of two tenants would be one principal, see line 1"},
		{"a tenant that is none", "tenants: {a$b: \"arn:aws:iam::123456789012:user/${name}\"}\n", "no name of a tenant"},
		{"a tenant without a name", "tenants: {\"\": \"arn:aws:iam::123456789012:user/${name}\"}\n", "no name of a tenant"},
	} {
		if _, err := objectstore.ParseCeph("m.yaml", []byte(c.text)); !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ceph: %s: %v; want %q", c.name, err, c.want)
		}
	}
	many := func(n int, of string) (text string) {
		for i := range n {
			text += fmt.Sprintf(of+", ", i)
		}
		return text
	}
	if _, err := objectstore.ParseMinIO("m.yaml", []byte("access:\n  "+users+"  conditions: {"+many(objectstore.MaxConditions+1, "c%[1]d: \"s3:k%[1]d\"")+"}\n")); err == nil || !strings.Contains(err.Error(), "more than 64") {
		t.Errorf("too many conditions: %v", err)
	}
	if _, err := objectstore.ParseCeph("m.yaml", []byte("tenants: {"+many(objectstore.MaxTenants+1, "t%[1]d: \"arn:aws:iam::123456789012:user/t%[1]d/${name}\"")+"}\n")); err == nil || !strings.Contains(err.Error(), "at most 256") {
		t.Errorf("too many tenants: %v", err)
	}
	for _, make := range []func(string) (bridge.Protocol, error){objectstore.NewMinIO, objectstore.NewCeph} {
		if _, err := make(""); !errors.Is(err, bridge.ErrConfig) {
			t.Errorf("without a mapping: %v", err)
		}
	}
}

// A body becomes a question about one principal of the mapping's and one bucket or object, or none.
func fuzz(f *testing.F, m questioner, names ...string) {
	for _, name := range names {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, why, err := m.Question(body)
		if err != nil || why != "" {
			return
		}
		if err := q.Check(); err != nil || strings.ContainsAny(q.Action, "*?") || q.Resource != "*" && !strings.HasPrefix(q.Resource, "arn:aws:s3:::") || !strings.HasPrefix(q.Principal, "arn:") {
			t.Errorf("%s: %s, %v", body, told(&q), err)
		}
	})
}

func FuzzMinIO(f *testing.F) {
	fuzz(f, minio(f, minioMapping), "minio-list-bucket", "minio-get-object", "minio-list-objects", "minio-custom-token")
}

func FuzzCeph(f *testing.F) {
	fuzz(f, ceph(f), "ceph-get-object", "ceph-list-bucket", "ceph-list-buckets", "ceph-create-bucket", "ceph-tenant")
}
