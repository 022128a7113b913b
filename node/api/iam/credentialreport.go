package iam

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

func credentialReportActions() []Action {
	return []Action{
		write("GenerateCredentialReport", generateCredentialReport{}),
		read("GetCredentialReport", getCredentialReport{}),
	}
}

type generateCredentialReport struct{}

func (generateCredentialReport) Access(c *Call, _ *sdk.GenerateCredentialReportInput) []Access {
	return c.anything()
}

func (generateCredentialReport) Command(c *Call, _ *sdk.GenerateCredentialReportInput) (identity.Command, error) {
	return &identity.GenerateCredentialReport{Account: c.Caller.Account}, nil
}

func (generateCredentialReport) Render(_ *Call, _ *sdk.GenerateCredentialReportInput, b *event.Batch) (*sdk.GenerateCredentialReportOutput, error) {
	e, err := one[*identity.CredentialReportRequested](b)
	if err != nil {
		return nil, err
	}
	switch e.State {
	case identity.ReportStarted:
		return &sdk.GenerateCredentialReportOutput{State: types.ReportStateTypeStarted,
			Description: aws.String("No report exists. Starting a new report generation task")}, nil
	case identity.ReportInProgress:
		return &sdk.GenerateCredentialReportOutput{State: types.ReportStateTypeInprogress}, nil
	}
	return &sdk.GenerateCredentialReportOutput{State: types.ReportStateTypeComplete}, nil
}

type getCredentialReport struct{}

func (getCredentialReport) Access(c *Call, _ *sdk.GetCredentialReportInput) []Access {
	return c.anything()
}

// Answer has AWS's codes for a report that cannot be had, which come without a message.
func (getCredentialReport) Answer(c *Call, _ *sdk.GetCredentialReportInput) (*sdk.GetCredentialReportOutput, error) {
	r := c.state().CredentialReport(c.Caller.Account)
	state, ok := r.StateAt(c.Now)
	switch {
	case ok && state == identity.ReportInProgress:
		return nil, fail(codeReportInProgress, "")
	case state == identity.ReportComplete && !ok:
		return nil, fail(codeReportExpired, "")
	case !ok:
		return nil, fail(codeReportNotPresent, "")
	}
	content, err := admission.Heavy(c.Bench, "credential report", func() ([]byte, error) {
		return unpackReport(c.state().CredentialReportContent(c.Caller.Account))
	})
	if err != nil {
		return nil, fmt.Errorf("credential report of account %s: %w", c.Caller.Account, err)
	}
	return &sdk.GetCredentialReportOutput{Content: content, GeneratedTime: shownTime(r.Generated), ReportFormat: types.ReportFormatTypeTextCsv}, nil
}

// maxReport bounds the content of a credential report, in bytes: encoded, it is within an
// answer. Those of identity.MaxReportedUsers users are shorter.
const maxReport = 5 << 20

// PackCredentialReport writes the credential report of an account, as a state stores it.
// The error says that it is too long.
func PackCredentialReport(s *identity.State, account identity.AccountID) ([]byte, error) {
	content := credentialReport(s, account)
	if len(content) > maxReport {
		return nil, fmt.Errorf("credential report of account %s: %d bytes, at most %d", account, len(content), maxReport)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // into memory
	_ = w.Close()
	return b.Bytes(), nil
}

func unpackReport(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxReport))
}

// reportColumns are the columns of a credential report, in AWS's order ("Getting
// credential reports").
var reportColumns = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

// What a credential report says where there is nothing to say.
const (
	reportNothing       = "N/A"
	reportNoInformation = "no_information"
	reportNotSupported  = "not_supported"
	reportRoot          = "<root_account>"
)

// credentialReport is the report of an account in a state: its root and its users by name.
func credentialReport(s *identity.State, account identity.AccountID) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(row []string) { _ = w.Write(row) } // into memory
	write(reportColumns)
	if a, ok := s.Account(account); ok {
		row := []string{reportRoot, s.Partition().RootARN(account), reportTime(a.Created), reportNotSupported, passwordUsed(s, identity.ID(account)), reportNotSupported, reportNotSupported}
		write(appendCredentials(row, s, identity.ID(account), a.Keys))
	}
	s.Users(account, "", func(u *identity.User) bool {
		row := []string{u.Name, u.ARN(), reportTime(u.Created)}
		write(appendCredentials(appendPassword(row, s, u), s, u.ID, u.Keys))
		return true
	})
	w.Flush()
	return b.Bytes()
}

// appendPassword appends what a report says of a user's password.
func appendPassword(row []string, s *identity.State, u *identity.User) []string {
	p, ok := s.LoginProfile(u.ID)
	if !ok {
		return append(row, "false", reportNothing, reportNothing, reportNothing)
	}
	rotation := reportNothing
	under, _ := s.PasswordPolicy(u.Account)
	if at := p.Expires(under); at != 0 {
		rotation = reportTime(at)
	}
	return append(row, "true", passwordUsed(s, u.ID), reportTime(p.Set), rotation)
}

// passwordUsed is when a user or root last signed in.
func passwordUsed(s *identity.State, owner identity.ID) string {
	if last, ok := s.Usage(owner).Latest(identity.PasswordCredential(owner)); ok {
		return reportTime(last.At)
	}
	return reportNoInformation
}

// appendCredentials appends what a report says of the devices, keys and certificates of a
// user or root.
func appendCredentials(row []string, s *identity.State, owner identity.ID, keys []identity.AccessKey) []string {
	row = append(row, strconv.FormatBool(hasDevice(s, owner)))
	usage := s.Usage(owner)
	for i := range identity.MaxAccessKeys {
		if i >= len(keys) {
			row = append(row, "false", reportNothing, reportNothing, reportNothing, reportNothing)
			continue
		}
		rotated, used, region, service := reportNothing, reportNothing, reportNothing, reportNothing
		if keys[i].Active {
			rotated = reportTime(keys[i].Created)
		}
		if last, ok := usage.Latest(keys[i].ID); ok {
			used, region, service = reportTime(last.At), cmp.Or(last.Region, reportNothing), last.Service
		}
		row = append(row, strconv.FormatBool(keys[i].Active), rotated, used, region, service)
	}
	certificates := s.Keyring(owner).Certificates
	for i := range identity.MaxSigningCertificates {
		if i >= len(certificates) || !certificates[i].Active {
			row = append(row, "false", reportNothing)
		} else {
			row = append(row, "true", reportTime(certificates[i].Uploaded))
		}
	}
	return row
}

// hasDevice tells whether a user or root has an MFA device.
func hasDevice(s *identity.State, owner identity.ID) bool { return s.CountMFA(owner) > 0 }

// reportTime is an instant as a report writes it.
func reportTime(t identity.Time) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05+00:00")
}
