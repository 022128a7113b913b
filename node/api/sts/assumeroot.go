package sts

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/projection/policy"
)

// taskLife is how long a session of another account's root lasts, at most and where the call
// does not say it ("AssumeRoot" in the STS API Reference).
const taskLife = 15 * time.Minute

// tasksPath is the path of the policies of the tasks that such sessions are for.
const tasksPath = "aws:policy/root-task/"

// tasks are those policies, by name ("AWS managed policies for IAM" in the IAM User Guide).
// Those of AWS only deny; here they allow the rest, too, since the policies of a session are
// what it may. They go into the session as they are here, so that no import of a catalogue can
// widen it. PARTITION stands for the cluster's.
var tasks = map[string]string{
	"IAMAuditRootUserCredentials": onRoot(`"iam:ListAccessKeys","iam:ListSigningCertificates","iam:GetLoginProfile","iam:ListMFADevices","iam:GetUser","iam:GetAccessKeyLastUsed"`,
		`,"iam:GetAccountSummary"`),
	"IAMCreateRootUserPassword": onRoot(`"iam:CreateLoginProfile","iam:GetLoginProfile"`, ""),
	"IAMDeleteRootUserCredentials": onRoot(`"iam:DeleteAccessKey","iam:DeleteSigningCertificate","iam:DeleteLoginProfile","iam:DeactivateMFADevice","iam:ListAccessKeys",`+
		`"iam:ListSigningCertificates","iam:GetLoginProfile","iam:ListMFADevices","iam:GetUser","iam:GetAccessKeyLastUsed"`, ""),
	"S3UnlockBucketPolicy": byRoot(`"s3:DeleteBucketPolicy","s3:PutBucketPolicy","s3:GetBucketPolicy","s3:ListAllMyBuckets"`, ""),
	"SQSUnlockQueuePolicy": byRoot(`"sqs:SetQueueAttributes","sqs:GetQueueAttributes","sqs:ListQueues","sqs:GetQueueUrl"`,
		`,{"Effect":"Deny","Action":"sqs:GetQueueAttributes","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}}`),
}

// rest is how such a policy begins: all that it does not deny is allowed.
const rest = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},`

// onRoot is the policy of a task of some actions on the root alone, and of more that know no
// resource.
func onRoot(actions, more string) string {
	return rest + `{"Effect":"Deny","NotAction":[` + actions + more + `],"Resource":"*"},` +
		`{"Effect":"Deny","Action":[` + actions + `],"NotResource":"arn:PARTITION:iam::*:root"}]}`
}

// byRoot is the policy of a task of some actions by a root alone, with more statements.
func byRoot(actions, more string) string {
	return rest + `{"Effect":"Deny","NotAction":[` + actions + `],"Resource":"*"},` +
		`{"Effect":"Deny","Action":[` + actions + `],"Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:PARTITION:iam::*:root"}}}` + more + `]}`
}

// assumeRoot makes a session of another account's root, for one task. Callers of the account
// that manages the others may, where it has enabled that, but not its root.
type assumeRoot struct{}

func (assumeRoot) Access(c *iam.Call, in *sdk.AssumeRootInput) []iam.Access {
	access := iam.Access{Resource: c.Partition().RootARN(targetOf(c, in)), Account: c.Caller.Account}
	if in.TaskPolicyArn != nil {
		access = access.With(policy.Single("sts:taskpolicyarn", aws.ToString(in.TaskPolicyArn.Arn)))
	}
	return []iam.Access{access}
}

// targetOf is the account that a call names, by its number or by its root's ARN; what is
// neither stands for no account.
func targetOf(c *iam.Call, in *sdk.AssumeRootInput) identity.AccountID {
	text := aws.ToString(in.TargetPrincipal)
	if rest, ok := strings.CutPrefix(text, c.Partition().IAM()); ok {
		text, _ = strings.CutSuffix(rest, ":root")
	}
	return identity.AccountID(text)
}

func (assumeRoot) Answer(c *iam.Call, in *sdk.AssumeRootInput) (*sdk.AssumeRootOutput, error) {
	s, target := c.View.State, targetOf(c, in)
	manager := s.ManagementAccount()
	account, ok := s.Account(target)
	if c.Caller.Kind == admission.KindRoot || c.Caller.Account != manager || !s.AccountSettings(manager).Organization.RootSessions ||
		!ok || account.Closed != 0 || target == manager {
		return nil, fail(codeAccessDenied, "User: %s is not authorized to perform: sts:AssumeRoot on resource: %s", c.Caller.ARN, c.Partition().RootARN(target))
	}
	arn := ""
	if in.TaskPolicyArn != nil {
		arn = aws.ToString(in.TaskPolicyArn.Arn)
	}
	name, ok := strings.CutPrefix(arn, c.Partition().IAM()+tasksPath)
	task, known := tasks[name]
	if !ok || !known {
		return nil, fail(codeValidationError, "The task policy %s is none of those that scope root sessions.", arn)
	}
	claims := draft(c, session.TaskRoot, max(lifeOr(in.DurationSeconds, taskLife), time.Second))
	claims.Account, claims.Principal = string(target), string(target)
	claims.Policy = strings.ReplaceAll(task, "PARTITION", c.Partition().String())
	if err := inherit(claims, &c.Caller, nil); err != nil {
		return nil, err
	}
	claims.Tags, claims.Transitive = nil, nil // a root has none
	credentials, _, err := mint(c, claims, c.View.Head.Position)
	if err != nil {
		return nil, err
	}
	out := &sdk.AssumeRootOutput{Credentials: credentials}
	if claims.SourceIdentity != "" {
		out.SourceIdentity = aws.String(claims.SourceIdentity)
	}
	return out, nil
}
