package iam_test

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

// writeReports does what the leader does for who waits for a report.
func (w *world) writeReports() {
	w.t.Helper()
	for _, r := range w.state.PendingReports(w.now) {
		content, err := iam.PackCredentialReport(w.state, r.Account)
		if err != nil {
			w.t.Fatal(err)
		}
		w.expect(&identity.StoreCredentialReport{Account: r.Account, At: r.At, Number: 1, Parts: 1, Content: content})
	}
}

func TestCredentialReport(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAA", Name: "ada,x", Path: "/team/"},
		&identity.CreateAccessKey{Account: account, User: "ada,x", Key: identity.NewAccessKey{ID: "AKIAADAADAADAADAADA1"}},
		&identity.CreateAccessKey{Account: account, User: "ada,x", Key: identity.NewAccessKey{ID: "AKIAADAADAADAADAADA2"}},
		&identity.UpdateAccessKey{Account: account, User: "ada,x", ID: "AKIAADAADAADAADAADA2"},
		&identity.CreateUser{Account: other, ID: "AIDAO", Name: "theirs", Path: "/"},
		w.phone(), &identity.EnableMFADevice{Account: account, User: "ada,x", ID: phoneID, Codes: identity.Codes{Made: w.state.Position() + 6, Step: uint64(w.now) / 30_000}})
	fails := func(code string) {
		t.Helper()
		var e *iam.Error
		if _, err := w.do(&sdk.GetCredentialReportInput{}); !errors.As(err, &e) || e.Code != code || e.Message != "" {
			t.Errorf("the answer is %v, not %s", err, code)
		}
	}
	generates := func(state types.ReportStateType, description string) {
		t.Helper()
		out := must[*sdk.GenerateCredentialReportOutput](w, &sdk.GenerateCredentialReportInput{})
		if out.State != state || aws.ToString(out.Description) != description {
			t.Errorf("the answer is %s, %q; not %s", out.State, aws.ToString(out.Description), state)
		}
	}
	const started = "No report exists. Starting a new report generation task"
	fails("ReportNotPresent")
	generates(types.ReportStateTypeStarted, started)
	generates(types.ReportStateTypeInprogress, "")
	fails("ReportInProgress")
	w.writeReports()
	generates(types.ReportStateTypeComplete, "")
	out := must[*sdk.GetCredentialReportOutput](w, &sdk.GetCredentialReportInput{})
	const made = "2023-11-14T22:13:20+00:00"
	if out.ReportFormat != types.ReportFormatTypeTextCsv || !out.GeneratedTime.Equal(time.UnixMilli(int64(w.now))) {
		t.Errorf("a report of %s, generated at %v", out.ReportFormat, out.GeneratedTime)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out.Content))).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != 22 {
		t.Fatalf("%v in %q", err, out.Content)
	}
	want := [][]string{
		{"<root_account>", "arn:aws:iam::123456789012:root", made, "not_supported", "no_information", "not_supported", "not_supported", "false",
			"true", made, "N/A", "N/A", "N/A", "false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A"},
		{"ada,x", "arn:aws:iam::123456789012:user/team/ada,x", made, "false", "N/A", "N/A", "N/A", "true",
			"true", made, "N/A", "N/A", "N/A", "false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A"},
	}
	for i := range want {
		if !slices.Equal(rows[i+1], want[i]) {
			t.Errorf("row %d is %q, not %q", i+1, rows[i+1], want[i])
		}
	}
	w.now += identity.ReportLifetime
	fails("ReportExpired")
	generates(types.ReportStateTypeStarted, started)
	fails("ReportInProgress")
	w.now += 15 * 60 * 1000
	fails("ReportNotPresent")
	generates(types.ReportStateTypeStarted, started)
}
