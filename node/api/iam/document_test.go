package iam_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// wantError fails the test unless err is an error of that code and message.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if got := strings.TrimSpace(answer(nil, err)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// sized is an identity policy with so many characters that are not white space.
func sized(n int) *string {
	const head, tail = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::`, `"}}`
	return aws.String("{\n" + head[1:] + strings.Repeat("b", n-len(head)-len(tail)) + tail + " \t")
}

func TestDocumentsHaveSizeLimits(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("u")})
	must[*sdk.CreateGroupOutput](w, &sdk.CreateGroupInput{GroupName: aws.String("g")})
	trust := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`)
	must[*sdk.CreateRoleOutput](w, &sdk.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: trust})

	must[*sdk.PutUserPolicyOutput](w, &sdk.PutUserPolicyInput{UserName: aws.String("u"), PolicyName: aws.String("p"), PolicyDocument: sized(2048)})
	must[*sdk.PutGroupPolicyOutput](w, &sdk.PutGroupPolicyInput{GroupName: aws.String("g"), PolicyName: aws.String("p"), PolicyDocument: sized(5120)})
	must[*sdk.PutRolePolicyOutput](w, &sdk.PutRolePolicyInput{RoleName: aws.String("r"), PolicyName: aws.String("p"), PolicyDocument: sized(10240)})
	must[*sdk.CreatePolicyOutput](w, &sdk.CreatePolicyInput{PolicyName: aws.String("m"), PolicyDocument: sized(6144)})
	long := strings.Replace(*trust, `"Action"`, `"Sid":"`+strings.Repeat("s", 2048)+`","Action"`, 1)
	for _, c := range []struct {
		in   any
		want string
	}{
		{&sdk.PutUserPolicyInput{UserName: aws.String("u"), PolicyName: aws.String("p"), PolicyDocument: sized(2049)},
			"LimitExceeded: Maximum policy size of 2048 bytes exceeded for user u"},
		{&sdk.PutUserPolicyInput{UserName: aws.String("u"), PolicyName: aws.String("second"), PolicyDocument: sized(100)},
			"LimitExceeded: Maximum policy size of 2048 bytes exceeded for user u"},
		{&sdk.PutGroupPolicyInput{GroupName: aws.String("g"), PolicyName: aws.String("p"), PolicyDocument: sized(5121)},
			"LimitExceeded: Maximum policy size of 5120 bytes exceeded for group g"},
		{&sdk.PutRolePolicyInput{RoleName: aws.String("r"), PolicyName: aws.String("p"), PolicyDocument: sized(10241)},
			"LimitExceeded: Maximum policy size of 10240 bytes exceeded for role r"},
		{&sdk.CreatePolicyInput{PolicyName: aws.String("n"), PolicyDocument: sized(6145)}, "LimitExceeded: Cannot exceed quota for PolicySize: 6144"},
		{&sdk.CreateRoleInput{RoleName: aws.String("s"), AssumeRolePolicyDocument: &long}, "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"},
	} {
		_, err := w.do(c.in)
		wantError(t, err, c.want)
	}
}

// Documents come back as they went in, percent-encoded after RFC 3986.
func TestDocumentsAreEncoded(t *testing.T) {
	w := newWorld(t)
	document := "{\n \"Version\":\"2012-10-17\",\"Statement\":{\"Sid\":\"A1\",\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/a+b~_-.!'()%é ÿ\"}}\t"
	must[*sdk.CreatePolicyOutput](w, &sdk.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: &document})
	out := must[*sdk.GetPolicyVersionOutput](w, &sdk.GetPolicyVersionInput{PolicyArn: aws.String("arn:aws:iam::123456789012:policy/p"), VersionId: aws.String("v1")})
	got := *out.PolicyVersion.Document
	const want = `%7B%0A%20%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Sid%22%3A%22A1%22%2C%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Ab%2Fa%2Bb~_-.%21%27%28%29%25%C3%A9%20%C3%BF%22%7D%7D%09`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if plain, err := url.PathUnescape(got); err != nil || plain != document {
		t.Errorf("decoded: %q, %v", plain, err)
	}
}

// trustOf is a trust policy of many principals, written in an unusual way.
func trustOf(principals ...string) string {
	return "{\"Statement\":\n [{\"Sid\":\"é\\\"\",\"Principal\" : { \"AWS\":[\r\n\"" + strings.Join(principals, "\" ,\n\t\"") +
		"\"]},\n\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Condition\":{\"StringEquals\":{\"a\":\"arn:aws:iam::123456789012:user/ada\"}}}],\"Version\":\"2012-10-17\"}\n"
}

// Whatever the text around them, principals alone are replaced and come back.
func TestTrustKeepsItsText(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("ada")})
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("odd"), Path: aws.String(`/a"b\c<&>/`)})
	ada := "arn:aws:iam::123456789012:user/ada"
	text := strings.Replace(trustOf(ada, "*", `arn:aws:iam::123456789012:user/a\"b\\c<&>/odd`, "arn:aws:iam::210987654321:root", ada), `"é\""`, `"S"`, 1)
	must[*sdk.CreateRoleOutput](w, &sdk.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: &text})
	r, _ := w.state.Role(account, "r")
	if strings.Count(r.Trust, ada) != 1 || strings.Count(r.Trust, "AIDA") != 3 {
		t.Errorf("stored as %s", r.Trust)
	}
	out := must[*sdk.GetRoleOutput](w, &sdk.GetRoleInput{RoleName: aws.String("r")})
	if got, err := url.PathUnescape(*out.Role.AssumeRolePolicyDocument); err != nil || got != text {
		t.Errorf("got  %q\nwant %q", got, text)
	}
	// A text that another version of Writ wrote and this one cannot read shows as it is.
	if _, err := w.decide(&identity.UpdateTrust{Account: account, Name: "r", Trust: "AIDA, or not"}); err != nil {
		t.Fatal(err)
	}
	out = must[*sdk.GetRoleOutput](w, &sdk.GetRoleInput{RoleName: aws.String("r")})
	if got := *out.Role.AssumeRolePolicyDocument; got != "AIDA%2C%20or%20not" {
		t.Errorf("got %s", got)
	}
}

// A trust policy that is accepted says, once stored and shown, what was written:
// the same text but for the spelling of the principals that were replaced.
func FuzzTrust(f *testing.F) {
	ada := "arn:aws:iam::123456789012:user/ada"
	for _, text := range []string{
		trustOf(ada), trustOf("*", ada, ada), `{"Version":"2012-10-17","Statement":[]}`, `{"Statement":{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::123456789012:user\/ada"},"Action":"sts:*"}}`,
		`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["` + ada + `"]},"Action":"sts:*"}}`, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/absent"},"Action":"sts:*"}}`,
	} {
		f.Add(text)
	}
	w := newWorld(f)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("ada")})
	must[*sdk.CreateRoleOutput](w, &sdk.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`)})
	f.Fuzz(func(t *testing.T, text string) {
		w.t = t
		if _, err := w.do(&sdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("r"), PolicyDocument: &text}); err != nil {
			return
		}
		out := must[*sdk.GetRoleOutput](w, &sdk.GetRoleInput{RoleName: aws.String("r")})
		shown, err := url.PathUnescape(*out.Role.AssumeRolePolicyDocument)
		if err != nil {
			t.Fatal(err)
		}
		was, err := syntax.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		is, err := syntax.Parse(shown)
		if err != nil {
			t.Fatalf("%q shows as %q: %v", text, shown, err)
		}
		if syntax.Print(is) != syntax.Print(was) {
			t.Fatalf("%q shows as %q", text, shown)
		}
	})
}

func TestAnswersOfOtherBatchesFail(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("u")})
	empty := &event.Batch{Position: 7}
	for _, a := range iam.Actions() {
		if !a.Write {
			continue
		}
		out, err := a.Render(w.call(), a.New(), empty)
		if err == nil && answer(out, nil) != "ok\n" {
			t.Errorf("%s answers %s", a.Name, answer(out, nil))
		}
		if err != nil && !strings.HasPrefix(err.Error(), "render batch 7: no ") {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
}

func TestSecretsThatDoNotOpen(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("u")})
	must[*sdk.CreateAccessKeyOutput](w, &sdk.CreateAccessKeyInput{UserName: aws.String("u")})
	w.key = seal.Generate()
	if _, err := w.again(); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("got %v", err)
	}
}

func TestAccessKeysLookLikeThoseOfAWS(t *testing.T) {
	w := newWorld(t)
	id, secret := iam.NewAccessKey(w.random)
	if len(id) != 20 || len(secret) != 40 || !strings.HasPrefix(id, "AKIA") {
		t.Errorf("%s, %s", id, secret)
	}
	sealed, err := iam.SealSecret(w.key, account, id, secret)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := w.key.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(account), id), sealed)
	if err != nil || string(plain) != secret {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, err := w.key.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(other), id), sealed); !errors.Is(err, seal.ErrCorrupt) {
		t.Errorf("opened for another account: %v", err)
	}
}

// A caller that is neither a user nor a root has no keys and no user record.
func TestCallersWithoutAName(t *testing.T) {
	w := newWorld(t)
	w.caller.Kind = 0
	for _, in := range []any{&sdk.GetUserInput{}, &sdk.CreateAccessKeyInput{}, &sdk.ListAccessKeysInput{},
		&sdk.UpdateAccessKeyInput{AccessKeyId: aws.String("AKIA")}, &sdk.DeleteAccessKeyInput{AccessKeyId: aws.String("AKIA")}} {
		_, err := w.do(in)
		wantError(t, err, "ValidationError: Must specify userName when calling with non-User credentials")
	}
	w.asRootOf("999999999999")
	_, err := w.do(&sdk.GetAccountSummaryInput{})
	wantError(t, err, "NoSuchEntity: The account with id 999999999999 cannot be found.")
}
