package cases

// A generator of whole cases: few services, names and values, so that policies
// and requests meet, and a policy is mostly a variation of what the request
// asks for.

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

const (
	accountA = "111111111111"
	accountB = "222222222222"
)

type generator struct {
	*rand.Rand
	focus refCase // what most of the policies are about
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// chance is true in n of 100 cases.
func (g *generator) chance(n int) bool { return g.IntN(100) < n }

// genTargets are actions with resources that go with them.
var genTargets = []struct{ action, resource string }{
	{"s3:GetObject", "arn:aws:s3:::bucket/home/alice/a:b"},
	{"s3:GetObjectTagging", "arn:aws:s3:::bucket/red/k"},
	{"s3:PutAccountPublicAccessBlockConfigurationX", "arn:aws:s3:::bucket"},
	{"iam:CreateUser", "arn:aws:iam::111111111111:user/alice"},
	{"iam:ListUsers", "*"},
	{"sqs:SendMessage", "arn:aws:sqs:us-east-1:111111111111:jobs"},
	{"sqs:SendMessage", "arn:aws:sqs:us-east-1:222222222222:jobs"},
	{"ec2:RunInstances", "arn:aws:ec2:us-east-1:111111111111:instance/*"},
	{"kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/1-2"},
	{"kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:alias/a"},
	{"kms:RetireGrant", "arn:aws:kms:us-east-1:222222222222:key/1-2"},
	{"kms:ListKeys", "*"},
	{"sts:AssumeRole", "arn:aws:iam::111111111111:role/app"},
	{"sts:AssumeRole", "arn:aws:iam::222222222222:role/aws-service-role/x.amazonaws.com/App"},
	{"sts:TagSession", "arn:aws:iam::222222222222:role/team/app"},
	{"sts:GetCallerIdentity", "*"},
	{"sts:GetSessionToken", "*"},
	{"writ:Authorize", "*"},
}

type genPrincipal struct{ kind, arn, issuer, service, account string }

var genPrincipals = []genPrincipal{
	{"user", "arn:aws:iam::111111111111:user/alice", "", "", accountA},
	{"user", "arn:aws:iam::222222222222:user/team/bob", "", "", accountB},
	{"role_session", "arn:aws:sts::111111111111:assumed-role/app/s1", "arn:aws:iam::111111111111:role/app", "", accountA},
	{"role_session", "arn:aws:sts::222222222222:assumed-role/app/s1", "arn:aws:iam::222222222222:role/team/app", "", accountB},
	{"role_session", "arn:aws:sts::111111111111:assumed-role/App/s1", "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/App", "", accountA},
	{"role_session", "arn:aws-cn:sts::111111111111:assumed-role/app/s1", "", "", accountA},
	{"federated_user", "arn:aws:sts::111111111111:federated-user/fred", "arn:aws:iam::111111111111:user/alice", "", accountA},
	{"federated_user", "arn:aws:sts::111111111111:federated-user/fred", "arn:aws:iam::111111111111:root", "", accountA},
	{"role", "arn:aws:iam::111111111111:role/app", "", "", accountA},
	{"root", "arn:aws:iam::111111111111:root", "", "", accountA},
	{"root", "arn:aws:iam::222222222222:root", "", "", accountB},
	{"service", "", "", "sns.amazonaws.com", ""},
	{"anonymous", "", "", "", ""},
	{"federated_idp", "accounts.google.com", "", "", ""},
	{"federated_idp", "arn:aws:iam::111111111111:saml-provider/idp", "", "", ""},
}

var genNames = []string{
	"*", accountA, accountB, "arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root", "arn:aws-cn:iam::111111111111:root",
	"arn:aws:iam::111111111111:user/*", "arn:aws:iam::111111111111:user/alice", "arn:aws:iam::222222222222:user/team/bob",
	"arn:aws:sts::111111111111:assumed-role/app/s1", "arn:aws:iam::111111111111:role/app", "arn:aws:iam::222222222222:role/team/app",
	"arn:aws:sts::111111111111:federated-user/fred", "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/App",
}

// genKeys are condition keys with values that requests and policies give them.
var genKeys = []struct {
	key   string
	multi bool
	kinds []string // operators that fit
	got   []string
	want  []string
}{
	{"aws:username", false, []string{"String"}, []string{"alice", "bob", "a*e"}, []string{"alice", "Alice", "a*", "al?ce", "${aws:username}", "${aws:PrincipalTag/team}"}},
	{"aws:PrincipalTag/team", false, []string{"String", "Null"}, []string{"red", "Red", "", "r*"}, []string{"red", "r*", "", "RED", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/none, 'red'}", "${aws:none}", "${*}", "r${?}d", "r${*}"}},
	{"s3:prefix", false, []string{"String", "Null"}, []string{"home/alice/", "home/", "a\nb"}, []string{"home/${aws:username}/", "home/*", "*", "", "*/", "a?b"}},
	{"s3:max-keys", false, []string{"Numeric"}, []string{"10", "10.0", "9", "-1", "x", "007"}, []string{"10", "10.5", "9", "-1", "7", "x", "+10"}},
	{"aws:CurrentTime", false, []string{"Date"}, []string{"2024-05-01T10:00:00Z", "2024-05-01", "1714557600", "x"}, []string{"2024-05-01T10:00:00Z", "2024-05-01T12:00:00+02:00", "1714557600", "2024-05-01T10:00:00.5Z", "2024-04-30", "2024-05", "x"}},
	{"aws:SecureTransport", false, []string{"Bool", "Null"}, []string{"true", "False", "yes"}, []string{"true", "false", "TRUE", "yes"}},
	{"app:blob", false, []string{"Binary"}, []string{"abc", "abd", "YWJj"}, []string{"YWJj", "YWJk", "!"}},
	{"aws:SourceIp", false, []string{"Ip", "Null"}, []string{"10.1.2.3", "10.2.2.3", "2001:db8::1", "x"}, []string{"10.0.0.0/8", "10.1.2.3", "10.1.2.3/16", "2001:db8::/32", "2001:db8::1", "x", "0.0.0.0/0"}},
	{"aws:SourceArn", false, []string{"Arn", "String"}, []string{"arn:aws:sns:us-east-1:111111111111:t", "arn:aws:sns:us-east-1:111111111111:t:u", "arn:aws:s3:::b"}, []string{"arn:aws:sns:*:111111111111:*", "arn:aws:sns:us-east-1:111111111111:t", "arn:aws:s3:::?", "arn:aws:*:*:*:t", "arn:aws:s3:*:*:${aws:username}", "arn:aws:sns:us-east-?:*:t*"}},
	{"aws:TagKeys", true, []string{"String", "Null", "Numeric"}, []string{"Env", "env", "Owner", "10"}, []string{"Env", "E*", "Owner", "10", "*"}},
	{"aws:CalledVia", true, []string{"String", "Null"}, []string{"a.amazonaws.com", "b.amazonaws.com"}, []string{"a.amazonaws.com", "*.amazonaws.com", "c"}},
}

var genOperators = map[string][]string{
	"String":  {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
	"Numeric": {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
	"Date":    {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
	"Bool":    {"Bool"},
	"Binary":  {"BinaryEquals"},
	"Ip":      {"IpAddress", "NotIpAddress"},
	"Arn":     {"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"},
	"Null":    {"Null"},
}

// genCase makes a case. Policies and request are about the same thing more
// often than not.
func (g *generator) genCase() refCase {
	g.focus = refCase{}
	g.genRequest(&g.focus)
	c := g.focus
	c.Identity = g.policies(g.IntN(4), "identity")
	if g.chance(30) {
		c.Boundaries = g.policies(1+g.IntN(2)/1*g.IntN(2), "boundary")
	}
	if g.chance(30) {
		c.Session = g.policies(g.IntN(3), "session")
		if c.Session == nil {
			c.Session = []map[string]any{}
		}
	}
	if g.chance(25) {
		c.SCPs = g.levels("scp")
	}
	if g.chance(25) {
		c.RCPs = g.levels("rcp")
	}
	if g.chance(60) {
		c.Resource = g.policies(1, "resource")[0]
	}
	return c
}

// genRequest fills in the request.
func (g *generator) genRequest(c *refCase) {
	r := &c.Request
	t, p := pick(g, genTargets...), pick(g, genPrincipals...)
	r.Action, r.Resource = g.letterCase(t.action, 10), t.resource
	r.Type, r.ARN, r.Issuer, r.Service, r.Account = p.kind, p.arn, p.issuer, p.service, p.account
	r.ResourceAccount = pick(g, accountA, accountA, accountA, accountB, "")
	g.genContext(c)
}

// genContext fills in the context.
func (g *generator) genContext(c *refCase) {
	r := &c.Request
	r.Context, r.Multivalued = map[string][]string{}, nil
	for _, k := range genKeys {
		if g.chance(25) {
			continue
		}
		name := g.letterCase(k.key, 20)
		values := []string{pick(g, k.got...)}
		if k.multi {
			values = []string{}
			for range g.IntN(4) {
				values = append(values, pick(g, k.got...))
			}
			r.Multivalued = append(r.Multivalued, g.letterCase(name, 20))
		}
		r.Context[name] = values
		for range g.IntN(3) {
			if g.chance(10) { // another spelling with a value of its own, at times the same
				r.Context[g.letterCase(k.key, 100)] = []string{pick(g, k.got...)}
			}
		}
	}
}

func (g *generator) levels(kind string) [][]map[string]any {
	var levels [][]map[string]any
	for range 1 + g.IntN(3) {
		levels = append(levels, g.policies(1+g.IntN(2), kind))
	}
	return levels
}

func (g *generator) policies(n int, kind string) []map[string]any {
	var list []map[string]any
	for range n {
		list = append(list, g.policy(kind))
	}
	return list
}

func (g *generator) policy(kind string) map[string]any {
	if (kind == "scp" || kind == "rcp") && g.chance(50) {
		full := map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"}
		if kind == "rcp" {
			full["Principal"] = "*"
		}
		return map[string]any{"Version": "2012-10-17", "Statement": full}
	}
	doc := map[string]any{}
	if !g.chance(5) {
		doc["Version"] = "2012-10-17"
		if g.chance(10) {
			doc["Version"] = "2008-10-17"
		}
	}
	if g.chance(15) {
		doc["Statement"] = g.statement(kind)
		return doc
	}
	var statements []any
	for range 1 + g.IntN(4) {
		statements = append(statements, g.statement(kind))
	}
	doc["Statement"] = statements
	return doc
}

func (g *generator) statement(kind string) map[string]any {
	s := map[string]any{"Effect": "Allow"}
	if g.chance(25) {
		s["Effect"] = "Deny"
	}
	if g.chance(20) {
		s["Sid"] = "S"
	}
	action := "Action"
	if g.chance(12) {
		action = "NotAction"
	}
	s[action] = g.oneOrMany(func() string { return g.actionPattern(action == "NotAction") })
	if resource := "Resource"; !(kind == "resource" || kind == "rcp") || g.chance(80) {
		if g.chance(12) {
			resource = "NotResource"
		}
		s[resource] = g.oneOrMany(func() string { return g.resourcePattern(resource == "NotResource") })
	}
	if g.chance(40) {
		s["Condition"] = g.conditions()
	}
	if kind == "resource" || kind == "rcp" {
		element := "Principal"
		if g.chance(12) {
			element = "NotPrincipal"
		}
		s[element] = g.principals()
		if element == "NotPrincipal" && g.chance(70) {
			s[element] = map[string]any{"AWS": g.notNames()}
		}
	}
	return s
}

// oneOrMany returns a string or a list, which mean the same.
func (g *generator) oneOrMany(make func() string) any {
	if g.chance(40) {
		return make()
	}
	list := []any{}
	for range 1 + g.IntN(3) {
		list = append(list, make())
	}
	return list
}

func (g *generator) actionPattern(not bool) string {
	text := g.focus.Request.Action
	if not != g.chance(30) { // mostly not what is asked for, where that excludes
		text = pick(g, genTargets...).action
	}
	switch g.IntN(8) {
	case 0:
		return "*"
	case 1:
		service, _, _ := strings.Cut(text, ":")
		return g.letterCase(service+":*", 20)
	case 2, 3:
		return g.letterCase(text, 20)
	}
	return g.letterCase(g.wildcards(text), 10)
}

func (g *generator) resourcePattern(not bool) string {
	text := g.focus.Request.Resource
	if not != g.chance(30) {
		text = pick(g, genTargets...).resource
	}
	switch g.IntN(8) {
	case 0, 1:
		return "*"
	case 2:
		return text
	case 3:
		if fields := strings.SplitN(text, ":", 6); len(fields) == 6 {
			return strings.Join(fields[:3+g.IntN(3)], ":")
		}
	case 4:
		head, tail, ok := strings.Cut(text, "alice")
		if ok {
			return head + pick(g, "${aws:username}", "${AWS:UserName}", "${aws:none}", "${aws:none, 'alice'}", "${aws:TagKeys}", "${aws:username, 'x'}") + tail
		}
	case 5:
		return text + pick(g, "*", "?", "/*", ":*", "x")
	}
	return g.wildcards(text)
}

// wildcards replaces parts of a text by wildcards, and now and then a letter by
// another, so that the pattern mostly still matches.
func (g *generator) wildcards(text string) string {
	b := []byte(text)
	for range 1 + g.IntN(2) {
		if len(b) == 0 {
			break
		}
		i := g.IntN(len(b))
		j := min(len(b), i+g.IntN(5))
		switch g.IntN(6) {
		case 0, 1, 2:
			b = append(b[:i:i], append([]byte("*"), b[j:]...)...)
		case 3:
			b = append(b[:i:i], append([]byte("*"), b[i:]...)...)
		case 4:
			b[i] = '?'
		case 5:
			b[i] = pick(g, b[g.IntN(len(b))], b[i], 'x')
		}
	}
	return string(b)
}

// letterCase changes the letter case in n of 100 cases.
func (g *generator) letterCase(s string, n int) string {
	if !g.chance(n) {
		return s
	}
	if g.chance(50) {
		return strings.ToLower(s)
	}
	return strings.ToUpper(s)
}

func (g *generator) principals() any {
	if g.chance(15) {
		return "*"
	}
	m := map[string]any{}
	if g.chance(85) {
		r := &g.focus.Request
		m["AWS"] = g.oneOrMany(func() string {
			own := []string{r.ARN, r.Issuer, r.Account, "arn:aws:iam::" + r.Account + ":root"}
			if s := pick(g, own...); s != "" && r.Account != "" && g.chance(60) {
				return s
			}
			return pick(g, genNames...)
		})
		if r.Account != "" && g.chance(15) {
			m["AWS"] = []any{r.ARN, r.Account, pick(g, r.Issuer, r.ARN, r.Account)}
		}
	}
	if len(m) == 0 || g.chance(25) {
		m["Service"] = g.oneOrMany(func() string { return pick(g, "sns.amazonaws.com", "ec2.amazonaws.com", "*") })
	}
	if g.chance(25) {
		m["Federated"] = g.oneOrMany(func() string {
			return pick(g, "accounts.google.com", "arn:aws:iam::111111111111:saml-provider/idp", "graph.facebook.com")
		})
	}
	if g.chance(3) {
		m["CanonicalUser"] = "79a59df900b949e55d96a1e698fbaced"
	}
	return m
}

// notNames lists most of the identities of the requester.
func (g *generator) notNames() []any {
	r := &g.focus.Request
	list := []any{pick(g, genNames...)}
	for _, name := range []string{r.ARN, r.Issuer, pick(g, r.Account, "arn:aws:iam::"+r.Account+":root")} {
		if name != "" && g.chance(75) {
			list = append(list, name)
		}
	}
	return list
}

func (g *generator) conditions() map[string]any {
	block := map[string]any{}
	for range 1 + g.IntN(2) {
		k := pick(g, genKeys...)
		kind := pick(g, k.kinds...)
		if g.chance(4) {
			kind = pick(g, "String", "Numeric", "Date", "Bool", "Binary", "Ip", "Null")
		}
		op := pick(g, genOperators[kind]...)
		if kind != "Null" {
			switch {
			case k.multi && g.chance(80) || g.chance(8):
				op = pick(g, "ForAllValues:", "ForAnyValue:") + op
			}
			if g.chance(20) {
				op += "IfExists"
			}
		}
		var values any
		switch {
		case kind == "Null":
			values = pick[any](g, "true", "false", true, false, []any{"true", "false"}, "True")
		case kind == "Numeric" && g.chance(20):
			values = json.Number("10")
		case g.chance(50):
			values = pick(g, k.want...)
		default:
			list := []any{}
			for range 1 + g.IntN(3) {
				list = append(list, pick(g, k.want...))
			}
			values = list
		}
		keys, _ := block[op].(map[string]any)
		if keys == nil {
			keys = map[string]any{}
			block[op] = keys
		}
		keys[g.letterCase(k.key, 10)] = values
	}
	return block
}
