package iam_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
)

// notYet are the operations of the model that Writ does not carry out yet. They
// are answered with InvalidAction: tools do not try that again.
var notYet = strings.Fields(`
	AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile ListInstanceProfileTags RemoveRoleFromInstanceProfile
	TagInstanceProfile UntagInstanceProfile

	AddClientIDToOpenIDConnectProvider CreateOpenIDConnectProvider DeleteOpenIDConnectProvider GetOpenIDConnectProvider
	ListOpenIDConnectProviderTags RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider UntagOpenIDConnectProvider
	UpdateOpenIDConnectProviderThumbprint

	CreateSAMLProvider DeleteSAMLProvider GetSAMLProvider ListSAMLProviderTags TagSAMLProvider UntagSAMLProvider UpdateSAMLProvider

	CreateServiceLinkedRole DeleteServiceLinkedRole GetServiceLinkedRoleDeletionStatus

	CreateServiceSpecificCredential DeleteServiceSpecificCredential ResetServiceSpecificCredential UpdateServiceSpecificCredential

	DeleteSSHPublicKey GetSSHPublicKey UpdateSSHPublicKey UploadSSHPublicKey

	DeleteServerCertificate GetServerCertificate ListServerCertificateTags TagServerCertificate UntagServerCertificate
	UpdateServerCertificate UploadServerCertificate

	DeleteSigningCertificate UpdateSigningCertificate UploadSigningCertificate

	DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions EnableOrganizationsRootCredentialsManagement
	EnableOrganizationsRootSessions ListOrganizationsFeatures

	DisableOutboundWebIdentityFederation EnableOutboundWebIdentityFederation GetOutboundWebIdentityFederationInfo

	GenerateCredentialReport GetCredentialReport

	GenerateOrganizationsAccessReport GenerateServiceLastAccessedDetails GetOrganizationsAccessReport GetServiceLastAccessedDetails
	GetServiceLastAccessedDetailsWithEntities ListPoliciesGrantingServiceAccess

	SetSecurityTokenServicePreferences
`)

func TestTableAgainstTheModel(t *testing.T) {
	service := model.IAM()
	for _, op := range service.Operations() {
		_, built := iam.Find(op.Name)
		if waits := slices.Contains(notYet, op.Name); built == waits {
			t.Errorf("%s: built %v, listed as not yet %v", op.Name, built, waits)
		}
	}
	for i, a := range iam.Actions() {
		if i > 0 && iam.Actions()[i-1].Name >= a.Name {
			t.Errorf("%s is out of order", a.Name)
		}
		if service.Operation(a.Name) == nil {
			t.Errorf("%s is no operation of the model", a.Name)
		}
		if a.Service != iam.Service {
			t.Errorf("%s is of %s", a.Name, a.Service)
		}
		if got := reflect.TypeOf(a.New()).Elem().Name(); got != a.Name+"Input" {
			t.Errorf("%s takes %s", a.Name, got)
		}
		if reads, writes := iam.Methods(a); reads == writes || writes != a.Write {
			t.Errorf("%s: answers %v, writes %v", a.Name, reads, writes)
		}
	}
	if _, ok := iam.Find("NoSuchAction"); ok {
		t.Error("found NoSuchAction")
	}
}
