# terraform works by a role that another role assumes, as in a chain of accounts.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "first" { type = string }
variable "second" { type = string }

provider "aws" {
  assume_role {
    role_arn            = var.first
    session_name        = "tf-first"
    external_id         = "tf"
    tags                = { team = "red" }
    transitive_tag_keys = ["team"]
  }
  assume_role {
    role_arn     = var.second
    session_name = "tf-second"
  }
}

data "aws_caller_identity" "me" {}

resource "aws_iam_user" "made" {
  name = "tf-by-role"
}

output "facts" {
  value = { me = data.aws_caller_identity.me.arn, user = aws_iam_user.made.arn }
}
