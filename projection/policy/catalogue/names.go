package catalogue

import (
	"maps"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
)

// Names knows which actions there are, as far as anybody here does: for a
// question about an action that does not exist is answered like any other, with no.
// It is immutable.
type Names struct {
	// names are the actions of the services that are listed, as they are written, by
	// service and name in lower case.
	names map[string]map[string]string
	// sorted are the same in order, for what is nearest, which may be several alike.
	sorted map[string][]string
	// services are the prefixes of AWS's services and Writ's own.
	services map[string]bool
	prefixes []string // the same, in order
	// principals are labels of service principals that are no prefixes.
	principals map[string]bool
}

// BuiltinNames returns the actions of iam, sts, writ and s3, and the prefixes
// of AWS's other services.
func BuiltinNames() *Names {
	a := &Names{names: map[string]map[string]string{}, sorted: map[string][]string{}, services: map[string]bool{}, principals: map[string]bool{}}
	for label := range strings.FieldsSeq(servicePrincipals) {
		a.principals[label] = true
	}
	for service := range strings.FieldsSeq(awsServices) {
		a.services[service] = true
	}
	for _, table := range []map[string]string{builtinActions, moreActions} {
		for service, list := range table {
			a.services[service] = true
			a.names[service] = map[string]string{}
			for name := range strings.FieldsSeq(list) {
				a.names[service][strings.ToLower(name)] = name
			}
			a.sorted[service] = slices.Sorted(maps.Values(a.names[service]))
		}
	}
	a.prefixes = slices.Sorted(maps.Keys(a.services))
	return a
}

// principalSuffixes end the names of service principals.
var principalSuffixes = []string{".amazonaws.com", ".amazonaws.com.cn", ".aws.internal", ".aws.com", ".api.aws"}

// KnownPrincipal tells whether a service principal, such as "ec2.amazonaws.com", may be
// one of AWS's: its name holds the prefix of a service, or a name that only principals
// have, before the suffix that they all have.
func (a *Names) KnownPrincipal(name string) bool {
	for _, suffix := range principalSuffixes {
		labels, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		for label := range strings.SplitSeq(labels, ".") {
			if a.services[label] || a.principals[label] {
				return true
			}
		}
	}
	return false
}

// Known tells whether there may be an action of the form service:Name, in any letter
// case: it is listed, or its service is one of AWS's whose actions are not. If not,
// like is what was most likely meant, or "".
func (a *Names) Known(action string) (known bool, like string) {
	var room [128]byte
	folded := policy.AppendFold(room[:0], action)
	colon := strings.IndexByte(action, ':')
	names, listed := a.names[string(folded[:colon])]
	if listed {
		if _, known = names[string(folded[colon+1:])]; known {
			return true, ""
		}
		if like = Nearest(action[colon+1:], slices.Values(a.sorted[string(folded[:colon])])); like != "" {
			like = string(folded[:colon+1]) + like
		}
		return false, like
	}
	if a.services[string(folded[:colon])] {
		return true, ""
	}
	if like = Nearest(action[:colon], slices.Values(a.prefixes)); like != "" {
		like += action[colon:]
	}
	return false, like
}

// moreActions are the actions of a service that Writ does not offer, and that
// nearly everybody asks about ("Actions, resources, and condition keys for Amazon
// S3", Service Authorization Reference). A list that lags behind AWS costs a
// needless warning.
var moreActions = map[string]string{
	"s3": `
	AbortMultipartUpload AssociateAccessGrantsIdentityCenter BypassGovernanceRetention CreateAccessGrant
	CreateAccessGrantsInstance CreateAccessGrantsLocation CreateAccessPoint CreateAccessPointForObjectLambda
	CreateBucket CreateBucketMetadataTableConfiguration CreateJob CreateMultiRegionAccessPoint
	CreateStorageLensGroup DeleteAccessGrant DeleteAccessGrantsInstance DeleteAccessGrantsInstanceResourcePolicy
	DeleteAccessGrantsLocation DeleteAccessPoint DeleteAccessPointForObjectLambda DeleteAccessPointPolicy
	DeleteAccessPointPolicyForObjectLambda DeleteBucket DeleteBucketMetadataTableConfiguration
	DeleteBucketPolicy DeleteBucketWebsite DeleteJobTagging DeleteMultiRegionAccessPoint DeleteObject
	DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging DeleteStorageLensConfiguration
	DeleteStorageLensConfigurationTagging DeleteStorageLensGroup DescribeJob
	DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter GetAccelerateConfiguration
	GetAccessGrant GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix GetAccessGrantsInstanceResourcePolicy
	GetAccessGrantsLocation GetAccessPoint GetAccessPointConfigurationForObjectLambda
	GetAccessPointForObjectLambda GetAccessPointPolicy GetAccessPointPolicyForObjectLambda
	GetAccessPointPolicyStatus GetAccessPointPolicyStatusForObjectLambda GetAccountPublicAccessBlock
	GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
	GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
	GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock
	GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetDataAccess
	GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration GetJobTagging
	GetLifecycleConfiguration GetMetricsConfiguration GetMultiRegionAccessPoint GetMultiRegionAccessPointPolicy
	GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes GetObject GetObjectAcl
	GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent GetObjectVersion
	GetObjectVersionAcl GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging
	GetObjectVersionTorrent GetReplicationConfiguration GetStorageLensConfiguration
	GetStorageLensConfigurationTagging GetStorageLensDashboard GetStorageLensGroup InitiateReplication
	ListAccessGrants ListAccessGrantsInstances ListAccessGrantsLocations ListAccessPoints
	ListAccessPointsForObjectLambda ListAllMyBuckets ListBucket ListBucketMultipartUploads ListBucketVersions
	ListCallerAccessGrants ListJobs ListMultiRegionAccessPoints ListMultipartUploadParts
	ListStorageLensConfigurations ListStorageLensGroups ListTagsForResource ObjectOwnerOverrideToBucketOwner
	PauseReplication PutAccelerateConfiguration PutAccessGrantsInstanceResourcePolicy
	PutAccessPointConfigurationForObjectLambda PutAccessPointPolicy PutAccessPointPolicyForObjectLambda
	PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock PutAnalyticsConfiguration PutBucketAbac
	PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
	PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment
	PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
	PutIntelligentTieringConfiguration PutInventoryConfiguration PutJobTagging PutLifecycleConfiguration
	PutMetricsConfiguration PutMultiRegionAccessPointPolicy PutObject PutObjectAcl PutObjectLegalHold
	PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging PutReplicationConfiguration
	PutStorageLensConfiguration PutStorageLensConfigurationTagging ReplicateDelete ReplicateObject ReplicateTags
	RestoreObject SubmitMultiRegionAccessPointRoutes TagResource UntagResource UpdateAccessGrantsLocation
	UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration
	UpdateJobPriority UpdateJobStatus UpdateObjectEncryption UpdateStorageLensGroup`,
}

// awsServices are the prefixes of AWS's services (Service Authorization Reference:
// "Actions, resources, and condition keys for AWS services").
const awsServices = `
	a2c a4b access-analyzer account acm acm-pca activate aiops airflow airflow-serverless amplify amplifybackend
	amplifyuibuilder aoss apigateway app-integrations appconfig appfabric appflow application-autoscaling
	application-cost-profiler application-signals application-transformation applicationinsights appmesh
	appmesh-preview apprunner appstream appstudio appsync apptest aps arc-region-switch arc-zonal-shift arsenal
	artifact athena auditmanager autoscaling autoscaling-plans aws-marketplace aws-marketplace-management
	aws-portal awsconnector b2bi backup backup-gateway backup-search backup-storage batch bcm-data-exports
	bcm-dashboards bcm-pricing-calculator bcm-recommended-actions bedrock bedrock-agentcore bedrock-mantle
	billing billingconductor braket budgets bugbust cases cassandra ce chatbot chime cleanrooms cleanrooms-ml
	cloud9 clouddirectory cloudformation cloudfront cloudfront-keyvaluestore cloudhsm cloudsearch cloudshell
	cloudtrail cloudtrail-data cloudwatch codeartifact codebuild codecatalyst codecommit codeconnections
	codedeploy codedeploy-commands-secure codeguru codeguru-profiler codeguru-reviewer codeguru-security
	codepipeline codestar codestar-connections codestar-notifications codewhisperer cognito-identity cognito-idp
	cognito-sync comprehend comprehendmedical compute-optimizer config connect connect-campaigns
	consoleapp consolidatedbilling controlcatalog controltower cost-optimization-hub cur customer-verification
	databrew dataexchange datapipeline datasync datazone dax dbqms deadline deepcomposer deepracer
	detective devicefarm devops-guru directconnect discovery dlm dms docdb-elastic drs ds ds-data dsql dynamodb
	ebs ec2 ec2-instance-connect ec2messages ecr ecr-public ecs eks eks-auth eks-mcp elastic-inference elasticache
	elasticbeanstalk elasticfilesystem elasticloadbalancing elasticmapreduce elastictranscoder
	elemental-activations elemental-appliances-software elemental-support-cases elemental-support-content
	emr-containers emr-serverless entityresolution es events evidently evs execute-api finspace finspace-api
	firehose fis fms forecast frauddetector freertos freetier fsx gamelift gameliftstreams geo geo-maps geo-places
	geo-routes glacier globalaccelerator glue grafana greengrass groundstation groundtruthlabeling guardduty
	health healthlake honeycode iam identity-sync identitystore identitystore-auth imagebuilder importexport
	inspector inspector-scan inspector2 internetmonitor interconnect invoicing iot iot-device-tester iotanalytics
	iotdeviceadvisor iotevents iotfleethub iotfleetwise iotjobsdata iotmanagedintegrations iotsitewise iottwinmaker
	iotwireless iq iq-permission ivs ivschat kafka kafka-cluster kafkaconnect kendra kendra-ranking kinesis
	kinesisanalytics kinesisvideo kms lakeformation lambda launchwizard lex license-manager
	license-manager-linux-subscriptions license-manager-user-subscriptions lightsail logs lookoutequipment
	lookoutmetrics lookoutvision m2 machinelearning macie2 managedblockchain managedblockchain-query
	mapcredits marketplacecommerceanalytics mechanicalturk mediaconnect mediaconvert mediaimport medialive
	mediapackage mediapackage-vod mediapackagev2 mediastore mediatailor medical-imaging memorydb mgh mgn
	migrationhub-orchestrator migrationhub-strategy mobileanalytics mobiletargeting monitron mpa mq
	neptune-db neptune-graph network-firewall network-firewall-proxy networkflowmonitor networkmanager
	networkmanager-chat networkmonitor nimble notifications notifications-contacts nova-act oam observabilityadmin odb
	omics one opensearch opsworks opsworks-cm organizations osis outposts panorama partnercentral
	partnercentral-account-management payment-cryptography payments pca-connector-ad pca-connector-scep pcs
	personalize pi pipes polly pricing pricingplanmanager private-networks profile proton purchase-orders q
	qapps qbusiness qdeveloper qldb quicksight ram rbin rds rds-data rds-db redshift redshift-data
	redshift-serverless refactor-spaces rekognition repostspace resiliencehub resource-explorer
	resource-explorer-2 resource-groups rhelkb robomaker rolesanywhere route53 route53-recovery-cluster
	route53-recovery-control-config route53-recovery-readiness route53domains route53globalresolver
	route53profiles route53resolver rtbfabric rum s3 s3-object-lambda s3-outposts s3express s3tables s3vectors
	sagemaker sagemaker-data-science-assistant sagemaker-geospatial sagemaker-mlflow sagemaker-unified-studio-mcp
	savingsplans scheduler schemas scn sdb secretsmanager security-ir securityagent securityhub securitylake
	serverlessrepo serviceextract servicecatalog servicediscovery servicequotas ses shield signer signin
	simspaceweaver sms sms-voice snow-device-management snowball social-messaging sns sqlworkbench sqs ssm
	ssm-contacts ssm-guiconnect ssm-incidents ssm-quicksetup ssm-sap ssmmessages sso sso-directory sso-oauth states
	storagegateway sts sumerian support support-console supportapp supportplans supportrecommendations
	sustainability swf synthetics tag tax textract thinclient timestream timestream-influxdb tiros tnb transcribe
	transfer transform transform-custom translate trustedadvisor ts uxc user-subscriptions vendor-insights
	verified-access verifiedpermissions voiceid vpc-lattice vpc-lattice-svcs vpce waf waf-regional wafv2 wam
	wellarchitected wickr wisdom workdocs worklink workmail workmailmessageflow workspaces workspaces-instances
	workspaces-web xray`

// servicePrincipals are labels of the service principals in AWS's documentation that
// are no prefix of a service.
const servicePrincipals = `
	airflow-env application-insights billingconsole billingreports channels cloudwatch-crossaccount config-conforms
	config-multiaccountsetup costalerts ecs-tasks edgelambda eks-fargate eks-fargate-pods eks-nodegroup ipam lexv2 macie
	migrationhub osis-pipelines spot spotfleet transitgateway vmie vpc-flow-logs`
