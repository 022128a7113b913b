"""Calls every action that Writ carries out and checks what boto3 makes of the answers.

Prints a JSON list of the operations called.
"""
import base64
import datetime
import hmac
import json
import os
import struct
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
session = boto3.session.Session()
config = Config(retries={"mode": "standard", "max_attempts": 3})
iam = session.client("iam", config=config)
sts = session.client("sts", config=config)
called = set()
for c in (iam, sts):
    c.meta.events.register("before-call", lambda model, **_: called.add(model.name))

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def text(document):
    return json.dumps(document)


def fails(code, call, **kwargs):
    try:
        call(**kwargs)
    except ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"{call.__name__} {kwargs}: {got}, want {code}: {e}"
        assert e.response["ResponseMetadata"]["RequestId"], "no request id"
        return e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} {kwargs} succeeded, want {code}")


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def policy_arn(name, path="/"):
    return f"arn:aws:iam::{ACCOUNT}:policy{path}{name}"


def names(operation, key, name, **kwargs):
    return [i[name] if name else i for page in iam.get_paginator(operation).paginate(**kwargs) for i in page[key]]


def users():
    u = iam.create_user(UserName="b3-ada", Path="/b3/", Tags=[{"Key": "team", "Value": "core"}, {"Key": "empty", "Value": ""}])["User"]
    assert u["UserId"].startswith("AIDA") and len(u["UserId"]) == 21, u
    same(u["Arn"], f"arn:aws:iam::{ACCOUNT}:user/b3/b3-ada")
    assert isinstance(u["CreateDate"], datetime.datetime) and u["CreateDate"].tzinfo
    same({t["Key"]: t["Value"] for t in u["Tags"]}, {"team": "core", "empty": ""})
    got = iam.get_user(UserName="B3-ADA")["User"]
    same((got["UserId"], got["CreateDate"]), (u["UserId"], u["CreateDate"]))
    assert "PasswordLastUsed" not in got and "PermissionsBoundary" not in got
    same(iam.get_user()["User"]["Arn"], f"arn:aws:iam::{ACCOUNT}:root")
    fails("EntityAlreadyExists", iam.create_user, UserName="b3-ADA")
    fails("ValidationError", iam.create_user, UserName="no spaces")
    fails("ValidationError", iam.create_user, UserName="x" * 65)
    fails("ValidationError", iam.create_user, UserName="x", Path="no/slash")
    fails("InvalidInput", iam.create_user, UserName="x", Tags=[{"Key": "aws:x", "Value": ""}])
    fails("InvalidInput", iam.create_user, UserName="x", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
    fails("NoSuchEntity", iam.get_user, UserName="b3-nobody")
    iam.update_user(UserName="b3-ada", NewUserName="b3-lovelace", NewPath="/b3/new/")
    same(iam.get_user(UserName="b3-lovelace")["User"]["UserId"], u["UserId"])
    fails("NoSuchEntity", iam.get_user, UserName="b3-ada")
    iam.update_user(UserName="b3-lovelace", NewUserName="b3-ada")

    for i in range(105):
        iam.create_user(UserName=f"b3-many-{i:03}", Path="/b3/many/")
    same(len(iam.list_users(PathPrefix="/b3/many/")["Users"]), 100)
    page = iam.list_users(PathPrefix="/b3/many/", MaxItems=7)
    assert page["IsTruncated"] and page["Marker"]
    same(names("list_users", "Users", "UserName", PathPrefix="/b3/many/"), [f"b3-many-{i:03}" for i in range(105)])
    same(iam.list_users(PathPrefix="/b3/none/")["Users"], [])
    fails("ValidationError", iam.list_users, Marker="nonsense")
    fails("ValidationError", iam.list_users, MaxItems=1001)
    for i in range(105):
        iam.delete_user(UserName=f"b3-many-{i:03}")

    iam.tag_user(UserName="b3-ada", Tags=[{"Key": "TEAM", "Value": "other"}, {"Key": "ünï", "Value": "é ü + / @"}])
    tags = {t["Key"]: t["Value"] for t in iam.list_user_tags(UserName="b3-ada")["Tags"]}
    same(tags, {"TEAM": "other", "empty": "", "ünï": "é ü + / @"})
    iam.untag_user(UserName="b3-ada", TagKeys=["team", "empty", "ünï", "absent"])
    same(iam.list_user_tags(UserName="b3-ada")["Tags"], [])

    iam.put_user_policy(UserName="b3-ada", PolicyName="inline", PolicyDocument=text(ALLOW))
    same(iam.get_user_policy(UserName="b3-ada", PolicyName="inline")["PolicyDocument"], ALLOW)
    same(iam.list_user_policies(UserName="b3-ada")["PolicyNames"], ["inline"])
    fails("MalformedPolicyDocument", iam.put_user_policy, UserName="b3-ada", PolicyName="bad", PolicyDocument="{")
    fails("DeleteConflict", iam.delete_user, UserName="b3-ada")
    iam.delete_user_policy(UserName="b3-ada", PolicyName="inline")
    fails("NoSuchEntity", iam.delete_user_policy, UserName="b3-ada", PolicyName="inline")
    same(iam.list_user_policies(UserName="b3-ada")["PolicyNames"], [])


def groups():
    g = iam.create_group(GroupName="b3-dev", Path="/b3/")["Group"]
    assert g["GroupId"].startswith("AGPA")
    same(iam.get_group(GroupName="b3-dev")["Users"], [])
    iam.add_user_to_group(GroupName="b3-dev", UserName="b3-ada")
    iam.add_user_to_group(GroupName="b3-dev", UserName="b3-ada")
    same([u["UserName"] for u in iam.get_group(GroupName="b3-dev")["Users"]], ["b3-ada"])
    same(names("list_groups_for_user", "Groups", "GroupName", UserName="b3-ada"), ["b3-dev"])
    same(names("list_groups", "Groups", "GroupName", PathPrefix="/b3/"), ["b3-dev"])
    fails("DeleteConflict", iam.delete_group, GroupName="b3-dev")
    iam.update_group(GroupName="b3-dev", NewGroupName="b3-eng")
    iam.update_group(GroupName="b3-eng", NewGroupName="b3-dev", NewPath="/b3/x/")
    iam.put_group_policy(GroupName="b3-dev", PolicyName="inline", PolicyDocument=text(ALLOW))
    same(iam.get_group_policy(GroupName="b3-dev", PolicyName="inline")["PolicyDocument"], ALLOW)
    same(iam.list_group_policies(GroupName="b3-dev")["PolicyNames"], ["inline"])
    iam.delete_group_policy(GroupName="b3-dev", PolicyName="inline")
    fails("NoSuchEntity", iam.add_user_to_group, GroupName="b3-none", UserName="b3-ada")
    iam.remove_user_from_group(GroupName="b3-dev", UserName="b3-ada")


def policies():
    p = iam.create_policy(PolicyName="b3-pol", Path="/b3/", Description="of boto3", PolicyDocument=text(ALLOW),
                          Tags=[{"Key": "k", "Value": "v"}])["Policy"]
    arn = p["Arn"]
    same(arn, policy_arn("b3-pol", "/b3/"))
    assert p["PolicyId"].startswith("ANPA") and p["DefaultVersionId"] == "v1" and p["IsAttachable"] is True
    got = iam.get_policy(PolicyArn=arn)["Policy"]
    same((got["Description"], got["AttachmentCount"], got["Tags"]), ("of boto3", 0, [{"Key": "k", "Value": "v"}]))
    v2 = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(DENY), SetAsDefault=True)["PolicyVersion"]
    same((v2["VersionId"], v2["IsDefaultVersion"]), ("v2", True))
    same(iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"], ALLOW)
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(ALLOW))
    fails("LimitExceeded", iam.create_policy_version, PolicyArn=arn, PolicyDocument=text(ALLOW))
    same(names("list_policy_versions", "Versions", "VersionId", PolicyArn=arn), ["v5", "v4", "v3", "v2", "v1"])
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v5")
    fails("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v5")
    fails("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    for v in ("v1", "v2", "v3", "v4"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=v)
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "K", "Value": "upper"}])
    same([t["Key"] for t in iam.list_policy_tags(PolicyArn=arn)["Tags"]], ["K", "k"])
    iam.untag_policy(PolicyArn=arn, TagKeys=["K"])

    iam.attach_user_policy(UserName="b3-ada", PolicyArn=arn)
    iam.attach_group_policy(GroupName="b3-dev", PolicyArn=arn)
    for who, kind in (("b3-ada", "user"), ("b3-dev", "group")):
        listed = getattr(iam, f"list_attached_{kind}_policies")(**{f"{kind.title()}Name": who})["AttachedPolicies"]
        same(listed, [{"PolicyName": "b3-pol", "PolicyArn": arn}])
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    same([u["UserName"] for u in entities["PolicyUsers"]], ["b3-ada"])
    same([g["GroupName"] for g in entities["PolicyGroups"]], ["b3-dev"])
    same(entities["PolicyRoles"], [])
    same(iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"], 2)
    assert "b3-pol" in names("list_policies", "Policies", "PolicyName", Scope="Local", OnlyAttached=True)
    fails("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.detach_user_policy(UserName="b3-ada", PolicyArn=arn)
    iam.detach_group_policy(GroupName="b3-dev", PolicyArn=arn)
    fails("NoSuchEntity", iam.detach_user_policy, UserName="b3-ada", PolicyArn=arn)
    fails("NoSuchEntity", iam.attach_user_policy, UserName="b3-ada", PolicyArn=policy_arn("b3-none"))
    fails("ValidationError", iam.attach_user_policy, UserName="b3-ada", PolicyArn="this-is-no-arn-at-all")
    for document, message in (
        ({"Version": "2012-10-17", "Statement": []}, None),
        ({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*"}}, "Policy statement must contain resources."),
        ({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}, "Policy document must be version 2012-10-17 or greater."),
    ):
        if message:
            same(fails("MalformedPolicyDocument", iam.create_policy, PolicyName="b3-bad", PolicyDocument=text(document)), message)


def roles():
    r = iam.create_role(RoleName="b3-run", Path="/b3/", AssumeRolePolicyDocument=text(TRUST), Description="runs",
                        MaxSessionDuration=7200, Tags=[{"Key": "k", "Value": "v"}])["Role"]
    assert r["RoleId"].startswith("AROA")
    same(r["AssumeRolePolicyDocument"], TRUST)
    got = iam.get_role(RoleName="b3-run")["Role"]
    same((got["Description"], got["MaxSessionDuration"], got["RoleLastUsed"], got["Tags"]), ("runs", 7200, {}, [{"Key": "k", "Value": "v"}]))
    same(names("list_roles", "Roles", "RoleName", PathPrefix="/b3/"), ["b3-run"])
    iam.update_role(RoleName="b3-run", Description="", MaxSessionDuration=3600)
    assert "Description" not in iam.get_role(RoleName="b3-run")["Role"]
    same(iam.update_role_description(RoleName="b3-run", Description="again")["Role"]["Description"], "again")
    ada = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/b3/new/b3-ada"}, "Action": "sts:AssumeRole"}]}
    iam.update_assume_role_policy(RoleName="b3-run", PolicyDocument=text(ada))
    same(iam.get_role(RoleName="b3-run")["Role"]["AssumeRolePolicyDocument"], ada)
    nobody = json.loads(text(ada).replace("b3-ada", "b3-nobody"))
    message = fails("MalformedPolicyDocument", iam.update_assume_role_policy, RoleName="b3-run", PolicyDocument=text(nobody))
    assert message.startswith("Invalid principal in policy"), message
    fails("MalformedPolicyDocument", iam.create_role, RoleName="b3-bad", AssumeRolePolicyDocument=text(ALLOW))
    iam.put_role_policy(RoleName="b3-run", PolicyName="inline", PolicyDocument=text(ALLOW))
    same(iam.get_role_policy(RoleName="b3-run", PolicyName="inline")["PolicyDocument"], ALLOW)
    same(iam.list_role_policies(RoleName="b3-run")["PolicyNames"], ["inline"])
    fails("DeleteConflict", iam.delete_role, RoleName="b3-run")
    iam.delete_role_policy(RoleName="b3-run", PolicyName="inline")
    arn = policy_arn("b3-pol", "/b3/")
    iam.attach_role_policy(RoleName="b3-run", PolicyArn=arn)
    same(names("list_attached_role_policies", "AttachedPolicies", "PolicyArn", RoleName="b3-run"), [arn])
    iam.detach_role_policy(RoleName="b3-run", PolicyArn=arn)
    iam.tag_role(RoleName="b3-run", Tags=[{"Key": "K", "Value": "w"}])
    same(iam.list_role_tags(RoleName="b3-run")["Tags"], [{"Key": "K", "Value": "w"}])
    iam.untag_role(RoleName="b3-run", TagKeys=["k"])
    same(iam.list_instance_profiles_for_role(RoleName="b3-run")["InstanceProfiles"], [])
    for put, drop, get in (
        (iam.put_role_permissions_boundary, iam.delete_role_permissions_boundary, lambda: iam.get_role(RoleName="b3-run")["Role"]),
        (iam.put_user_permissions_boundary, iam.delete_user_permissions_boundary, lambda: iam.get_user(UserName="b3-ada")["User"]),
    ):
        who = {"RoleName": "b3-run"} if "role" in put.__name__ else {"UserName": "b3-ada"}
        put(PermissionsBoundary=arn, **who)
        same(get()["PermissionsBoundary"]["PermissionsBoundaryArn"], arn)
        same(iam.get_policy(PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"], 1)
        fails("DeleteConflict", iam.delete_policy, PolicyArn=arn)
        drop(**who)
        assert "PermissionsBoundary" not in get()


def instance_profiles():
    p = iam.create_instance_profile(InstanceProfileName="b3-web", Path="/b3/", Tags=[{"Key": "k", "Value": "v"}])["InstanceProfile"]
    assert p["InstanceProfileId"].startswith("AIPA") and p["Roles"] == [], p
    fails("EntityAlreadyExists", iam.create_instance_profile, InstanceProfileName="b3-WEB")
    fails("NoSuchEntity", iam.get_instance_profile, InstanceProfileName="b3-none")
    iam.add_role_to_instance_profile(InstanceProfileName="b3-web", RoleName="b3-run")
    fails("LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName="b3-web", RoleName="b3-run")
    got = iam.get_instance_profile(InstanceProfileName="b3-web")["InstanceProfile"]
    same((got["Arn"], got["Roles"][0]["RoleName"]), (p["Arn"], "b3-run"))
    same(got["Roles"][0]["AssumeRolePolicyDocument"], iam.get_role(RoleName=got["Roles"][0]["RoleName"])["Role"]["AssumeRolePolicyDocument"])
    same(names("list_instance_profiles_for_role", "InstanceProfiles", "InstanceProfileName", RoleName="b3-run"), ["b3-web"])
    same(names("list_instance_profiles", "InstanceProfiles", "InstanceProfileName", PathPrefix="/b3/"), ["b3-web"])
    fails("DeleteConflict", iam.delete_role, RoleName="b3-run")
    fails("DeleteConflict", iam.delete_instance_profile, InstanceProfileName="b3-web")
    iam.tag_instance_profile(InstanceProfileName="b3-web", Tags=[{"Key": "K", "Value": "w"}])
    iam.untag_instance_profile(InstanceProfileName="b3-web", TagKeys=["k"])
    same(iam.list_instance_profile_tags(InstanceProfileName="b3-web")["Tags"], [{"Key": "K", "Value": "w"}])
    iam.remove_role_from_instance_profile(InstanceProfileName="b3-web", RoleName="b3-run")
    iam.delete_instance_profile(InstanceProfileName="b3-web")


def service_linked_roles():
    r = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="b3", Description="scales")["Role"]
    same(r["Arn"], f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_b3")
    message = fails("InvalidInput", iam.create_service_linked_role, AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="b3")
    same(message, f"Service role name {r['RoleName']} has been taken in this account, please try a different suffix.")
    fails("InvalidInput", iam.create_service_linked_role, AWSServiceName="ecs.amazonaws.com", CustomSuffix="b3")
    fails("AccessDenied", iam.create_service_linked_role, AWSServiceName="b3.amazonaws.com")
    fails("UnmodifiableEntity", iam.delete_role, RoleName=r["RoleName"])
    iam.update_role(RoleName=r["RoleName"], Description="new")
    task = iam.delete_service_linked_role(RoleName=r["RoleName"])["DeletionTaskId"]
    same(iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"], "SUCCEEDED")
    fails("NoSuchEntity", iam.get_service_linked_role_deletion_status, DeletionTaskId=task + "x")


def keys():
    k = iam.create_access_key(UserName="b3-ada")["AccessKey"]
    assert k["AccessKeyId"].startswith("AKIA") and len(k["SecretAccessKey"]) == 40 and k["Status"] == "Active"
    ada = dict(aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
    his_iam, his_sts = session.client("iam", **ada), session.client("sts", **ada)
    me = his_sts.get_caller_identity()
    same((me["Account"], me["Arn"]), (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/b3/new/b3-ada"))
    same(me["UserId"], iam.get_user(UserName="b3-ada")["User"]["UserId"])
    same(sts.get_caller_identity()["Arn"], f"arn:aws:iam::{ACCOUNT}:root")
    message = fails("AccessDenied", his_iam.create_user, UserName="b3-no")
    assert message == (f"User: {me['Arn']} is not authorized to perform: iam:CreateUser on resource: arn:aws:iam::{ACCOUNT}:user/b3-no "
                       "because no identity-based policy allows the iam:CreateUser action"), message
    iam.put_user_policy(UserName="b3-ada", PolicyName="self", PolicyDocument=text({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:*AccessKey*", "iam:GetUser"], "Resource": "arn:aws:iam::*:user/b3/new/${aws:username}"},
        {"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*", "Condition": {"StringEquals": {"aws:RequestTag/team": "core"}}},
        {"Effect": "Allow", "Action": "iam:TagUser", "Resource": "*"}]}))
    same(his_iam.get_user()["User"]["UserName"], "b3-ada")
    second = his_iam.create_access_key()["AccessKey"]
    fails("LimitExceeded", his_iam.create_access_key)
    same(len(his_iam.list_access_keys()["AccessKeyMetadata"]), 2)
    fails("AccessDenied", his_iam.list_access_keys, UserName="b3-other")
    fails("AccessDenied", his_iam.create_user, UserName="b3-tagged")
    his_iam.create_user(UserName="b3-tagged", Tags=[{"Key": "team", "Value": "core"}])
    iam.delete_user(UserName="b3-tagged")
    same(iam.get_access_key_last_used(AccessKeyId=second["AccessKeyId"])["UserName"], "b3-ada")
    iam.update_access_key(UserName="b3-ada", AccessKeyId=second["AccessKeyId"], Status="Inactive")
    status = {m["AccessKeyId"]: m["Status"] for m in iam.list_access_keys(UserName="b3-ada")["AccessKeyMetadata"]}
    same(status, {k["AccessKeyId"]: "Active", second["AccessKeyId"]: "Inactive"})
    for key in status:
        iam.delete_access_key(UserName="b3-ada", AccessKeyId=key)
    fails("InvalidClientTokenId", his_sts.get_caller_identity)
    iam.delete_user_policy(UserName="b3-ada", PolicyName="self")
    presigned = session.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(presigned) as answer:
        assert b":root</Arn>" in answer.read()


def account():
    iam.create_account_alias(AccountAlias="b3-alias")
    same(iam.list_account_aliases()["AccountAliases"], ["b3-alias"])
    iam.delete_account_alias(AccountAlias="b3-alias")
    same(iam.list_account_aliases()["AccountAliases"], [])
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] >= 1 and summary["AccessKeysPerUserQuota"] == 2, summary
    details = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    for page in iam.get_paginator("get_account_authorization_details").paginate(Filter=["User", "Group", "Role", "LocalManagedPolicy"]):
        for key in details:
            details[key] += page[key]
    assert "b3-ada" in [u["UserName"] for u in details["UserDetailList"]]
    role = next(r for r in details["RoleDetailList"] if r["RoleName"] == "b3-run")
    assert role["AssumeRolePolicyDocument"]["Version"] == "2012-10-17" and role["InstanceProfileList"] == []
    policy = next(p for p in details["Policies"] if p["PolicyName"] == "b3-pol")
    same(policy["PolicyVersionList"][0]["Document"], ALLOW)
    assert "b3-dev" in [g["GroupName"] for g in details["GroupDetailList"]]


def absent():
    for call, key in ((iam.list_mfa_devices, "MFADevices"), (iam.list_ssh_public_keys, "SSHPublicKeys"),
                      (iam.list_signing_certificates, "Certificates"), (iam.list_service_specific_credentials, "ServiceSpecificCredentials")):
        same(call(UserName="b3-ada")[key], [])
        fails("NoSuchEntity", call, UserName="b3-nobody")
    for call, key in ((iam.list_virtual_mfa_devices, "VirtualMFADevices"),
                      (iam.list_server_certificates, "ServerCertificateMetadataList")):
        same(call()[key], [])
    fails("NoSuchEntity", iam.get_login_profile, UserName="b3-ada")
    fails("NoSuchEntity", iam.delete_login_profile, UserName="b3-ada")
    fails("NoSuchEntity", iam.get_account_password_policy)
    fails("NoSuchEntity", iam.get_instance_profile, InstanceProfileName="b3-none")


def reports():
    iam.generate_credential_report()
    for _ in range(600):
        if iam.generate_credential_report()["State"] == "COMPLETE":
            break
        time.sleep(0.1)
    report = iam.get_credential_report()
    rows = report["Content"].decode().splitlines()
    same([len(rows[0].split(",")), rows[1].split(",")[0], report["ReportFormat"]], [22, "<root_account>", "text/csv"])

    ada = iam.get_user(UserName="b3-ada")["User"]["Arn"]
    job = iam.generate_service_last_accessed_details(Arn=ada, Granularity="ACTION_LEVEL")["JobId"]
    same(iam.get_service_last_accessed_details(JobId=job)["JobStatus"], "COMPLETED")
    same(len(iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="iam")["EntityDetailsList"]) <= 1, True)
    same([p["ServiceNamespace"] for p in iam.list_policies_granting_service_access(Arn=ada, ServiceNamespaces=["s3"])["PoliciesGrantingServiceAccess"]], ["s3"])
    job = iam.generate_organizations_access_report(EntityPath="o-0000000000/r-0000")["JobId"]
    same(iam.get_organizations_access_report(JobId=job)["JobStatus"], "FAILED")


def delegation():
    made = iam.create_policy(PolicyName="b3-template", PolicyDocument=text({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::@{bucketName}/*"}]}))["Policy"]["Arn"]
    request = iam.create_delegation_request(
        Description="d", RequestorWorkflowId="b3-workflow", NotificationChannel="topic", SessionDuration=3600,
        Permissions={"PolicyTemplateArn": made, "Parameters": [{"Name": "bucketName", "Values": ["b"], "Type": "string"}]})["DelegationRequestId"]
    iam.associate_delegation_request(DelegationRequestId=request)
    iam.update_delegation_request(DelegationRequestId=request, Notes="n")
    same([r["State"] for r in iam.list_delegation_requests()["DelegationRequests"]], ["PENDING_APPROVAL"])
    iam.accept_delegation_request(DelegationRequestId=request)
    sent = iam.send_delegation_token(DelegationRequestId=request)
    token = sent["ResponseMetadata"]["HTTPHeaders"]["x-writ-trade-in-token"]
    delegated = sts.get_delegated_access_token(TradeInToken=token)
    same(delegated["AssumedPrincipal"], f"arn:aws:iam::{ACCOUNT}:root")
    fails("AccessDenied", as_session("iam", delegated["Credentials"]).list_users)
    fails("AccessDenied", sts.get_delegated_access_token, TradeInToken=token[:-4])
    fails("InvalidInput", iam.reject_delegation_request, DelegationRequestId=request)
    same(iam.get_delegation_request(DelegationRequestId=request)["DelegationRequest"]["State"], "FINALIZED")
    summary = iam.get_human_readable_summary(EntityArn=f"arn:aws:iam::{ACCOUNT}:delegation-request/{request}")
    same(summary["SummaryContent"], f"Account {ACCOUNT} asks to act for 3600 seconds. Allows s3:GetObject on arn:aws:s3:::b/*.")
    iam.delete_policy(PolicyArn=made)


def oidc_providers():
    prints = ["a" * 40, "b" * 40]
    arn = iam.create_open_id_connect_provider(Url="https://b3.example.com/a", ClientIDList=["app"], ThumbprintList=prints[:1])["OpenIDConnectProviderArn"]
    same(arn, f"arn:aws:iam::{ACCOUNT}:oidc-provider/b3.example.com/a")
    fails("EntityAlreadyExists", iam.create_open_id_connect_provider, Url="https://b3.example.com/a", ThumbprintList=prints)
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="web")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=prints)
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["b"])
    same(iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"], [{"Key": "a", "Value": "1"}])
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    same([got["Url"], got["ClientIDList"], got["ThumbprintList"]], ["b3.example.com/a", ["web"], prints])
    same(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"], [{"Arn": arn}])
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    fails("NoSuchEntity", iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)


def saml_providers():
    with open(os.path.join(os.path.dirname(__file__), "../../../node/saml/testdata/idp.xml"), encoding="utf-8") as file:
        document = file.read()
    arn = iam.create_saml_provider(Name="b3-corp", SAMLMetadataDocument=document)["SAMLProviderArn"]
    fails("EntityAlreadyExists", iam.create_saml_provider, Name="b3-corp", SAMLMetadataDocument=document)
    fails("InvalidInput", iam.create_saml_provider, Name="b3-none", SAMLMetadataDocument="<a>" + " " * 1000 + "</a>")
    iam.tag_saml_provider(SAMLProviderArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_saml_provider(SAMLProviderArn=arn, TagKeys=["b"])
    same(iam.list_saml_provider_tags(SAMLProviderArn=arn)["Tags"], [{"Key": "a", "Value": "1"}])
    same(iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=document + "\n")["SAMLProviderArn"], arn)
    got = iam.get_saml_provider(SAMLProviderArn=arn)
    same([got["SAMLMetadataDocument"], got["AssertionEncryptionMode"], got["PrivateKeyList"]], [document + "\n", "Allowed", []])
    same(iam.list_saml_providers()["SAMLProviderList"], [{"Arn": arn, "ValidUntil": got["ValidUntil"], "CreateDate": got["CreateDate"]}])
    iam.delete_saml_provider(SAMLProviderArn=arn)
    fails("NoSuchEntity", iam.get_saml_provider, SAMLProviderArn=arn)


def settings():
    iam.set_security_token_service_preferences(GlobalEndpointTokenVersion="v2Token")
    same(iam.get_account_summary()["SummaryMap"]["GlobalEndpointTokenVersion"], 2)
    fails("FeatureDisabled", iam.get_outbound_web_identity_federation_info)
    issuer = iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    fails("FeatureEnabled", iam.enable_outbound_web_identity_federation)
    same(iam.get_outbound_web_identity_federation_info()["IssuerIdentifier"], issuer)
    iam.disable_outbound_web_identity_federation()
    same(iam.enable_organizations_root_credentials_management()["EnabledFeatures"], ["RootCredentialsManagement"])
    both = iam.enable_organizations_root_sessions()
    same(both["EnabledFeatures"], ["RootCredentialsManagement", "RootSessions"])
    same(iam.list_organizations_features()["OrganizationId"], both["OrganizationId"])
    iam.disable_organizations_root_credentials_management()
    same(iam.disable_organizations_root_sessions()["EnabledFeatures"], [])


def properties():
    """Operations of a newer model than boto3's, as they go over the wire."""
    def raw(action, status=200, **parameters):
        body = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **parameters})
        request = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/", data=body,
                             headers={"Content-Type": "application/x-www-form-urlencoded"})
        SigV4Auth(session.get_credentials(), "iam", session.region_name).add_auth(request)
        called.add(action)
        try:
            with urllib.request.urlopen(urllib.request.Request(request.url, body.encode(), dict(request.headers))) as answer:
                same(answer.status, status)
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            same(e.code, status)
            return e.read().decode()

    enabled = {"Properties.entry.1.key": "RoleManager/Enabled", "Properties.entry.1.value": "true"}
    assert "<entry><key>RoleManager/Enabled</key><value>false</value></entry>" in raw("GetAccountProperties")
    assert "<PutAccountPropertiesResult" in raw("PutAccountProperties", **enabled)
    assert "<value>true</value>" in raw("GetAccountProperties")
    assert "<Code>InvalidInput</Code>" in raw("PutAccountProperties", 400, **{**enabled, "Properties.entry.1.value": "maybe"})
    assert "<Code>ValidationError</Code>" in raw("PutAccountProperties", 400)


def as_session(service, credentials):
    c = session.client(service, config=config, aws_access_key_id=credentials["AccessKeyId"],
                       aws_secret_access_key=credentials["SecretAccessKey"], aws_session_token=credentials.get("SessionToken"))
    c.meta.events.register("before-call", lambda model, **_: called.add(model.name))
    return c


def trusting(principal, **condition):
    return text({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": principal}, "Condition": condition,
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}]})


def allowing(*actions):
    return text({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})


def role_sessions():
    iam.create_user(UserName="b3-eve")
    key = iam.create_access_key(UserName="b3-eve")["AccessKey"]
    eve = as_session("sts", key)
    user = f"arn:aws:iam::{ACCOUNT}:user/b3-eve"
    role = iam.create_role(RoleName="b3-deploy", AssumeRolePolicyDocument=trusting(user))["Role"]
    iam.put_role_policy(RoleName="b3-deploy", PolicyName="p", PolicyDocument=allowing("iam:Get*", "iam:List*", "sts:*"))
    made = eve.assume_role(RoleArn=role["Arn"], RoleSessionName="b3-one", SourceIdentity="eve",
                           Tags=[{"Key": "team", "Value": "red"}], TransitiveTagKeys=["team"])
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/b3-deploy/b3-one"
    same(made["AssumedRoleUser"], {"AssumedRoleId": role["RoleId"] + ":b3-one", "Arn": arn})
    same(made["SourceIdentity"], "eve")
    first = made["Credentials"]
    assert first["AccessKeyId"].startswith("ASIA") and 0 < made["PackedPolicySize"] <= 100
    who = as_session("sts", first).get_caller_identity()
    same([who["Arn"], who["UserId"], who["Account"]], [arn, role["RoleId"] + ":b3-one", ACCOUNT])
    as_session("iam", first).list_users()
    fails("AccessDenied", as_session("iam", first).create_user, UserName="b3-none")
    fails("ValidationError", as_session("iam", first).get_user)

    # A session policy takes away.
    within = eve.assume_role(RoleArn=role["Arn"], RoleSessionName="b3-two", Policy=allowing("iam:GetRole"))["Credentials"]
    as_session("iam", within).get_role(RoleName="b3-deploy")
    fails("AccessDenied", as_session("iam", within).list_users)
    managed = eve.assume_role(RoleArn=role["Arn"], RoleSessionName="b3-three",
                              PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])["Credentials"]
    fails("AccessDenied", as_session("iam", managed).list_users)
    fails("MalformedPolicyDocument", eve.assume_role, RoleArn=role["Arn"], RoleSessionName="b3-x", Policy="{}")
    fails("PackedPolicyTooLarge", eve.assume_role, RoleArn=role["Arn"], RoleSessionName="b3-x", Policy=allowing(*[f"s3:{i}" for i in range(400)]))

    # What passes on through a chain, and what does not.
    iam.create_role(RoleName="b3-next", AssumeRolePolicyDocument=trusting(f"arn:aws:iam::{ACCOUNT}:root", StringEquals={"aws:PrincipalTag/team": "red"}))
    chained = as_session("sts", first).assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/b3-next", RoleSessionName="b3-chained")
    same(chained["SourceIdentity"], "eve")
    again = dict(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/b3-next", RoleSessionName="b3-chained")
    fails("ValidationError", as_session("sts", first).assume_role, DurationSeconds=7200, **again)
    fails("InvalidParameterValue", as_session("sts", first).assume_role, Tags=[{"Key": "Team", "Value": "x"}], **again)
    fails("ValidationError", eve.assume_role, RoleArn=role["Arn"], RoleSessionName="b3-long", DurationSeconds=7200)
    fails("AccessDenied", eve.assume_role, RoleArn=role["Arn"] + "-none", RoleSessionName="b3-none")

    # A token is good as a whole, for its own access key.
    token = first["SessionToken"]
    for change in ({"SessionToken": token[:60] + ("A" if token[60] != "A" else "B") + token[61:]}, {"SessionToken": token[:-8]},
                   {"AccessKeyId": within["AccessKeyId"]}, {"SessionToken": "x" * 5000}):
        fails("InvalidClientTokenId", as_session("sts", {**first, **change}).get_caller_identity)
    fails("SignatureDoesNotMatch", as_session("sts", {**first, "SecretAccessKey": "x" * 40}).get_caller_identity)

    # A role that is made again is another one.
    same(sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"], ACCOUNT)
    iam.delete_role_policy(RoleName="b3-deploy", PolicyName="p")
    iam.delete_role(RoleName="b3-deploy")
    fails("InvalidClientTokenId", as_session("sts", first).get_caller_identity)
    iam.create_role(RoleName="b3-deploy", AssumeRolePolicyDocument=trusting(user))
    fails("InvalidClientTokenId", as_session("sts", first).get_caller_identity)
    for name in ("b3-deploy", "b3-next"):
        iam.delete_role(RoleName=name)
    iam.delete_access_key(UserName="b3-eve", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="b3-eve")


def other_account():
    """What the account OTHER, whose root has the key OTHER_KEY, shares with this one."""
    other, root = os.environ["OTHER"], {"AccessKeyId": os.environ["OTHER_KEY"], "SecretAccessKey": os.environ["OTHER_SECRET"]}
    theirs = as_session("iam", root)
    same(as_session("sts", root).get_caller_identity()["Arn"], f"arn:aws:iam::{other}:root")
    same(theirs.list_users()["Users"], [])
    role = theirs.create_role(RoleName="b3-theirs", AssumeRolePolicyDocument=trusting(f"arn:aws:iam::{ACCOUNT}:root"))["Role"]["Arn"]
    iam.create_user(UserName="b3-guest")
    key = iam.create_access_key(UserName="b3-guest")["AccessKey"]
    guest = as_session("sts", key)
    fails("AccessDenied", guest.assume_role, RoleArn=role, RoleSessionName="b3-guest")
    iam.put_user_policy(UserName="b3-guest", PolicyName="p", PolicyDocument=allowing("sts:AssumeRole", "sts:AssumeRoot"))
    made = guest.assume_role(RoleArn=role, RoleSessionName="b3-guest")
    same(as_session("sts", made["Credentials"]).get_caller_identity()["Account"], other)
    fails("NoSuchEntity", iam.get_role, RoleName="b3-theirs")
    theirs.delete_role(RoleName="b3-theirs")
    fails("InvalidClientTokenId", as_session("sts", made["Credentials"]).get_caller_identity)

    # As the other account's root, for a task.
    task = dict(TargetPrincipal=other, TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"})
    fails("AccessDenied", guest.assume_root, **task)
    iam.enable_organizations_root_sessions()
    audit = guest.assume_root(**task)["Credentials"]
    same(as_session("sts", audit).get_caller_identity()["Arn"], f"arn:aws:iam::{other}:root")
    same([k["AccessKeyId"] for k in as_session("iam", audit).list_access_keys()["AccessKeyMetadata"]], [root["AccessKeyId"]])
    fails("NoSuchEntity", as_session("iam", audit).get_login_profile)
    fails("AccessDenied", as_session("iam", audit).list_users)
    fails("ValidationError", guest.assume_root, TargetPrincipal=other, TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
    iam.disable_organizations_root_sessions()
    iam.delete_user_policy(UserName="b3-guest", PolicyName="p")
    iam.delete_access_key(UserName="b3-guest", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="b3-guest")


def user_sessions():
    iam.create_user(UserName="b3-mallet")
    iam.put_user_policy(UserName="b3-mallet", PolicyName="p", PolicyDocument=allowing("sts:GetFederationToken", "s3:*", "iam:GetUser"))
    key = iam.create_access_key(UserName="b3-mallet")["AccessKey"]
    own = as_session("sts", key)
    token = own.get_session_token()["Credentials"]
    same(as_session("sts", token).get_caller_identity()["Arn"], f"arn:aws:iam::{ACCOUNT}:user/b3-mallet")
    fails("InvalidClientTokenId", as_session("iam", token).get_user)  # without a second factor
    fails("AccessDenied", as_session("sts", token).get_session_token)
    made = own.get_federation_token(Name="b3-bob", Policy=allowing("s3:*"))
    same(made["FederatedUser"], {"FederatedUserId": ACCOUNT + ":b3-bob", "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/b3-bob"})
    same(as_session("sts", made["Credentials"]).get_caller_identity()["UserId"], ACCOUNT + ":b3-bob")
    fails("InvalidClientTokenId", as_session("iam", made["Credentials"]).get_user)

    # Web identities: TestWebIdentity has tokens that are good.
    fails("InvalidIdentityToken", sts.assume_role_with_web_identity, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/b3-none", RoleSessionName="b3-web", WebIdentityToken="not.a.token")

    # A code of an MFA device is good once.
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="b3-token")["VirtualMFADevice"]
    serial, seed, at = device["SerialNumber"], device["Base32StringSeed"], int(time.time()) // 30
    iam.enable_mfa_device(UserName="b3-mallet", SerialNumber=serial, AuthenticationCode1=one_code(seed, at - 2), AuthenticationCode2=one_code(seed, at - 1))
    iam.create_role(RoleName="b3-guarded", AssumeRolePolicyDocument=trusting(f"arn:aws:iam::{ACCOUNT}:user/b3-mallet", Bool={"aws:MultiFactorAuthPresent": "true"}))
    guarded = dict(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/b3-guarded", RoleSessionName="b3-guarded")
    fails("AccessDenied", own.assume_role, **guarded)
    shown = dict(SerialNumber=serial, TokenCode=one_code(seed, at))
    own.assume_role(**guarded, **shown)
    fails("AccessDenied", own.assume_role, **guarded, **shown)
    fails("AccessDenied", own.get_session_token, **shown)
    token = own.get_session_token(SerialNumber=serial, TokenCode=one_code(seed, at + 1))["Credentials"]
    same(as_session("iam", token).get_user()["User"]["UserName"], "b3-mallet")

    # With the user go its sessions.
    iam.deactivate_mfa_device(UserName="b3-mallet", SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    iam.delete_role(RoleName="b3-guarded")
    iam.delete_access_key(UserName="b3-mallet", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="b3-mallet", PolicyName="p")
    iam.delete_user(UserName="b3-mallet")
    fails("InvalidClientTokenId", as_session("iam", token).get_user)


def one_code(seed, step):
    digest = hmac.new(base64.b32decode(seed), struct.pack(">Q", step), "sha1").digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7fffffff) % 10**6:06}"


def certificates():
    with open(os.path.join(os.environ["MATERIAL"], "certificate.pem")) as f:
        body = f.read()
    with open(os.path.join(os.environ["MATERIAL"], "key.pem")) as f:
        key = f.read()
    with open(os.path.join(os.environ["MATERIAL"], "id_rsa.pub")) as f:
        ssh = f.read().strip()
    made = iam.upload_server_certificate(ServerCertificateName="b3-site", Path="/b3/", CertificateBody=body, PrivateKey=key)["ServerCertificateMetadata"]
    assert made["ServerCertificateId"].startswith("ASCA"), made
    fails("EntityAlreadyExists", iam.upload_server_certificate, ServerCertificateName="b3-site", CertificateBody=body, PrivateKey=key)
    fails("MalformedCertificate", iam.upload_server_certificate, ServerCertificateName="b3-bad", CertificateBody="x", PrivateKey=key)
    iam.tag_server_certificate(ServerCertificateName="b3-site", Tags=[{"Key": "k", "Value": "v"}, {"Key": "l", "Value": ""}])
    iam.untag_server_certificate(ServerCertificateName="b3-site", TagKeys=["l"])
    same(iam.list_server_certificate_tags(ServerCertificateName="b3-site")["Tags"], [{"Key": "k", "Value": "v"}])
    iam.update_server_certificate(ServerCertificateName="b3-site", NewServerCertificateName="b3-web")
    got = iam.get_server_certificate(ServerCertificateName="b3-web")["ServerCertificate"]
    same((got["CertificateBody"], got["ServerCertificateMetadata"]["Path"]), (body.strip(), "/b3/"))
    same([c["ServerCertificateName"] for c in iam.list_server_certificates(PathPrefix="/b3/")["ServerCertificateMetadataList"]], ["b3-web"])
    iam.delete_server_certificate(ServerCertificateName="b3-web")
    fails("NoSuchEntity", iam.get_server_certificate, ServerCertificateName="b3-web")

    iam.create_user(UserName="b3-certs")
    signing = iam.upload_signing_certificate(UserName="b3-certs", CertificateBody=body)["Certificate"]["CertificateId"]
    fails("DuplicateCertificate", iam.upload_signing_certificate, UserName="b3-certs", CertificateBody=body)
    iam.update_signing_certificate(UserName="b3-certs", CertificateId=signing, Status="Inactive")
    same([c["Status"] for c in iam.list_signing_certificates(UserName="b3-certs")["Certificates"]], ["Inactive"])
    fails("DeleteConflict", iam.delete_user, UserName="b3-certs")
    iam.delete_signing_certificate(UserName="b3-certs", CertificateId=signing)

    uploaded = iam.upload_ssh_public_key(UserName="b3-certs", SSHPublicKeyBody=ssh)["SSHPublicKey"]["SSHPublicKeyId"]
    assert uploaded.startswith("APKA"), uploaded
    got = iam.get_ssh_public_key(UserName="b3-certs", SSHPublicKeyId=uploaded, Encoding="PEM")["SSHPublicKey"]
    assert got["SSHPublicKeyBody"].startswith("-----BEGIN"), got
    same(iam.get_ssh_public_key(UserName="b3-certs", SSHPublicKeyId=uploaded, Encoding="SSH")["SSHPublicKey"]["SSHPublicKeyBody"], ssh)
    iam.update_ssh_public_key(UserName="b3-certs", SSHPublicKeyId=uploaded, Status="Inactive")
    same([k["Status"] for k in iam.list_ssh_public_keys(UserName="b3-certs")["SSHPublicKeys"]], ["Inactive"])
    iam.delete_ssh_public_key(UserName="b3-certs", SSHPublicKeyId=uploaded)

    made = iam.create_service_specific_credential(UserName="b3-certs", ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    again = iam.reset_service_specific_credential(UserName="b3-certs", ServiceSpecificCredentialId=made["ServiceSpecificCredentialId"])
    assert again["ServiceSpecificCredential"]["ServicePassword"] != made["ServicePassword"], again
    iam.update_service_specific_credential(UserName="b3-certs", ServiceSpecificCredentialId=made["ServiceSpecificCredentialId"], Status="Inactive")
    same([c["Status"] for c in iam.list_service_specific_credentials(UserName="b3-certs")["ServiceSpecificCredentials"]], ["Inactive"])
    iam.delete_service_specific_credential(UserName="b3-certs", ServiceSpecificCredentialId=made["ServiceSpecificCredentialId"])
    iam.delete_user(UserName="b3-certs")


def passwords():
    iam.create_user(UserName="b3-pw")
    fails("PasswordPolicyViolation", iam.create_login_profile, UserName="b3-pw", Password="short")
    iam.create_login_profile(UserName="b3-pw", Password="Long-enough-1", PasswordResetRequired=True)
    fails("EntityAlreadyExists", iam.create_login_profile, UserName="b3-pw", Password="Long-enough-1")
    same(iam.get_login_profile(UserName="b3-pw")["LoginProfile"]["PasswordResetRequired"], True)
    iam.update_login_profile(UserName="b3-pw", Password="Long-enough-2", PasswordResetRequired=False)
    iam.update_account_password_policy(MinimumPasswordLength=10, PasswordReusePrevention=3, AllowUsersToChangePassword=True)
    same(iam.get_account_password_policy()["PasswordPolicy"]["MinimumPasswordLength"], 10)
    iam.put_user_policy(UserName="b3-pw", PolicyName="own", PolicyDocument=text({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"], "Resource": "*"}]}))
    key = iam.create_access_key(UserName="b3-pw")["AccessKey"]
    own = boto3.session.Session(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
                                region_name=session.region_name).client("iam", config=config)
    own.meta.events.register("before-call", lambda model, **_: called.add(model.name))
    own.change_password(OldPassword="Long-enough-2", NewPassword="Long-enough-3")
    fails("PasswordPolicyViolation", own.change_password, OldPassword="Long-enough-3", NewPassword="Long-enough-3")
    iam.delete_account_password_policy()
    fails("NoSuchEntity", iam.get_account_password_policy)
    iam.delete_login_profile(UserName="b3-pw")
    iam.delete_access_key(UserName="b3-pw", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="b3-pw", PolicyName="own")
    iam.delete_user(UserName="b3-pw")


def codes(seed, at):
    """The code of a device at a time, and the next one (RFC 6238)."""
    for step in (at // 30, at // 30 + 1):
        mac = hmac.new(base64.b32decode(seed), struct.pack(">Q", step), "sha1").digest()
        yield f"{(struct.unpack('>I', mac[mac[-1] & 15:][:4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def devices():
    iam.create_user(UserName="b3-mfa")
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="b3-phone", Path="/b3/", Tags=[{"Key": "k", "Value": "v"}])["VirtualMFADevice"]
    assert made["QRCodePNG"].startswith(b"\x89PNG"), made
    serial, seed = made["SerialNumber"], made["Base32StringSeed"]
    same(serial, f"arn:aws:iam::{ACCOUNT}:mfa/b3/b3-phone")
    iam.tag_mfa_device(SerialNumber=serial, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_mfa_device(SerialNumber=serial, TagKeys=["k"])
    same(iam.list_mfa_device_tags(SerialNumber=serial)["Tags"], [{"Key": "l", "Value": "w"}])
    fails("InvalidAuthenticationCode", iam.enable_mfa_device, UserName="b3-mfa", SerialNumber=serial,
          AuthenticationCode1="000000", AuthenticationCode2="000001")
    one, two = codes(seed, int(time.time()) - 60)
    iam.enable_mfa_device(UserName="b3-mfa", SerialNumber=serial, AuthenticationCode1=one, AuthenticationCode2=two)
    same([d["SerialNumber"] for d in iam.list_mfa_devices(UserName="b3-mfa")["MFADevices"]], [serial])
    same(iam.get_mfa_device(SerialNumber=serial, UserName="b3-mfa")["UserName"], "b3-mfa")
    one, two = codes(seed, int(time.time()))
    iam.resync_mfa_device(UserName="b3-mfa", SerialNumber=serial, AuthenticationCode1=one, AuthenticationCode2=two)
    same([d["SerialNumber"] for d in iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]], [serial])
    fails("DeleteConflict", iam.delete_virtual_mfa_device, SerialNumber=serial)
    iam.deactivate_mfa_device(UserName="b3-mfa", SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    iam.delete_user(UserName="b3-mfa")


def attached():
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam.attach_user_policy(UserName="b3-ada", PolicyArn=arn)
    iam.attach_group_policy(GroupName="b3-dev", PolicyArn=arn)
    assert arn in [p["PolicyArn"] for p in iam.list_attached_user_policies(UserName="b3-ada")["AttachedPolicies"]]
    assert arn in [p["PolicyArn"] for p in iam.list_attached_group_policies(GroupName="b3-dev")["AttachedPolicies"]]
    iam.detach_user_policy(UserName="b3-ada", PolicyArn=arn)
    iam.detach_group_policy(GroupName="b3-dev", PolicyArn=arn)


def simulate():
    ada = f"arn:aws:iam::{ACCOUNT}:user/b3/new/b3-ada"
    iam.attach_user_policy(UserName="b3-ada", PolicyArn=policy_arn("b3-pol", "/b3/"))
    results = iam.simulate_principal_policy(PolicySourceArn=ada, ActionNames=["s3:GetObject", "ec2:RunInstances"])["EvaluationResults"]
    same([r["EvalDecision"] for r in results], ["allowed", "implicitDeny"])
    same(results[0]["MatchedStatements"][0]["SourcePolicyId"], "b3-pol")
    condition = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}/*",
                                                         "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}]}
    same(iam.get_context_keys_for_custom_policy(PolicyInputList=[text(condition)])["ContextKeyNames"],
         ["aws:MultiFactorAuthPresent", "aws:username"])
    same(iam.get_context_keys_for_principal_policy(PolicySourceArn=ada)["ContextKeyNames"], [])
    result = iam.simulate_custom_policy(
        PolicyInputList=[text(condition)], ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::ada/x", "arn:aws:s3:::eve/x"],
        ContextEntries=[{"ContextKeyName": "aws:username", "ContextKeyType": "string", "ContextKeyValues": ["ada"]},
                        {"ContextKeyName": "aws:MultiFactorAuthPresent", "ContextKeyType": "boolean", "ContextKeyValues": ["true"]}],
    )["EvaluationResults"][0]
    same([r["EvalResourceDecision"] for r in result["ResourceSpecificResults"]], ["allowed", "implicitDeny"])
    iam.detach_user_policy(UserName="b3-ada", PolicyArn=policy_arn("b3-pol", "/b3/"))


def identity_tokens():
    fails("OutboundWebIdentityFederationDisabledException", sts.get_web_identity_token, Audience=["b3"], SigningAlgorithm="RS256")
    issuer = iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    token = sts.get_web_identity_token(Audience=["b3"], SigningAlgorithm="ES384", Tags=[{"Key": "job", "Value": "7"}])["WebIdentityToken"]
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    same([claims["iss"], claims["aud"], claims["sub"]], [issuer, "b3", f"arn:aws:iam::{ACCOUNT}:root"])
    same([claims["exp"] - claims["iat"], claims["https://sts.amazonaws.com/"]["request_tags"]], [300, {"job": "7"}])
    with urllib.request.urlopen(issuer + "/.well-known/openid-configuration") as answer:
        told = json.load(answer)
    same(told["issuer"], issuer)
    with urllib.request.urlopen(told["jwks_uri"]) as answer:
        same([k["alg"] for k in json.load(answer)["keys"] if k["kid"] == header["kid"]], ["ES384"])
    iam.disable_outbound_web_identity_federation()


def authorization_messages():
    iam.create_user(UserName="b3-mel")
    key = iam.create_access_key(UserName="b3-mel")["AccessKey"]
    try:
        as_session("iam", key).get_role(RoleName="b3-run")
        raise AssertionError("it is not denied")
    except ClientError as e:
        message = e.response["ResponseMetadata"]["HTTPHeaders"]["x-writ-authorization-message"]
    said = json.loads(sts.decode_authorization_message(EncodedMessage=message)["DecodedMessage"])
    same([said["allowed"], said["explicitDeny"], said["context"]["action"]], [False, False, "iam:GetRole"])
    same(said["context"]["principal"]["arn"], f"arn:aws:iam::{ACCOUNT}:user/b3-mel")
    fails("InvalidAuthorizationMessageException", sts.decode_authorization_message, EncodedMessage=message[:-4])
    iam.delete_access_key(UserName="b3-mel", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="b3-mel")


def request_ids():
    """The request id that botocore reports is enough to wait for the change."""
    done = iam.tag_user(UserName="b3-ada", Tags=[{"Key": "waited", "Value": "for"}])["ResponseMetadata"]
    url = f"{os.environ['AWS_ENDPOINT_URL']}/v1/propagation?wait=everywhere&timeout=60s&request_id={done['RequestId']}"
    request = AWSRequest("GET", url)
    SigV4Auth(session.get_credentials(), "writ", session.region_name).add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as answer:
        state = json.load(answer)
    same(state["state"], "everywhere")
    same(str(state["position"]), done["HTTPHeaders"]["x-writ-position"])


def cleanup():
    iam.delete_role(RoleName="b3-run")
    iam.delete_policy(PolicyArn=policy_arn("b3-pol", "/b3/"))
    iam.delete_group(GroupName="b3-dev")
    iam.delete_user(UserName="b3-ada")
    fails("NoSuchEntity", iam.delete_user, UserName="b3-ada")


for part in (users, groups, policies, roles, instance_profiles, service_linked_roles, keys, certificates, passwords,
             devices, attached, account, oidc_providers, saml_providers, settings, properties, role_sessions, other_account, user_sessions, identity_tokens, authorization_messages, reports, delegation, absent, simulate,
             request_ids, cleanup):
    part()
print(json.dumps(sorted(called)))
