package iam

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// granting is a policy that may grant access to services.
type granting struct {
	name     string
	arn      string        // of a managed policy
	kind     identity.Kind // of whose inline policy it is
	owner    string        // its name
	compiled *policy.Policy
	denies   []bool // by statement: it denies its actions, whatever the request is
}

// grants are the policies of an entity: what it may access by them alone, as AWS's reports
// see it, without boundaries, policies of resources and of organizations.
type grants struct {
	policies []granting
	work     *policy.Work
}

// grantsOf are the policies of a user with those of its groups, of a group or a role, or
// the one policy.
func (c *Call) grantsOf(kind identity.Kind, id identity.ID) (grants, error) {
	g := grants{work: c.Work}
	if kind == identity.KindPolicy {
		g.managed(c, id)
		return g, c.Work.Err()
	}
	g.entity(c, kind, id)
	if u, ok := c.state().UserByID(id); ok && kind == identity.KindUser {
		for _, group := range u.Groups {
			g.entity(c, identity.KindGroup, group)
		}
	}
	return g, c.Work.Err()
}

func (g *grants) entity(c *Call, kind identity.Kind, id identity.ID) {
	e, ok := c.entityByID(kind, id)
	if !ok {
		return
	}
	for _, p := range e.attached {
		g.managed(c, p)
	}
	for _, p := range e.inline {
		g.add(granting{name: p.Name, kind: kind, owner: e.name}, p.Document)
	}
}

func (g *grants) managed(c *Call, id identity.ID) {
	p, ok := c.state().PolicyByID(id)
	if !ok || slices.ContainsFunc(g.policies, func(other granting) bool { return other.arn == p.ARN() }) {
		return
	}
	g.add(granting{name: p.Name, arn: p.ARN()}, p.Document())
}

// add adds a policy; one that does not parse grants nothing.
func (g *grants) add(p granting, document string) {
	g.work.Spend(len(document))
	doc, err := syntax.Parse(document)
	if err != nil {
		return
	}
	p.compiled = policy.Compile(doc)
	for i := range doc.Statements {
		s := &doc.Statements[i]
		all := s.NotResource == nil && slices.ContainsFunc(s.Resources(), func(r syntax.Text) bool { return r.Value == "*" })
		p.denies = append(p.denies, p.compiled.Statements[i].Effect == syntax.Deny && s.Condition == nil && all)
	}
	g.policies = append(g.policies, p)
}

// service tells whether the policies grant access to a service.
func (g *grants) service(service string) bool {
	return slices.ContainsFunc(g.policies, func(p granting) bool { return p.service(service, g) })
}

// action tells whether the policies grant an action.
func (g *grants) action(service, name string) bool {
	return slices.ContainsFunc(g.policies, func(p granting) bool { return p.action(service+":"+name, g) })
}

// service tells whether a policy grants access to a service that the others leave. Of a
// service whose actions are not known, one stands for all that are not named.
func (p *granting) service(service string, others *grants) bool {
	known := services.Actions(service)
	if len(known) > 0 {
		return slices.ContainsFunc(known, func(name string) bool { return p.action(service+":"+name, others) })
	}
	for i := range p.compiled.Statements {
		s := &p.compiled.Statements[i]
		if s.Effect != syntax.Allow || s.NotAction {
			continue
		}
		for _, a := range s.Actions {
			if a.Service == service && !others.denied(service+":"+a.Prefix) {
				return true
			}
		}
	}
	return p.action(service+":"+unnamedAction, others)
}

// unnamedAction is a name that no action has.
const unnamedAction = "_"

// action tells whether a policy allows an action, and none of the entity's denies it outright.
func (p *granting) action(action string, others *grants) bool {
	for i := range p.compiled.Statements {
		s := &p.compiled.Statements[i]
		if s.Effect == syntax.Allow && s.MatchActionWithin(action, others.work) {
			return !others.denied(action)
		}
	}
	return false
}

func (g *grants) denied(action string) bool {
	for i := range g.policies {
		for j, denies := range g.policies[i].denies {
			if denies && g.policies[i].compiled.Statements[j].MatchActionWithin(action, g.work) {
				return true
			}
		}
	}
	return false
}

// shown is a policy in an answer.
func (p *granting) shown() types.PolicyGrantingServiceAccess {
	shown := types.PolicyGrantingServiceAccess{PolicyName: aws.String(p.name), PolicyType: types.PolicyTypeManaged, PolicyArn: textOrNil(p.arn)}
	if p.arn != "" {
		return shown
	}
	shown.PolicyType, shown.EntityName = types.PolicyTypeInline, aws.String(p.owner)
	switch p.kind {
	case identity.KindUser:
		shown.EntityType = types.PolicyOwnerEntityTypeUser
	case identity.KindGroup:
		shown.EntityType = types.PolicyOwnerEntityTypeGroup
	case identity.KindRole:
		shown.EntityType = types.PolicyOwnerEntityTypeRole
	}
	return shown
}

// serviceNames are what AWS calls services, where that is not their prefix.
var serviceNames = map[string]string{
	"apigateway": "Amazon API Gateway", "autoscaling": "Amazon EC2 Auto Scaling", "cloudformation": "AWS CloudFormation", "cloudfront": "Amazon CloudFront",
	"cloudtrail": "AWS CloudTrail", "cloudwatch": "Amazon CloudWatch", "codebuild": "AWS CodeBuild", "codecommit": "AWS CodeCommit",
	"cognito-idp": "Amazon Cognito user pools", "dynamodb": "Amazon DynamoDB", "ec2": "Amazon EC2", "ecr": "Amazon Elastic Container Registry",
	"ecs": "Amazon Elastic Container Service", "eks": "Amazon Elastic Kubernetes Service", "elasticache": "Amazon ElastiCache",
	"elasticloadbalancing": "AWS Elastic Load Balancing", "events": "Amazon EventBridge", "firehose": "Amazon Kinesis Firehose", "glue": "AWS Glue",
	"iam": "AWS Identity and Access Management", "kinesis": "Amazon Kinesis Data Streams", "kms": "AWS Key Management Service", "lambda": "AWS Lambda",
	"logs": "Amazon CloudWatch Logs", "organizations": "AWS Organizations", "rds": "Amazon RDS", "redshift": "Amazon Redshift", "route53": "Amazon Route 53",
	"s3": "Amazon S3", "secretsmanager": "AWS Secrets Manager", "ses": "Amazon Simple Email Service v2", "sns": "Amazon SNS", "sqs": "Amazon SQS",
	"ssm": "AWS Systems Manager", "states": "AWS Step Functions", "sts": "AWS Security Token Service", "writ": "Writ",
}

func serviceName(service string) string {
	if name, ok := serviceNames[service]; ok {
		return name
	}
	return service
}
