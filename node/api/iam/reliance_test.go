package iam_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

const (
	ownARN    = "arn:aws:iam::123456789012:policy/team/Own"
	boundARN  = "arn:aws:iam::123456789012:policy/Bound"
	otherARN  = "arn:aws:iam::123456789012:policy/Other"
	newARN    = "arn:aws:iam::123456789012:policy/New"
	allowText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
)

// members are what the inputs of writes say, by the name of the member: each time
// something that is there, the same by another way, and something that is not there.
var members = map[string][3]any{
	"UserName":                 {"alice", "ALICE", "nobody"},
	"NewUserName":              {"anna", "Alice", nil},
	"GroupName":                {"admins", "Admins", "none"},
	"NewGroupName":             {"operators", "ADMINS", nil},
	"RoleName":                 {"deploy", "Deploy", "none"},
	"AWSServiceName":           {"autoscaling.amazonaws.com", "ecs.amazonaws.com", "none.amazonaws.com"},
	"InstanceProfileName":      {"web", "WEB", "none"},
	"NewPath":                  {"/elsewhere/", nil, "/elsewhere/"},
	"Arn":                      {ownARN, "arn:aws:iam::123456789012:user/alice", newARN},
	"PolicyArn":                {ownARN, "arn:aws:iam::aws:policy/ReadOnlyAccess", newARN},
	"PermissionsBoundary":      {otherARN, nil, newARN},
	"PolicyName":               {"p", "p", "p"},
	"PolicyDocument":           {allowText, allowText, allowText},
	"AssumeRolePolicyDocument": {trust("alice"), trust("alice"), trust("alice")},
	"VersionId":                {"v1", "v2", "v1"},
	"AccessKeyId":              {"AKIAALICEALICEALICE1", "AKIAALICEALICEALICE1", "AKIAALICEALICEALICE1"},
	"AccountAlias":             {"alias", "alias", "alias"},
	"Password":                 {"Passw0rd", "Passw0rd", "Passw0rd"},
	"NewPassword":              {"Passw0rd-2", "Passw0rd-2", "Passw0rd-2"},
	"OldPassword":              {"Passw0rd-1", "Passw0rd-1", "Passw0rd-1"},
	"TagKeys":                  {[]string{"team"}, []string{"Team"}, []string{"none"}},
	"Tags":                     {[]types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}, nil, []types.Tag{{Key: aws.String("team"), Value: aws.String("c")}}},
	"Permissions":              {delegated(ownARN), delegated(otherARN), delegated(newARN)},
	"OpenIDConnectProviderArn": {issuerARN, issuerARN + "/x", issuerARN + "/none"},
	"Url":                      {"https://idp.example.com/x", "https://new.example.com", "https://new.example.com"},
	"ClientID":                 {"app", "web", "none"},
	"ThumbprintList":           {prints("a"), prints("B"), prints("c")},
	"SAMLProviderArn":          {corpARN, corpARN, corpARN + "2"},
	"SAMLMetadataDocument":     {idpMetadata(), idpMetadata(), idpMetadata()},
	"SerialNumber":             {string(phoneID), string(phoneID), string(identity.PartitionAWS.SerialNumber(account, "none"))},
	"VirtualMFADeviceName":     {"new", "new", "new"},
	"AuthenticationCode1":      {code(0), code(-1), code(0)},
	"AuthenticationCode2":      {code(1), code(0), code(1)},
	"Properties":               {enabled("true"), enabled("false"), enabled("true")},
	"Status":                   {types.StatusTypeActive, types.StatusTypeInactive, types.StatusTypeActive},

	"ServerCertificateName":       {"site", "SITE", "none"},
	"NewServerCertificateName":    {"shop", "Site", nil},
	"CertificateBody":             {files()["site.crt"], files()["site.crt"], files()["site.crt"]},
	"CertificateChain":            {files()["inner.crt"], nil, files()["chain.crt"]},
	"PrivateKey":                  {files()["site.key"], files()["site8.key"], files()["site.key"]},
	"CertificateId":               {"CERT1", "CERT1", "CERT2"},
	"SSHPublicKeyBody":            {files()["ada.pub"], files()["ada.pem"], files()["second.pub"]},
	"SSHPublicKeyId":              {"APKA1", "APKA1", "APKA2"},
	"ServiceName":                 {"codecommit.amazonaws.com", "cassandra.amazonaws.com", "bedrock.amazonaws.com"},
	"ServiceSpecificCredentialId": {"ACCA1", "ACCA1", "ACCA2"},
}

const (
	issuerARN = "arn:aws:iam::123456789012:oidc-provider/idp.example.com"
	corpARN   = "arn:aws:iam::123456789012:saml-provider/corp"
)

func prints(digit string) []string { return []string{strings.Repeat(digit, 40)} }

// idpMetadata is the document of a SAML provider.
func idpMetadata() string {
	text, err := os.ReadFile("../../saml/testdata/idp.xml")
	if err != nil {
		panic(err)
	}
	return string(text)
}

func delegated(template string) *types.DelegationPermission {
	return &types.DelegationPermission{PolicyTemplateArn: aws.String(template)}
}

func trust(user string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/` + user + `"},"Action":"sts:AssumeRole"}]}`
}

// fill is an input with one of the values of each of its members.
func fill(action *iam.Action, variant int) any {
	in := action.New()
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		value := members[name][variant]
		if name == "PolicyDocument" && action.Name == "UpdateAssumeRolePolicy" {
			value = trust("alice")
		}
		switch value := value.(type) {
		case nil:
		case string:
			v.Field(i).Set(reflect.ValueOf(&value))
		default:
			v.Field(i).Set(reflect.ValueOf(value))
		}
	}
	return in
}

// asked is what a write is authorized for in a state, and the command it becomes.
type asked struct {
	access  []iam.Access
	command identity.Command
	refused string
	relies  []identity.Reliance
}

// askAll asks for every write.
func (w *world) askAll(inputs []any) (all []asked) {
	base := w.call()
	for i, action := range writes() {
		call := *base
		call.Random = rand.NewChaCha8([32]byte{2}) // the same identifiers each time
		all = append(all, ask(&call, action, inputs[i]))
	}
	return all
}

func ask(call *iam.Call, action *iam.Action, in any) (a asked) {
	a.access = action.Access(call, in)
	command, err := action.Command(call, in)
	if err != nil {
		a.refused = err.Error()
	}
	a.command, a.relies = command, call.Reliances()
	switch c := command.(type) { // what is sealed is random in a way of its own
	case *identity.CreateAccessKey:
		c.Key.Sealed = []byte("sealed")
	case *identity.CreateLoginProfile:
		c.Password.Sealed = []byte("sealed")
	case *identity.UpdateLoginProfile:
		if c.Password != nil {
			c.Password.Sealed = []byte("sealed")
		}
	case *identity.ChangePassword:
		c.Password.Sealed = []byte("sealed")
	case *identity.CreateServiceCredential:
		c.Sealed = nil
	case *identity.ResetServiceCredential:
		c.Sealed = nil
	case *identity.UploadServerCertificate:
		c.Sealed = nil
	case *identity.CreateMFADevice:
		c.Sealed = []byte("sealed")
	}
	return a
}

// inhabited is a world where what members speak of is there.
func inhabited(t *testing.T) *world {
	w := newWorld(t)
	tags := []identity.Tag{{Key: "team", Value: "red"}}
	w.expect(
		&identity.CreatePolicy{Account: account, ID: "ANPAOWN", Name: "Own", Path: "/team/", Document: allowText, Tags: tags},
		&identity.CreatePolicy{Account: account, ID: "ANPABOUND", Name: "Bound", Path: "/", Document: allowText},
		&identity.CreatePolicy{Account: account, ID: "ANPAOTHER", Name: "Other", Path: "/", Document: allowText},
		&identity.CreateUser{Account: account, ID: "AIDAALICE", Name: "alice", Path: "/", Boundary: boundARN, Tags: tags},
		&identity.CreateUser{Account: account, ID: "AIDACAROL", Name: "carol", Path: "/"},
		&identity.CreateGroup{Account: account, ID: "AGPAADMINS", Name: "admins", Path: "/"},
		&identity.CreateRole{Account: account, ID: "AROADEPLOY", Name: "deploy", Path: "/", Trust: allowText, Boundary: boundARN, Tags: tags},
		&identity.CreateInstanceProfile{Account: account, ID: "AIPAWEB", Name: "web", Path: "/", Tags: tags},
		&identity.UploadServerCertificate{Account: account, ID: "ASCASITE", Name: "site", Path: "/", Tags: tags},
		&identity.CreateOIDCProvider{Account: account, URL: "idp.example.com", Tags: tags},
		&identity.CreateOIDCProvider{Account: account, URL: "idp.example.com/x"},
		&identity.CreateSAMLProvider{Account: account, Name: "corp", Metadata: []byte("x"), Encryption: identity.EncryptionAllowed, Tags: tags},
	)
	must[any](w, &sdk.CreateLoginProfileInput{UserName: aws.String("carol"), Password: aws.String("Passw0rd-1")})
	w.expect(w.phone())
	return w
}

// expect decides commands of the cluster's own, which succeed.
func (w *world) expect(commands ...identity.Command) {
	w.t.Helper()
	for _, c := range commands {
		if _, err := w.decide(c); err != nil {
			w.t.Fatalf("%T: %v", c, err)
		}
	}
}

// changes are everything that can happen between an authorization and a decision
// and that an authorization can see, and, last, what it cannot.
func changes(w *world) map[string][]identity.Command {
	owner := func(kind identity.Kind, name string) identity.Owner {
		return identity.Owner{Kind: kind, Account: account, Name: name}
	}
	tag := func(kind identity.Kind, name string) identity.Command {
		return &identity.TagEntity{Kind: kind, Account: account, Name: name, Tags: []identity.Tag{{Key: "team", Value: "blue"}}}
	}
	untag := func(kind identity.Kind, name string) identity.Command {
		return &identity.UntagEntity{Kind: kind, Account: account, Name: name, Keys: []string{"team"}}
	}
	user := func(id identity.ID, name, path string) identity.Command {
		return &identity.CreateUser{Account: account, ID: id, Name: name, Path: path}
	}
	role := func(id identity.ID, name, path string) identity.Command {
		return &identity.CreateRole{Account: account, ID: id, Name: name, Path: path, Trust: allowText}
	}
	return map[string][]identity.Command{
		"user moved":        {&identity.UpdateUser{Account: account, Name: "alice", NewPath: "/admin/"}},
		"user renamed":      {&identity.UpdateUser{Account: account, Name: "alice", NewName: "Alice"}},
		"user tagged":       {tag(identity.KindUser, "alice")},
		"user untagged":     {untag(identity.KindUser, "alice")},
		"user unbounded":    {&identity.SetBoundary{Owner: owner(identity.KindUser, "alice")}},
		"user bounded":      {&identity.SetBoundary{Owner: owner(identity.KindUser, "alice"), Policy: ownARN}},
		"user deleted":      {&identity.DeleteUser{Account: account, Name: "alice"}},
		"user made again":   {&identity.DeleteUser{Account: account, Name: "alice"}, user("AIDANEW", "alice", "/")},
		"user made":         {user("AIDANEW", "nobody", "/admin/")},
		"user takes a name": {&identity.DeleteUser{Account: account, Name: "alice"}, &identity.UpdateUser{Account: account, Name: "carol", NewName: "alice"}},
		"caller moved":      {&identity.UpdateUser{Account: account, Name: "carol", NewPath: "/admin/"}},
		"caller tagged":     {tag(identity.KindUser, "carol")},
		"group moved":       {&identity.UpdateGroup{Account: account, Name: "admins", NewPath: "/admin/"}},
		"group renamed":     {&identity.UpdateGroup{Account: account, Name: "admins", NewName: "Admins"}},
		"group deleted":     {&identity.DeleteGroup{Account: account, Name: "admins"}},
		"group made again":  {&identity.DeleteGroup{Account: account, Name: "admins"}, &identity.CreateGroup{Account: account, ID: "AGPANEW", Name: "admins", Path: "/admin/"}},
		"group made":        {&identity.CreateGroup{Account: account, ID: "AGPANEW", Name: "none", Path: "/admin/"}},
		"role tagged":       {tag(identity.KindRole, "deploy")},
		"role untagged":     {untag(identity.KindRole, "deploy")},
		"role bounded":      {&identity.SetBoundary{Owner: owner(identity.KindRole, "deploy"), Policy: ownARN}},
		"role deleted":      {&identity.DeleteRole{Account: account, Name: "deploy"}},
		"role made again":   {&identity.DeleteRole{Account: account, Name: "deploy"}, role("AROANEW", "deploy", "/admin/")},
		"role made":         {role("AROANEW", "none", "/admin/")},
		"policy tagged":     {tag(identity.KindPolicy, ownARN)},
		"policy untagged":   {untag(identity.KindPolicy, ownARN)},
		"policy deleted":    {&identity.DeletePolicy{ARN: ownARN}},
		"policy made again": {&identity.DeletePolicy{ARN: ownARN}, &identity.CreatePolicy{Account: account, ID: "ANPANEW", Name: "Own", Path: "/team/", Document: allowText}},
		"policy made":       {&identity.CreatePolicy{Account: account, ID: "ANPANEW", Name: "New", Path: "/", Document: allowText}},
		"boundary made again": {&identity.DeletePolicy{ARN: otherARN},
			&identity.CreatePolicy{Account: account, ID: "ANPANEW", Name: "Other", Path: "/", Document: allowText}},
		"instance profile tagged":  {tag(identity.KindInstanceProfile, "web")},
		"instance profile deleted": {&identity.DeleteInstanceProfile{Account: account, Name: "web"}},
		"instance profile made again": {&identity.DeleteInstanceProfile{Account: account, Name: "web"},
			&identity.CreateInstanceProfile{Account: account, ID: "AIPANEW", Name: "web", Path: "/admin/"}},
		"instance profile made": {&identity.CreateInstanceProfile{Account: account, ID: "AIPANEW", Name: "none", Path: "/admin/"}},
		"password policy made":  {&identity.SetPasswordPolicy{Account: account, Requirements: identity.PasswordRequirements{AllowChange: true}}},
		"password replaced":     {&identity.DeleteLoginProfile{Account: account, User: "carol"}},
		"certificate moved":     {&identity.UpdateServerCertificate{Account: account, Name: "site", NewPath: "/admin/"}},
		"certificate tagged":    {tag(identity.KindServerCertificate, "site")},
		"certificate made again": {&identity.DeleteServerCertificate{Account: account, Name: "site"},
			&identity.UploadServerCertificate{Account: account, ID: "ASCANEW", Name: "site", Path: "/"}},
		"certificate made":      {&identity.UploadServerCertificate{Account: account, ID: "ASCANEW", Name: "none", Path: "/admin/"}},
		"issuer tagged":         {tag(identity.KindOIDCProvider, issuerARN)},
		"issuer untagged":       {untag(identity.KindOIDCProvider, issuerARN)},
		"issuer deleted":        {&identity.DeleteOIDCProvider{Account: account, ARN: issuerARN}},
		"SAML provider tagged":  {tag(identity.KindSAMLProvider, corpARN)},
		"SAML provider deleted": {&identity.DeleteSAMLProvider{Account: account, ARN: corpARN}},
		"device tagged":         {tag(identity.KindMFADevice, "phone")},
		"device made again":     {&identity.DeleteMFADevice{Account: account, ID: phoneID}, w.phone()},
		unseen: {
			&identity.UploadSSHPublicKey{Account: account, User: "alice", ID: "APKA1"},
			&identity.UploadSigningCertificate{Account: account, User: "alice", ID: "CERT1"},
			&identity.CreateServiceCredential{Account: account, User: "alice", ID: "ACCA1"},
			&identity.AddClientID{Account: account, ARN: issuerARN, ClientID: "other"},
			&identity.UpdateSAMLProvider{Account: account, ARN: corpARN, Metadata: []byte("y")},
			&identity.PutInlinePolicy{Owner: owner(identity.KindUser, "alice"), Name: "p", Document: allowText},
			&identity.AttachPolicy{Owner: owner(identity.KindGroup, "admins"), Policy: ownARN},
			&identity.AddUserToGroup{Account: account, Group: "admins", User: "alice"},
			&identity.CreateAccessKey{Account: account, User: "alice", Key: identity.NewAccessKey{ID: "AKIAALICEALICEALICE1"}},
			&identity.UpdateTrust{Account: account, Name: "deploy", Trust: trust("carol")},
			&identity.CreatePolicyVersion{ARN: ownARN, Document: allowText, Default: true},
			user("AIDAOTHER", "somebody", "/admin/"),
		},
	}
}

const unseen = "unseen"

// Whatever changes between the authorization of a write and its decision: where the
// authorization would ask for something else now, or the command would say something
// else, the command is refused as stale.
func TestWritesRelyOnAllTheyWereAuthorizedAgainst(t *testing.T) {
	commands := map[string]bool{}
	for name := range changes(newWorld(t)) {
		for variant := range 3 {
			for _, self := range []bool{false, true} {
				w := inhabited(t)
				between := changes(w)[name]
				if self {
					w.asUser("carol")
				}
				var inputs []any
				for _, action := range writes() {
					in := fill(action, variant)
					if f := reflect.ValueOf(in).Elem().FieldByName("UserName"); self && f.IsValid() && f.Kind() == reflect.Pointer {
						f.SetZero() // the caller's own
					}
					inputs = append(inputs, in)
				}
				before := w.askAll(inputs)
				w.expect(between...)
				after := w.askAll(inputs)
				for i, action := range writes() {
					was, now := before[i], after[i]
					if was.command == nil {
						continue // there was nothing to decide
					}
					commands[action.Name] = true
					_, err := identity.Decide(w.state, identity.Meta{Time: w.now}, was.command, was.relies...)
					var refusal *identity.Refusal
					stale := errors.As(err, &refusal) && refusal.Code == identity.StaleAuthorization
					foreseen := now.command == nil && err != nil && err.Error() == now.refused // by the authorization what the decision says
					same := reflect.DeepEqual(was.access, now.access) && (foreseen || reflect.DeepEqual(was.command, now.command) && was.refused == now.refused)
					switch {
					case !same && !stale:
						t.Errorf("%s, variant %d, after %s: authorized for %+v and now for %+v, it is decided: %v", action.Name, variant, name, was.access, now.access, err)
					case name == unseen && stale:
						t.Errorf("%s, variant %d: nothing changed that it relies on, and it is stale: %v", action.Name, variant, err)
					}
				}
			}
		}
	}
	for _, action := range writes() {
		if !commands[action.Name] {
			t.Errorf("%s was never authorized here: its members lack values", action.Name)
		}
	}
}

func enabled(value string) map[string]string {
	return map[string]string{"RoleManager/Enabled": value}
}

func writes() (list []*iam.Action) {
	for i := range iam.Actions() {
		if a := &iam.Actions()[i]; a.Write {
			list = append(list, a)
		}
	}
	return list
}

// What is decided by name or ARN is the very thing that the authorization saw: each
// user, group, role or policy that a write names is relied on by its identity, those
// of a name that only comes to be excepted.
func TestWritesNameWhatTheyRelyOn(t *testing.T) {
	identities := map[string]string{ // by the change that puts another in the place of the same name
		"user made again": "UserName", "group made again": "GroupName", "role made again": "RoleName", "policy made again": "PolicyArn",
		"boundary made again": "PermissionsBoundary", "instance profile made again": "InstanceProfileName",
	}
	for name, member := range identities {
		w := inhabited(t)
		var inputs []any
		for _, action := range writes() {
			inputs = append(inputs, fill(action, 0))
		}
		before := w.askAll(inputs)
		w.expect(changes(w)[name]...)
		for i, action := range writes() {
			was := before[i]
			if !reflect.ValueOf(action.New()).Elem().FieldByName(member).IsValid() || was.command == nil || made[action.Name] == member || user[action.Name] == member {
				continue
			}
			_, err := identity.Decide(w.state, identity.Meta{Time: w.now}, was.command, was.relies...)
			var refusal *identity.Refusal
			if !errors.As(err, &refusal) || refusal.Code != identity.StaleAuthorization {
				t.Errorf("%s, after %s: %v", action.Name, name, err)
			}
		}
	}
}

var (
	// made are the members by which writes name what they make.
	made = map[string]string{"CreateUser": "UserName", "CreateGroup": "GroupName", "CreateRole": "RoleName",
		"CreateInstanceProfile": "InstanceProfileName"}
	// user are writes whose user, or role, no authorization sees: their resource is the group
	// or the instance profile.
	user = map[string]string{"AddUserToGroup": "UserName", "RemoveUserFromGroup": "UserName", "RemoveRoleFromInstanceProfile": "RoleName"}
)
