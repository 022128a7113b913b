package iam

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/identity"
)

// Methods tells which methods an action has: Answer, or both Command and Render.
func Methods(a Action) (reads, writes bool) {
	_, reads = a.untyped.(untypedRead)
	_, writes = a.untyped.(untypedWrite)
	return reads, writes
}

// OrganizationRoot is the path of the organization's root.
var OrganizationRoot = organizationRoot

// Find returns the action of that name.
func Find(name string) (*Action, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(a Action, name string) int { return strings.Compare(a.Name, name) })
	if !ok {
		return nil, false
	}
	return &table[i], true
}

// Bounds of certificates and keys.
const (
	MaxChainText       = maxChainText
	MaxCertificateBits = maxCertificateBits
	MaxExponent        = maxExponent
	MaxKeyDER          = maxKeyDER
)

// CheckServerCertificate is checkServerCertificate, SSHKeyIn is sshKeyIn.
func (c *Call) CheckServerCertificate(in *sdk.UploadServerCertificateInput) (identity.Time, error) {
	return c.checkServerCertificate(in)
}

func SSHKeyIn(encoding types.EncodingType, text string) (string, error) {
	return sshKeyIn(encoding, text)
}

// Fingerprint is that of an SSH public key.
func Fingerprint(text string) (string, error) {
	k, err := parseSSHKey(text)
	if err != nil {
		return "", err
	}
	return k.fingerprint(), nil
}

// LinkedServices are the principals of the services that have roles of their own.
func LinkedServices() (names []string) {
	for _, s := range linkedServices {
		names = append(names, s.Service)
	}
	return names
}
