# Every IAM noun that Writ has, as people write them.
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

data "aws_caller_identity" "me" {}

resource "aws_iam_account_alias" "alias" {
  account_alias = "tf-${var.stage}"
}

resource "aws_iam_user" "ada" {
  name                 = local.second ? "tf-lovelace" : "tf-ada"
  path                 = local.second ? "/tf/new/" : "/tf/"
  permissions_boundary = aws_iam_policy.boundary.arn
  force_destroy        = true
  tags = {
    team = "core"
  }
}

resource "aws_iam_user" "bot" {
  name = "tf-bot"
}

resource "aws_iam_user" "cy" {
  name = "tf-cy"
  tags = { stage = var.stage }
}

resource "aws_iam_access_key" "bot" {
  user   = aws_iam_user.bot.name
  status = local.second ? "Inactive" : "Active"
}

resource "aws_iam_group" "dev" {
  name = "tf-dev"
  path = "/tf/"
}

resource "aws_iam_group" "ops" {
  name = local.second ? "tf-operations" : "tf-ops"
}

resource "aws_iam_group_membership" "dev" {
  name  = "dev"
  group = aws_iam_group.dev.name
  users = local.second ? [aws_iam_user.bot.name] : [aws_iam_user.bot.name, aws_iam_user.cy.name]
}

resource "aws_iam_user_group_membership" "ada" {
  user   = aws_iam_user.ada.name
  groups = [aws_iam_group.ops.name]
}

resource "aws_iam_policy" "boundary" {
  name   = "tf-boundary"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = local.second ? ["s3:GetObject", "s3:ListBucket"] : ["s3:GetObject"]
    resources = ["arn:aws:s3:::b/*", "arn:aws:s3:::b"]
    condition {
      test     = "StringLike"
      variable = "aws:PrincipalTag/team"
      values   = ["co*"]
    }
  }
}

resource "aws_iam_policy" "read" {
  name        = "tf-read"
  path        = "/tf/"
  description = "may read: é, + and \"quotes\""
  policy      = data.aws_iam_policy_document.read.json
  tags        = { stage = var.stage }
}

resource "aws_iam_policy" "heredoc" {
  name_prefix = "tf-heredoc-"
  policy      = <<-EOT
    {
      "Version": "2012-10-17",
      "Statement": [{
        "Effect": "Deny",
        "Action": "ec2:Terminate*",
        "Resource": "*"
      }]
    }
  EOT
}

resource "aws_iam_user_policy" "ada" {
  name   = "home"
  user   = aws_iam_user.ada.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:*", Resource = "arn:aws:s3:::home/$${aws:username}/*" }] })
}

resource "aws_iam_group_policy" "dev" {
  name   = "logs"
  group  = aws_iam_group.dev.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["logs:*"], Resource = ["*"] }] })
}

resource "aws_iam_user_policy_attachment" "ada" {
  user       = aws_iam_user.ada.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_group_policy_attachment" "dev" {
  group      = aws_iam_group.dev.name
  policy_arn = aws_iam_policy.heredoc.arn
}

resource "aws_iam_role" "run" {
  name                  = "tf-run"
  path                  = "/tf/"
  description           = local.second ? "" : "runs"
  max_session_duration  = local.second ? 3600 : 7200
  permissions_boundary  = local.second ? null : aws_iam_policy.boundary.arn
  force_detach_policies = true
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } },
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = [aws_iam_user.bot.arn, data.aws_caller_identity.me.account_id] } },
    ]
  })
  tags = { stage = var.stage }
}

resource "aws_iam_role" "chained" {
  name = "tf-chained"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["sts:AssumeRole", "sts:TagSession"], Principal = { AWS = aws_iam_role.run.arn } }]
  })
}

resource "aws_iam_service_linked_role" "scaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "tf"
  description      = local.second ? "scales down" : "scales"
}

resource "aws_iam_instance_profile" "run" {
  name = "tf-run"
  path = "/tf/"
  role = local.second ? aws_iam_role.chained.name : aws_iam_role.run.name
  tags = { stage = var.stage }
}

resource "aws_iam_role_policy" "run" {
  name   = "queue"
  role   = aws_iam_role.run.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sqs:*", Resource = "*" }] })
}

resource "aws_iam_role_policy_attachment" "run" {
  role       = aws_iam_role.run.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_role_policies_exclusive" "run" {
  role_name    = aws_iam_role.run.name
  policy_names = [aws_iam_role_policy.run.name]
}

resource "aws_iam_user_policy_attachments_exclusive" "ada" {
  user_name   = aws_iam_user.ada.name
  policy_arns = [aws_iam_policy.read.arn]
  depends_on  = [aws_iam_user_policy_attachment.ada]
}

resource "aws_iam_openid_connect_provider" "idp" {
  url             = "https://tf.example.com/a"
  client_id_list  = local.second ? ["app", "web"] : ["app"]
  thumbprint_list = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
  tags            = { stage = var.stage }
}

resource "aws_iam_saml_provider" "corp" {
  name                   = "tf-corp"
  saml_metadata_document = replace(file("${path.module}/idp.xml"), "/saml/sso", "/saml/${var.stage}")
  tags                   = { stage = var.stage }
}

data "aws_iam_user" "bot" {
  user_name = aws_iam_user.bot.name
}

data "aws_iam_role" "run" {
  name = aws_iam_role.run.name
}

data "aws_iam_group" "dev" {
  group_name = aws_iam_group.dev.name
  depends_on = [aws_iam_group_membership.dev]
}

data "aws_iam_policy" "read" {
  name       = aws_iam_policy.read.name
  depends_on = [aws_iam_policy.read]
}

data "aws_iam_users" "tf" {
  path_prefix = "/tf/"
  depends_on  = [aws_iam_user.ada]
}

data "aws_iam_roles" "tf" {
  path_prefix = "/tf/"
  depends_on  = [aws_iam_role.run]
}

data "aws_iam_access_keys" "bot" {
  user       = aws_iam_user.bot.name
  depends_on = [aws_iam_access_key.bot]
}

data "aws_iam_account_alias" "alias" {
  depends_on = [aws_iam_account_alias.alias]
}

data "aws_iam_principal_policy_simulation" "ada" {
  policy_source_arn = aws_iam_user.ada.arn
  action_names      = ["s3:PutObject"]
  resource_arns     = ["arn:aws:s3:::home/${aws_iam_user.ada.name}/x"]
  depends_on        = [aws_iam_user_policy.ada]
}

output "facts" {
  value = {
    account = data.aws_caller_identity.me.account_id
    alias   = data.aws_iam_account_alias.alias.account_alias
    user    = aws_iam_user.ada.arn
    members = sort(data.aws_iam_group.dev.users[*].user_name)
    version = data.aws_iam_policy.read.arn
    users   = sort(data.aws_iam_users.tf.names)
    roles   = sort(data.aws_iam_roles.tf.names)
    keys    = length(data.aws_iam_access_keys.bot.access_keys)
    allowed = data.aws_iam_principal_policy_simulation.ada.all_allowed
    trust   = data.aws_iam_role.run.arn
    id      = data.aws_iam_user.bot.user_id == aws_iam_user.bot.unique_id
  }
}
