"""Sends signed requests to the URL given, as botocore signs them, and prints the
status of each answer."""

import sys
import urllib.error
import urllib.request

import boto3
import botocore.client
import botocore.exceptions

endpoint = sys.argv[1]
for token in (None, "FwoGZXIvYXdzEB//token+/="):
    session = boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token, "eu-central-1")
    config = botocore.client.Config(retries={"max_attempts": 0})
    for path in ("", "/", "/iam", "/a%20b/c"):
        sts = session.client("sts", endpoint_url=endpoint + path, config=config)
        try:
            sts.get_caller_identity()
        except botocore.exceptions.ClientError as e:
            print("header", path, e.response["ResponseMetadata"]["HTTPStatusCode"], e)
        else:
            print("header", path, 200)
        for method in ("GET", "POST"):
            url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod=method)
            try:
                status = urllib.request.urlopen(urllib.request.Request(url, method=method)).status
            except urllib.error.HTTPError as e:
                status = f"{e.code} {e.read()}"
            print("presigned", method, path, status)
