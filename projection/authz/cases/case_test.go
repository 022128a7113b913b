package cases

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/authz"
)

const allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

func TestCaseErrors(t *testing.T) {
	for _, tt := range []struct{ member, line string }{
		{"", `{"request":{"action":"s3:GetObject"}`},
		{"", `{"identity_policy":[]}`},
		{"request.action", `{"request":{"resource_arn":"*"},"expected":{"decision":"allow"}}`},
		{"request.resource_arn", `{"request":{"action":"s3:GetObject"},"expected":{"decision":"allow"}}`},
		{"expected.decision", `{"request":{"action":"s3:GetObject","resource_arn":"*"}}`},
		{"request.principal_type", `{"request":{"principal_type":"group","action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"}}`},
		{"scps[1]", `{"request":{"action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"},"scps":[[` + allowAll + `,{}],[[]]]}`},
		{"resource_policy[0]", `{"request":{"action":"s3:GetObject","resource_arn":"*"},"expected":{"decision":"allow"},"resource_policy":"x"}`},
	} {
		c, err := Decode([]byte(tt.line))
		if tt.member == "" {
			if err == nil {
				t.Errorf("%s: decoded", tt.line)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		_, err = c.Run()
		e := (*Error)(nil)
		if !errors.As(err, &e) || e.Field != tt.member || !strings.HasPrefix(err.Error(), tt.member+": ") || errors.Unwrap(err) == nil {
			t.Errorf("%s: %v", tt.line, err)
		}
	}
}

// Members that are absent take what the others tell.
func TestCaseDefaults(t *testing.T) {
	for _, tt := range []struct {
		arn     string
		kind    authz.PrincipalType
		account string
		issuer  string
	}{
		{"", authz.User, "", ""},
		{"arn:aws:iam::111111111111:role/app", authz.Role, accountA, ""},
		{"arn:aws:sts::111111111111:assumed-role/app/s1", authz.RoleSession, accountA, "arn:aws:iam::111111111111:role/app"},
	} {
		p, err := (&Request{PrincipalARN: tt.arn}).principal()
		if err != nil || p.Type != tt.kind || p.Account != tt.account || p.Issuer != tt.issuer {
			t.Errorf("%s: %+v, %v", tt.arn, p, err)
		}
	}
	line := `{"request":{"action":"s3:GetObject","resource_arn":"arn:aws:s3:::b/k"},"identity_policies":[` + allowAll + `],"expected":{"decision":"allow"}}`
	c, err := Decode([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := c.Run(); err != nil || !c.Passed(x) {
		t.Errorf("%v, %v", x.Outcome, err)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}
