"""Every operation of the IAM API through boto3's own parser: each refuses input that is wrong, paginators give
whole lists, and waiters end.

Prints a JSON object: the operations that were refused, with the codes.
"""
import json
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MANY = 1500
session = boto3.session.Session()
quick = Config(retries={"mode": "standard", "max_attempts": 3}, parameter_validation=False, max_pool_connections=16)
iam = session.client("iam", config=quick)
stranger = boto3.session.Session(aws_access_key_id=session.get_credentials().access_key, aws_secret_access_key="wrong",
                                 region_name=session.region_name).client("iam", config=quick)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def wrong(shape):
    """A value that no operation takes in place of a member of this shape."""
    if shape.type_name == "list":
        return [wrong(shape.member)] * 600
    if shape.type_name == "structure":
        return {name: wrong(member) for name, member in list(shape.members.items())[:1]}
    if shape.type_name == "map":
        return {}
    return {"integer": -1, "boolean": "maybe", "blob": b"x" * 100_000, "timestamp": "2026-01-02"}.get(shape.type_name, "\u0007☃" * 400)


def refusals():
    refused = {}
    for name in iam.meta.service_model.operation_names:
        operation = iam.meta.service_model.operation_model(name)
        members = operation.input_shape.members if operation.input_shape else {}
        required = operation.input_shape.required_members if operation.input_shape else []
        call = next(m for m, op in iam.meta.method_to_api_mapping.items() if op == name)
        try:
            if members:
                first = (required or list(members))[0]
                getattr(iam, call)(**{first: wrong(members[first])})
            else:
                getattr(stranger, call)()
        except ClientError as e:
            status = e.response["ResponseMetadata"]["HTTPStatusCode"]
            assert 400 <= status < 500, f"{name}: {status} {e}"
            assert e.response["ResponseMetadata"]["RequestId"], f"{name}: no request id"
            refused[name] = e.response["Error"]["Code"]
            continue
        raise AssertionError(f"{name} takes wrong input")
    return refused


def everyone(call, **each):
    """Calls for every one of MANY names, several at a time."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: call(**{k: v % i if "%" in v else v for k, v in each.items()}), range(MANY)))


def paginators():
    everyone(iam.create_user, UserName="many-%04d", Path="/many/")
    everyone(iam.create_role, RoleName="many-%04d", Path="/many/", AssumeRolePolicyDocument=TRUST)
    for operation, key, name in (("list_users", "Users", "UserName"), ("list_roles", "Roles", "RoleName")):
        for prefix in ("/", "/many/"):
            pages = iam.get_paginator(operation).paginate(PathPrefix=prefix)
            got = [i[name] for page in pages for i in page[key] if i[name].startswith("many-")]
            assert sorted(got) == [f"many-{i:04d}" for i in range(MANY)], f"{operation} {prefix}: {len(got)}"
    details = [u for page in iam.get_paginator("get_account_authorization_details").paginate(Filter=["User"]) for u in page["UserDetailList"]]
    assert len([u for u in details if u["UserName"].startswith("many-")]) == MANY, len(details)
    everyone(iam.delete_user, UserName="many-%04d")
    everyone(iam.delete_role, RoleName="many-%04d")


def waiters():
    policy = iam.create_policy(PolicyName="waited", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))["Policy"]["Arn"]
    iam.create_user(UserName="waited")
    iam.create_role(RoleName="waited", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="waited")
    iam.get_waiter("policy_exists").wait(PolicyArn=policy)
    iam.get_waiter("user_exists").wait(UserName="waited")
    iam.get_waiter("role_exists").wait(RoleName="waited")
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="waited")
    iam.delete_instance_profile(InstanceProfileName="waited")
    iam.delete_role(RoleName="waited")
    iam.delete_user(UserName="waited")
    iam.delete_policy(PolicyArn=policy)


before = iam.get_account_summary()["SummaryMap"]
refused = refusals()
assert iam.get_account_summary()["SummaryMap"] == before, "wrong input made a change"
waiters()
paginators()
print(json.dumps(refused))
