package cases

// The reference evaluator of whole requests: all layers, no cleverness.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// refCase is a line of testdata/cases.jsonl with the documents undigested.
type refCase struct {
	ID      string `json:"id"`
	Group   string `json:"group"`
	Request struct {
		Type            string              `json:"principal_type"`
		ARN             string              `json:"principal_arn"`
		Issuer          string              `json:"principal_issuer_arn"`
		Service         string              `json:"principal_service"`
		Account         string              `json:"account"`
		Action          string              `json:"action"`
		Resource        string              `json:"resource_arn"`
		ResourceAccount string              `json:"resource_account"`
		Context         map[string][]string `json:"context"`
		Multivalued     []string            `json:"multivalued_keys"`
	} `json:"request"`
	Identity   []map[string]any   `json:"identity_policies"`
	Boundaries []map[string]any   `json:"permissions_boundaries"`
	Session    []map[string]any   `json:"session_policies"`
	SCPs       [][]map[string]any `json:"scps"`
	RCPs       [][]map[string]any `json:"rcps"`
	Resource   map[string]any     `json:"resource_policy"`
	Expected   struct {
		Decision string   `json:"decision"`
		By       []string `json:"by"`
	} `json:"expected"`
}

func decodeRefCase(line []byte) (refCase, error) {
	var c refCase
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	err := d.Decode(&c)
	return c, err
}

// The identities of a principal, outermost first: its account, what issued its
// session, itself. A Principal entry names one of them.
// IAM User Guide: IAM JSON policy elements: Principal.
func (c *refCase) identities() (account, issuer, self string) {
	r := &c.Request
	switch r.Type {
	case "role_session":
		issuer = r.Issuer
		if issuer == "" {
			if m := refSession.FindStringSubmatch(r.ARN); m != nil {
				issuer = m[1] + ":iam:" + m[2] + ":role/" + m[3]
			}
		}
	case "federated_user":
		issuer = r.Issuer
	case "service":
		return "", "", r.Service
	case "anonymous":
		return "", "", ""
	}
	return r.Account, issuer, r.ARN
}

var refSession = regexp.MustCompile(`^(arn:[^:]*):sts:(:\d+):assumed-role/([^/]+)/`)

// How strongly a statement of a resource policy names the principal.
const (
	refNone    = iota
	refAccount // its account: the account decides whom to pass it on to
	refIssuer  // the role of a session, the user of a federated user
	refDirect  // the principal itself, or everybody
)

// refNames tells how a Principal element names the requester. A wildcard in the
// middle of an ARN matches nothing; "*" and {"AWS": "*"} mean everybody.
func refNames(element any, c *refCase) int {
	account, issuer, self := c.identities()
	if s, ok := element.(string); ok {
		if s == "*" {
			return refDirect
		}
		return refNone
	}
	best := refNone
	m, _ := element.(map[string]any)
	for kind, list := range m {
		for _, p := range refStrings(list) {
			n := refNone
			switch kind {
			case "AWS":
				n = refNamesAWS(p, account, issuer, self, c.Request.Type)
			case "Service":
				if c.Request.Type == "service" && p == self {
					n = refDirect
				}
			case "Federated":
				if c.Request.Type == "federated_idp" && p == self {
					n = refDirect
				}
			}
			best = max(best, n)
		}
	}
	return best
}

func refNamesAWS(p, account, issuer, self, kind string) int {
	switch {
	case p == "*":
		return refDirect
	case kind == "service" || kind == "anonymous" || kind == "federated_idp":
		return refNone
	case account != "" && (p == account || refRoot(p, self) == account):
		// The account's ARN ends in :root and still means the account; of
		// the root user it is the own ARN.
		if kind == "root" {
			return refDirect
		}
		return refAccount
	case self != "" && p == self:
		if kind == "role" {
			return refIssuer
		}
		return refDirect
	case issuer != "" && p == issuer:
		return refIssuer
	}
	return refNone
}

// refRoot returns the account of an account ARN in the partition of self.
func refRoot(p, self string) string {
	parts := strings.Split(p, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" || parts[5] != "root" {
		return ""
	}
	if self != "" && !strings.HasPrefix(self, "arn:"+parts[1]+":") {
		return ""
	}
	return parts[4]
}

// refNotNames tells whether a NotPrincipal statement applies to the requester.
//
// With Deny every identity of the requester has to be on the list to be spared:
// AWS checks the account first, then the role, then the session. A principal
// with a permissions boundary is never spared. With Allow, being on the list
// under any name is enough to be left out.
// IAM User Guide: IAM JSON policy elements: NotPrincipal; Permissions boundaries.
func refNotNames(element any, deny bool, c *refCase) bool {
	if !deny {
		return refNames(element, c) == refNone
	}
	if c.hasEntity() && len(c.Boundaries) > 0 {
		return true
	}
	account, issuer, self := c.identities()
	for _, id := range []string{account, issuer, self} {
		if id == "" || strings.HasSuffix(id, ":root") { // root is its account
			continue
		}
		only := *c
		listed := false
		m, _ := element.(map[string]any)
		for kind, list := range m {
			for _, p := range refStrings(list) {
				switch {
				case kind == "AWS" && p == "*":
					listed = true
				case kind == "Service" || kind == "Federated":
					listed = listed || refNames(map[string]any{kind: p}, &only) == refDirect
				case kind == "AWS" && !refForeign(c.Request.Type):
					listed = listed || p == id || id == account && refRoot(p, self) == account
				}
			}
		}
		if element == "*" {
			listed = true
		}
		if !listed {
			return true
		}
	}
	// Nobody at all (an anonymous request) is on no list.
	return account == "" && issuer == "" && self == "" && !refEverybody(element)
}

func refForeign(kind string) bool {
	return kind == "service" || kind == "anonymous" || kind == "federated_idp"
}

func refEverybody(element any) bool {
	if element == "*" {
		return true
	}
	m, _ := element.(map[string]any)
	return slices.Contains(refStrings(m["AWS"]), "*")
}

// hasEntity tells whether an IAM user or role stands behind the request, with
// identity policies and perhaps a boundary.
func (c *refCase) hasEntity() bool {
	switch c.Request.Type {
	case "user", "role_session", "federated_user", "role", "":
		return true
	}
	return false
}

// refResult is what one policy says: whether a Deny or an Allow applies, and
// for resource policies how the strongest Allow names the principal.
type refResult struct {
	deny  bool
	allow int
}

func refPolicy(doc map[string]any, c *refCase, ctx []refContext, withPrincipal bool) refResult {
	var res refResult
	variables := refVariables(doc)
	for _, s := range refStatements(doc) {
		deny := s["Effect"] == "Deny"
		names := refDirect
		if withPrincipal {
			if p, ok := s["Principal"]; ok {
				names = refNames(p, c)
			} else if np, ok := s["NotPrincipal"]; !ok || !refNotNames(np, deny, c) {
				names = refNone
			}
		}
		if names == refNone || !refStatement(s, c, variables, ctx) {
			continue
		}
		if deny {
			res.deny = true
		} else {
			res.allow = max(res.allow, names)
		}
	}
	return res
}

func refStatement(s map[string]any, c *refCase, variables bool, ctx []refContext) bool {
	deny := s["Effect"] == "Deny"
	if a, ok := s["Action"]; ok && !refAction(refStrings(a), c.Request.Action) {
		return false
	}
	if a, ok := s["NotAction"]; ok && refAction(refStrings(a), c.Request.Action) {
		return false
	}
	if r, ok := s["Resource"]; ok && !refUnder(ctx, deny, func(one refContext) bool { return refResource(refStrings(r), c.Request.Resource, variables, one) }) {
		return false
	}
	if r, ok := s["NotResource"]; ok && !refUnder(ctx, deny, func(one refContext) bool { return !refResource(refStrings(r), c.Request.Resource, variables, one) }) {
		return false
	}
	return refConditions(s["Condition"], variables, deny, ctx)
}

// refLinked tells whether an ARN is that of a service-linked role. SCPs and
// RCPs do not touch those.
// Organizations User Guide: SCPs; RCPs, resources and entities not restricted.
func refLinked(arn string) bool { return refLinkedRole.MatchString(arn) }

var refLinkedRole = regexp.MustCompile(`^arn:[^:]*:iam::[^:]*:role/aws-service-role/`)

// Services whose resources RCPs reach.
// Organizations User Guide: List of AWS services that support RCPs.
var refRCPServices = []string{"s3", "sts", "kms", "sqs", "secretsmanager", "ecr", "aoss", "cognito-identity", "cognito-idp", "dynamodb", "logs"}

// refDecide answers a whole request.
// IAM User Guide: How AWS enforcement code logic evaluates requests;
// Cross-account policy evaluation logic.
func refDecide(c *refCase) string {
	r := &c.Request
	action := strings.ToLower(r.Action)
	service, _, _ := strings.Cut(action, ":")
	kind := r.Type
	if kind == "" {
		kind = "user"
	}
	// No permissions are needed, and no policy can take them away.
	// STS API Reference: GetCallerIdentity; IAM User Guide: Permissions for GetSessionToken.
	if action == "sts:getcalleridentity" || action == "sts:getsessiontoken" && (kind == "user" || kind == "root") {
		return "allow"
	}
	account, issuer, self := c.identities()
	entity := c.hasEntity()
	linked := refLinked(issuer) || refLinked(self)

	ctx := newRefContexts(r.Context, r.Multivalued)
	deny := false
	every := func(policies []map[string]any, withPrincipal bool) (allows int, all bool) {
		all = true
		for _, p := range policies {
			res := refPolicy(p, c, ctx, withPrincipal)
			deny = deny || res.deny
			allows = max(allows, res.allow)
			all = all && res.allow > 0
		}
		return allows, all
	}
	grant := refNone
	if c.Resource != nil {
		grant, _ = every([]map[string]any{c.Resource}, true)
	}
	identity, boundary, session := false, true, true
	if entity {
		allows, _ := every(c.Identity, false)
		identity = allows > 0
		_, boundary = every(c.Boundaries, false)
		if len(c.Session) > 0 {
			allows, _ := every(c.Session, false)
			session = allows > 0
		}
		// GetFederationToken without a session policy gives no permissions.
		session = session && (kind != "federated_user" || len(c.Session) > 0)
		// A federated user of the root user starts from all permissions.
		identity = identity || kind == "federated_user" && strings.HasSuffix(issuer, ":root")
	}
	if kind == "root" && len(c.Session) > 0 { // it may what they allow
		allows, _ := every(c.Session, false)
		session = allows > 0
	}
	guard := true
	if account != "" && !linked { // SCPs bind the principals of member accounts
		for _, level := range c.SCPs {
			allows, _ := every(level, false)
			guard = guard && allows > 0
		}
	}
	if slices.Contains(refRCPServices, service) && action != "kms:retiregrant" && !linked && !refLinked(r.Resource) {
		for _, level := range c.RCPs {
			allows, _ := every(level, true)
			guard = guard && allows > 0
		}
	}
	if deny {
		return "explicitDeny"
	}
	if guard && c.refGranted(kind, account, grant, identity, boundary, session) {
		return "allow"
	}
	return "implicitDeny"
}

func (c *refCase) refGranted(kind, account string, grant int, identity, boundary, session bool) bool {
	if refForeign(kind) {
		// Services, identity providers and strangers have no policies of
		// their own: the resource's policy alone decides.
		return grant != refNone
	}
	own := kind == "root" && session || identity && boundary && session
	owner := c.Request.ResourceAccount
	if owner == "" {
		if parts := strings.SplitN(c.Request.Resource, ":", 6); len(parts) == 6 && parts[4] != "" {
			owner = parts[4]
		}
	}
	if owner != "" && owner != account {
		return own && grant != refNone // both sides must allow
	}
	if kind == "root" {
		return own && (grant != refNone || !c.strict())
	}
	switch grant {
	case refDirect:
		// A grant to the user or session itself, or to everybody, is not
		// limited by implicit denies elsewhere.
		return true
	case refIssuer:
		// A grant to the role, or to the user behind a federated user, is
		// limited by boundary and session policies.
		return boundary && session
	case refNone:
		// KMS keys and roles let nobody in whom their policy does not name.
		if c.strict() {
			return false
		}
	}
	return own
}

// strict: the resource policy must allow by itself.
// KMS Developer Guide: Key policies; IAM User Guide: evaluation logic, "IAM role
// trust policies and KMS key policies are exceptions".
func (c *refCase) strict() bool {
	parts := strings.SplitN(c.Request.Resource, ":", 6)
	if len(parts) != 6 {
		return false
	}
	service, _, _ := strings.Cut(strings.ToLower(c.Request.Action), ":")
	return service == "kms" && parts[2] == "kms" && strings.HasPrefix(parts[5], "key/") ||
		service == "sts" && parts[2] == "iam" && strings.HasPrefix(parts[5], "role/")
}

func readCaseLines(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		lines = append(lines, bytes.Clone(sc.Bytes()))
	}
	if sc.Err() != nil || len(lines) == 0 {
		t.Fatal("no cases", sc.Err())
	}
	return lines
}

func TestReferenceOnCases(t *testing.T) {
	for _, line := range readCaseLines(t) {
		c, err := decodeRefCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := refDecide(&c); got != c.Expected.Decision {
			t.Errorf("%s (%s): %s, want %s by %v", c.ID, c.Group, got, c.Expected.Decision, c.Expected.By)
		}
	}
}
