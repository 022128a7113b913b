package iam

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection/policy"
)

func serviceCredentialActions() []Action {
	return []Action{
		write("CreateServiceSpecificCredential", createServiceSpecificCredential{}),
		write("DeleteServiceSpecificCredential", deleteServiceSpecificCredential{}),
		read("ListServiceSpecificCredentials", listServiceSpecificCredentials{}),
		write("ResetServiceSpecificCredential", resetServiceSpecificCredential{}),
		write("UpdateServiceSpecificCredential", updateServiceSpecificCredential{}),
	}
}

// The services that take credentials of their own ("Service-specific credentials for
// IAM users"). Bedrock takes an API key, the others a name and a password.
const (
	serviceBedrock    = "bedrock.amazonaws.com"
	serviceCassandra  = "cassandra.amazonaws.com"
	serviceCodeCommit = "codecommit.amazonaws.com"
)

const (
	servicePasswordBytes = 32     // forty-four characters of base64
	apiKeyPrefix         = "ABSK" // of the API keys of Bedrock
)

// Condition keys of credentials.
const (
	keyServiceName policy.Key = "iam:servicespecificcredentialservicename"
	keyServiceAge  policy.Key = "iam:servicespecificcredentialagedays"
)

// serviceOf is for which service the user has the credential of that identifier.
func (c *Call) serviceOf(user, id *string) (service string, ok bool) {
	u, ok := c.target(identity.KindUser, user)
	if !ok {
		return "", false
	}
	return c.witness.ServiceOf(u.ID, aws.ToString(id))
}

// onService is the access to a credential of the user of that name, or without a name of
// the caller.
func (c *Call) onService(name, id *string) []Access {
	a := c.onSelf(name)
	if user, err := c.userOrCaller(name); err == nil {
		if service, ok := c.serviceOf(&user, id); ok {
			a = a.With(policy.Single(keyServiceName, service))
		}
	}
	return []Access{a}
}

// serviceUser is the user whose credential a request is about. A credential that the view
// does not show is not there, even if the decision would find it: the service that it is
// for was not among the condition keys.
func (c *Call) serviceUser(name, id *string) (string, error) {
	user, err := c.userOrCaller(name)
	if err != nil {
		return "", err
	}
	if _, ok := c.target(identity.KindUser, &user); !ok {
		return user, nil // the decision refuses it
	}
	if _, ok := c.serviceOf(&user, id); !ok {
		return "", fail(codeNoSuchEntity, "No such credential %s exists", aws.ToString(id))
	}
	return user, nil
}

// checkService fails for a service that takes no credentials of its own.
func checkService(name string) error {
	switch name {
	case serviceBedrock, serviceCassandra, serviceCodeCommit:
		return nil
	}
	return fail(codeNoSuchEntity, "No such service %s is supported for Service Specific Credentials", name)
}

type createServiceSpecificCredential struct{}

func (createServiceSpecificCredential) Access(c *Call, in *sdk.CreateServiceSpecificCredentialInput) []Access {
	a := c.on(identity.KindUser, in.UserName).With(policy.Single(keyServiceName, aws.ToString(in.ServiceName)))
	if in.CredentialAgeDays != nil {
		a = a.With(policy.Single(keyServiceAge, strconv.Itoa(int(*in.CredentialAgeDays))))
	}
	return []Access{a}
}

// Command looks for the user before the service, as AWS does.
func (createServiceSpecificCredential) Command(c *Call, in *sdk.CreateServiceSpecificCredentialInput) (identity.Command, error) {
	if _, ok := c.target(identity.KindUser, in.UserName); !ok {
		return nil, noSuchUser(in.UserName)
	}
	service := aws.ToString(in.ServiceName)
	if err := checkService(service); err != nil {
		return nil, err
	}
	if in.CredentialAgeDays != nil && service != serviceBedrock {
		return nil, fail(codeInvalidInput, "Credentials for the service %s do not expire: CredentialAgeDays cannot be set.", service)
	}
	id := string(c.newID(identity.ServiceCredentialIDPrefix))
	sealed, err := c.newServiceSecret(id)
	if err != nil {
		return nil, err
	}
	return &identity.CreateServiceCredential{Account: c.Caller.Account, User: aws.ToString(in.UserName), ID: id, Service: service, Sealed: sealed,
		Days: uint32(aws.ToInt32(in.CredentialAgeDays))}, nil
}

// Render opens the secret that the log holds sealed, as that of createAccessKey does.
func (createServiceSpecificCredential) Render(c *Call, in *sdk.CreateServiceSpecificCredentialInput, b *event.Batch) (*sdk.CreateServiceSpecificCredentialOutput, error) {
	e, err := one[*identity.ServiceCredentialCreated](b)
	if err != nil {
		return nil, err
	}
	credential := &identity.ServiceCredential{ID: e.ID, Service: e.Service, Name: e.Name, Active: true, Created: e.Created, Expires: e.Expires}
	shown, err := c.shownWithSecret(e.Account, credential, e.Sealed)
	if err != nil {
		return nil, err
	}
	shown.UserName = in.UserName
	return &sdk.CreateServiceSpecificCredentialOutput{ServiceSpecificCredential: shown}, nil
}

// newServiceSecret mints and seals a secret.
func (c *Call) newServiceSecret(id string) ([]byte, error) {
	secret := base64.StdEncoding.EncodeToString(randomBytes(c.Random, servicePasswordBytes))
	return c.Seal.Seal(seal.ServiceCredentialSecret, seal.AccessKeyContext(string(c.Caller.Account), id), []byte(secret))
}

// shownWithSecret is a credential as only its maker is told it, without its user.
func (c *Call) shownWithSecret(account identity.AccountID, s *identity.ServiceCredential, sealed []byte) (*types.ServiceSpecificCredential, error) {
	secret, err := c.Seal.Open(seal.ServiceCredentialSecret, seal.AccessKeyContext(string(account), s.ID), sealed)
	if err != nil {
		return nil, fmt.Errorf("secret of credential %s: %w", s.ID, err)
	}
	listed := c.shownService(s, nil)
	shown := &types.ServiceSpecificCredential{CreateDate: listed.CreateDate, ExpirationDate: listed.ExpirationDate, ServiceName: listed.ServiceName,
		ServiceSpecificCredentialId: listed.ServiceSpecificCredentialId, Status: listed.Status,
		ServiceUserName: listed.ServiceUserName, ServiceCredentialAlias: listed.ServiceCredentialAlias}
	if s.Service == serviceBedrock {
		shown.ServiceCredentialSecret = aws.String(apiKeyPrefix + base64.StdEncoding.EncodeToString([]byte(s.Name+":"+string(secret))))
	} else {
		shown.ServicePassword = aws.String(string(secret))
	}
	return shown, nil
}

// shownService is a credential of the user of that name as lists show it.
func (c *Call) shownService(s *identity.ServiceCredential, user *string) types.ServiceSpecificCredentialMetadata {
	shown := types.ServiceSpecificCredentialMetadata{CreateDate: shownTime(s.Created), ServiceName: aws.String(s.Service),
		ServiceSpecificCredentialId: aws.String(s.ID), Status: shownStatus(s.Active), UserName: user}
	if s.Expires != 0 {
		shown.ExpirationDate = shownTime(s.Expires)
	}
	if s.Expired(c.Now) {
		shown.Status = types.StatusTypeExpired
	}
	if s.Service == serviceBedrock {
		shown.ServiceCredentialAlias = aws.String(s.Name)
	} else {
		shown.ServiceUserName = aws.String(s.Name)
	}
	return shown
}

type listServiceSpecificCredentials struct{}

func (listServiceSpecificCredentials) Access(c *Call, in *sdk.ListServiceSpecificCredentialsInput) []Access {
	if aws.ToBool(in.AllUsers) {
		return c.below(identity.KindUser, nil)
	}
	return []Access{c.onSelf(in.UserName)}
}

func (listServiceSpecificCredentials) Answer(c *Call, in *sdk.ListServiceSpecificCredentialsInput) (*sdk.ListServiceSpecificCredentialsOutput, error) {
	walk, err := c.servicesOf(in)
	if err != nil {
		return nil, err
	}
	if in.ServiceName != nil {
		if err := checkService(*in.ServiceName); err != nil {
			return nil, err
		}
	}
	p, err := paginate("ListServiceSpecificCredentials", in.Marker, in.MaxItems, walk, served.key, func(s served) (types.ServiceSpecificCredentialMetadata, bool) {
		u, ok := c.state().UserByID(s.owner)
		if !ok || in.ServiceName != nil && *in.ServiceName != s.Service {
			return types.ServiceSpecificCredentialMetadata{}, false
		}
		return c.shownService(&s.ServiceCredential, aws.String(u.Name)), true
	})
	return &sdk.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// served is a credential with the user whose it is.
type served struct {
	identity.ServiceCredential
	owner identity.ID
}

func (s served) key() string { return string(s.owner) + "/" + s.ID }

// servicesOf walks the credentials that a list is about.
func (c *Call) servicesOf(in *sdk.ListServiceSpecificCredentialsInput) (walk[served], error) {
	if !aws.ToBool(in.AllUsers) {
		user, err := c.userOrCaller(in.UserName)
		if err != nil {
			return nil, err
		}
		u, err := c.mustUser(&user)
		if err != nil {
			return nil, err
		}
		return servicesIn(c.state().Keyring(u.ID)), nil
	}
	if in.UserName != nil {
		return nil, fail(codeValidationError, "UserName and AllUsers cannot be specified together.")
	}
	return func(after string, yield func(served) bool) {
		owner, _, _ := strings.Cut(after, "/")
		more := true
		each := func(k *identity.Keyring) bool {
			if k.Account != c.Caller.Account { // callers write markers
				return true
			}
			servicesIn(k)(after, func(s served) bool {
				more = yield(s)
				return more
			})
			return more
		}
		if owner == "" || each(c.state().Keyring(identity.ID(owner))) {
			after = ""
			c.state().Served(c.Caller.Account, identity.ID(owner), each)
		}
	}, nil
}

// servicesIn walks the credentials of a keyring in order of their ids.
func servicesIn(k *identity.Keyring) walk[served] {
	var list []served
	for _, s := range k.Services {
		list = append(list, served{s, k.Owner})
	}
	return sorted(list, served.key)
}

type updateServiceSpecificCredential struct {
	nothing[sdk.UpdateServiceSpecificCredentialInput, sdk.UpdateServiceSpecificCredentialOutput]
}

func (updateServiceSpecificCredential) Access(c *Call, in *sdk.UpdateServiceSpecificCredentialInput) []Access {
	return c.onService(in.UserName, in.ServiceSpecificCredentialId)
}

func (updateServiceSpecificCredential) Command(c *Call, in *sdk.UpdateServiceSpecificCredentialInput) (identity.Command, error) {
	user, err := c.serviceUser(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	active, err := newStatus("a service-specific credential", in.Status)
	if err != nil {
		return nil, err
	}
	return &identity.UpdateServiceCredential{Account: c.Caller.Account, User: user, ID: aws.ToString(in.ServiceSpecificCredentialId), Active: active}, nil
}

type resetServiceSpecificCredential struct{}

func (resetServiceSpecificCredential) Access(c *Call, in *sdk.ResetServiceSpecificCredentialInput) []Access {
	return c.onService(in.UserName, in.ServiceSpecificCredentialId)
}

func (resetServiceSpecificCredential) Command(c *Call, in *sdk.ResetServiceSpecificCredentialInput) (identity.Command, error) {
	user, err := c.serviceUser(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	id := aws.ToString(in.ServiceSpecificCredentialId)
	sealed, err := c.newServiceSecret(id)
	if err != nil {
		return nil, err
	}
	return &identity.ResetServiceCredential{Account: c.Caller.Account, User: user, ID: id, Sealed: sealed}, nil
}

// Render tells the secret that this reset made, whatever came after it.
func (resetServiceSpecificCredential) Render(c *Call, in *sdk.ResetServiceSpecificCredentialInput, b *event.Batch) (*sdk.ResetServiceSpecificCredentialOutput, error) {
	e, err := one[*identity.ServiceCredentialReset](b)
	if err != nil {
		return nil, err
	}
	list := c.state().Keyring(e.Owner).Services
	i := slices.IndexFunc(list, func(s identity.ServiceCredential) bool { return s.ID == e.ID })
	if i < 0 { // deleted between the command and its retry
		return nil, fail(codeNoSuchEntity, "No such credential %s exists", e.ID)
	}
	shown, err := c.shownWithSecret(e.Account, &list[i], e.Sealed)
	if err != nil {
		return nil, err
	}
	shown.UserName = c.shownHolder(in.UserName)
	return &sdk.ResetServiceSpecificCredentialOutput{ServiceSpecificCredential: shown}, nil
}

type deleteServiceSpecificCredential struct {
	nothing[sdk.DeleteServiceSpecificCredentialInput, sdk.DeleteServiceSpecificCredentialOutput]
}

func (deleteServiceSpecificCredential) Access(c *Call, in *sdk.DeleteServiceSpecificCredentialInput) []Access {
	return c.onService(in.UserName, in.ServiceSpecificCredentialId)
}

func (deleteServiceSpecificCredential) Command(c *Call, in *sdk.DeleteServiceSpecificCredentialInput) (identity.Command, error) {
	user, err := c.serviceUser(in.UserName, in.ServiceSpecificCredentialId)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteServiceCredential{Account: c.Caller.Account, User: user, ID: aws.ToString(in.ServiceSpecificCredentialId)}, nil
}
