# Policies of AWS that modules attach most.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

locals {
  policies = [
    "AdministratorAccess", "PowerUserAccess", "IAMReadOnlyAccess", "AmazonDynamoDBFullAccess", "job-function/ViewOnlyAccess", "job-function/Billing",
    "AmazonEKSClusterPolicy", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly",
    "service-role/AmazonEBSCSIDriverPolicy", "service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaVPCAccessExecutionRole",
    "service-role/AmazonECSTaskExecutionRolePolicy", "AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy",
    "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "service-role/AmazonRDSEnhancedMonitoringRole", "AWSXRayDaemonWriteAccess",
  ]
}

resource "aws_iam_role" "each" {
  count = 2
  name  = "tfm-${count.index}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "each" {
  count      = length(local.policies)
  role       = aws_iam_role.each[count.index % 2].name
  policy_arn = "arn:aws:iam::aws:policy/${local.policies[count.index]}"
}

data "aws_iam_policy" "each" {
  count = length(local.policies)
  arn   = "arn:aws:iam::aws:policy/${local.policies[count.index]}"
}

output "facts" {
  value = { found = length(distinct(data.aws_iam_policy.each[*].policy_id)) }
}
