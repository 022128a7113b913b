#!/usr/bin/env python3
"""May a principal do this? Asks a node, signed by botocore with the caller's credentials as the
AWS SDKs find them:

    WRIT_ENDPOINT=http://127.0.0.1:8420 ./ask.py arn:aws:iam::123456789012:user/alice s3:GetObject arn:aws:s3:::bucket/key

It prints the decision, and exits 0 for allow alone.
"""
import json
import os
import sys
import urllib.error
import urllib.request

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


def ask(endpoint, principal, action, resource, context=None):
    """Returns the answer of POST /v1/authorize: decision, position, freshness and more."""
    question = {"principal": principal, "action": action, "resource": resource, "context": context or {}}
    request = AWSRequest("POST", endpoint + "/v1/authorize", data=json.dumps(question), headers={"Content-Type": "application/json"})
    SigV4Auth(botocore.session.get_session().get_credentials(), "writ", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, request.data.encode(), dict(request.headers.items()))
    with urllib.request.urlopen(sent, timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    try:
        told = ask(os.environ["WRIT_ENDPOINT"], *sys.argv[1:4])
    except urllib.error.HTTPError as refused:
        sys.exit(refused.read().decode())
    print(told["decision"])
    sys.exit(told["decision"] != "allow")
