"""Makes calls with boto3: one in JSON a line on standard input, its answer in JSON a line on standard output."""
import datetime
import json
import sys

import boto3
import botocore
from botocore.config import Config

clients = {
    name: boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
    for name, service in (("", "apigateway"), ("v2", "apigatewayv2"))
}


def typed(v):
    """what JSON has no type for"""
    if isinstance(v, dict):
        return v["$bytes"].encode() if set(v) == {"$bytes"} else {k: typed(x) for k, x in v.items()}
    return [typed(x) for x in v] if isinstance(v, list) else v


def plain(v):
    if isinstance(v, datetime.datetime):
        return v.isoformat()
    if hasattr(v, "read"):
        v = v.read()
    return v.decode("utf8", "replace") if isinstance(v, bytes) else str(v)


for line in sys.stdin:
    call = json.loads(line)
    client = clients[call.get("service", "")]
    operation = botocore.xform_name(call["op"])
    try:
        if call.get("paginate"):
            out = client.get_paginator(operation).paginate(**typed(call["in"]), PaginationConfig={"PageSize": 1}).build_full_result()
        else:
            out = getattr(client, operation)(**typed(call.get("in", {})))
        answer = {"out": out}
    except botocore.exceptions.ClientError as e:
        code = e.response["Error"]["Code"]
        known = getattr(client.exceptions, code, None) if code.isidentifier() else None
        answer = {"error": {"code": code, "message": e.response["Error"]["Message"], "typed": known is not None and isinstance(e, known)}}
    except Exception as e:
        answer = {"broken": repr(e)}
    print(json.dumps(answer, default=plain), flush=True)
