# The IAM nouns that terraform/main.tf lacks. The test writes the files that it reads.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "stage" {
  description = "What the second apply changes."
  type        = string
  default     = "first"
}

locals {
  second = var.stage == "second"
}

resource "aws_iam_account_password_policy" "strict" {
  minimum_password_length        = local.second ? 16 : 12
  require_lowercase_characters   = true
  require_numbers                = true
  require_uppercase_characters   = true
  require_symbols                = !local.second
  allow_users_to_change_password = true
  max_password_age               = 90
  password_reuse_prevention      = 5
}

resource "aws_iam_user" "eve" {
  name          = "tfw-eve"
  force_destroy = true
}

resource "aws_iam_user_login_profile" "eve" {
  user                    = aws_iam_user.eve.name
  password_length         = 24
  password_reset_required = true
  depends_on              = [aws_iam_account_password_policy.strict]
}

resource "aws_iam_user_ssh_key" "eve" {
  username   = aws_iam_user.eve.name
  encoding   = "SSH"
  public_key = trimspace(file("${path.module}/id_rsa.pub"))
  status     = local.second ? "Inactive" : "Active"
}

resource "aws_iam_signing_certificate" "eve" {
  user_name        = aws_iam_user.eve.name
  certificate_body = file("${path.module}/certificate.pem")
  status           = local.second ? "Inactive" : "Active"
}

resource "aws_iam_service_specific_credential" "eve" {
  service_name = "codecommit.amazonaws.com"
  user_name    = aws_iam_user.eve.name
  status       = local.second ? "Inactive" : "Active"
}

resource "aws_iam_virtual_mfa_device" "eve" {
  virtual_mfa_device_name = "tfw-eve"
  path                    = "/tfw/"
  tags                    = { stage = var.stage }
}

resource "aws_iam_role" "run" {
  name = "tfw-run"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role" "other" {
  name               = "tfw-other"
  assume_role_policy = aws_iam_role.run.assume_role_policy
}

resource "aws_iam_instance_profile" "run" {
  name = "tfw-run"
  path = "/tfw/"
  role = local.second ? aws_iam_role.other.name : aws_iam_role.run.name
  tags = { stage = var.stage }
}

resource "aws_iam_openid_connect_provider" "github" {
  url             = "https://token.actions.example.com"
  client_id_list  = local.second ? ["sts.amazonaws.com", "other"] : ["sts.amazonaws.com"]
  thumbprint_list = [local.second ? "990f4193972f2becf12ddeda5237f9c952f20d9e" : "cf23df2207d99a74fbe169e3eba035e633b65d94"]
  tags            = { stage = var.stage }
}

resource "aws_iam_saml_provider" "idp" {
  name                   = "tfw-idp"
  saml_metadata_document = file("${path.module}/${local.second ? "idp2" : "idp"}.xml")
  tags                   = { stage = var.stage }
}

resource "aws_iam_server_certificate" "web" {
  name             = local.second ? "tfw-web-renamed" : "tfw-web"
  path             = "/tfw/"
  certificate_body = file("${path.module}/certificate.pem")
  private_key      = file("${path.module}/key.pem")
  tags             = { team = "core" } # the provider tags before it renames
}

resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "tfw"
  description      = local.second ? "scales more" : "scales"
}

resource "aws_iam_security_token_service_preferences" "tokens" {
  global_endpoint_token_version = local.second ? "v1Token" : "v2Token"
}

resource "aws_iam_organizations_features" "root" {
  enabled_features = local.second ? ["RootCredentialsManagement"] : ["RootCredentialsManagement", "RootSessions"]
}

resource "aws_iam_group" "dev" {
  name = "tfw-dev"
}

resource "aws_iam_policy" "read" {
  name   = "tfw-read"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:Get*", Resource = "*" }] })
}

resource "aws_iam_policy_attachment" "read" {
  name       = "read"
  policy_arn = aws_iam_policy.read.arn
  users      = [aws_iam_user.eve.name]
  groups     = [aws_iam_group.dev.name]
  roles      = local.second ? [] : [aws_iam_role.run.name]
}

resource "aws_iam_group_policies_exclusive" "dev" {
  group_name   = aws_iam_group.dev.name
  policy_names = []
}

resource "aws_iam_group_policy_attachments_exclusive" "dev" {
  group_name  = aws_iam_group.dev.name
  policy_arns = [aws_iam_policy.read.arn]
  depends_on  = [aws_iam_policy_attachment.read]
}

resource "aws_iam_user_policies_exclusive" "eve" {
  user_name    = aws_iam_user.eve.name
  policy_names = []
}

resource "aws_iam_role_policy_attachments_exclusive" "other" {
  role_name   = aws_iam_role.other.name
  policy_arns = []
}

data "aws_iam_instance_profile" "run" {
  name       = aws_iam_instance_profile.run.name
  depends_on = [aws_iam_instance_profile.run]
}

data "aws_iam_instance_profiles" "run" {
  role_name  = local.second ? aws_iam_role.other.name : aws_iam_role.run.name
  depends_on = [aws_iam_instance_profile.run]
}

data "aws_iam_openid_connect_provider" "github" {
  url        = "https://token.actions.example.com"
  depends_on = [aws_iam_openid_connect_provider.github]
}

data "aws_iam_saml_provider" "idp" {
  arn = aws_iam_saml_provider.idp.arn
}

data "aws_iam_server_certificate" "web" {
  name       = aws_iam_server_certificate.web.name
  depends_on = [aws_iam_server_certificate.web]
}

data "aws_iam_session_context" "run" {
  arn        = "arn:aws:sts::123456789012:assumed-role/tfw-run/session"
  depends_on = [aws_iam_role.run]
}

data "aws_iam_user_ssh_key" "eve" {
  encoding          = "PEM"
  ssh_public_key_id = aws_iam_user_ssh_key.eve.ssh_public_key_id
  username          = aws_iam_user.eve.name
}

output "facts" {
  value = {
    profile  = data.aws_iam_instance_profile.run.role_name
    profiles = sort(data.aws_iam_instance_profiles.run.names)
    clients  = data.aws_iam_openid_connect_provider.github.client_id_list
    idp      = data.aws_iam_saml_provider.idp.name
    web      = data.aws_iam_server_certificate.web.path
    issuer   = data.aws_iam_session_context.run.issuer_name
    linked   = aws_iam_service_linked_role.autoscaling.name
    pem      = startswith(data.aws_iam_user_ssh_key.eve.public_key, "-----BEGIN")
    phone    = aws_iam_virtual_mfa_device.eve.arn
  }
}
