"""Runs on a web identity: boto3 gets credentials for the token in a file by itself, and anew
before they end, for the token that the file has then.

Prints the ARN of the session and the access keys that it had, as JSON. Between the two it
writes "next" and waits for a line, so that the token can be replaced.
"""
import datetime
import json
import sys

import boto3
import botocore.credentials

session = boto3.session.Session()
sts = session.client("sts")
keys, arns = [], []


def call():
    arns.append(sts.get_caller_identity()["Arn"])
    keys.append(session.get_credentials().get_frozen_credentials().access_key)


call()
call()
print("next", flush=True)
sys.stdin.readline()
now = botocore.credentials._local_now  # of the credentials' end alone: requests are signed by the machine's clock
later = lambda: now() + datetime.timedelta(minutes=55)
session.get_credentials()._time_fetcher = botocore.credentials._local_now = later
call()
print(json.dumps({"arns": arns, "keys": keys}))
