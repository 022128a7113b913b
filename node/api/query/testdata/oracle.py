"""Serializes inputs and parses answers as botocore does.

Each line of standard input is {"service", "operation", "input", "xml"}; each line
of standard output is {"body", "output"}.
"""

import base64
import datetime
import json
import sys

import botocore.awsrequest
import botocore.model
import botocore.parsers
import botocore.serialize
import botocore.session


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


session = botocore.session.get_session()
models = {name: session.get_service_model(name) for name in ("iam", "sts")}
newer = botocore.model.ServiceModel(json.load(open("../model/iam-2010-05-08.json")), "iam")  # has operations that botocore may lack
serializer = botocore.serialize.create_serializer("query")
parser = botocore.parsers.create_parser("query")

for line in sys.stdin:
    case = json.loads(line)
    model = models[case["service"]]
    if case["operation"] not in model.operation_names:
        model = newer
    operation = model.operation_model(case["operation"])
    request = serializer.serialize_to_request(case["input"], operation)
    prepared = botocore.awsrequest.AWSRequest(
        method="POST", url="http://localhost/", data=request["body"], headers=request["headers"]
    ).prepare()
    body = prepared.body.decode() if isinstance(prepared.body, bytes) else prepared.body
    answer = {"body": case["xml"].encode(), "headers": {}, "status_code": 200}
    output = parser.parse(answer, operation.output_shape)
    output.pop("ResponseMetadata", None)
    json.dump({"body": body, "output": plain(output)}, sys.stdout)
    print()
