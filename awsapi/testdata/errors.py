"""Plays recorded sequences with boto3 and says which recorded errors were answered.

usage: errors.py ENDPOINT FOLDER ACCESS_KEY SECRET_KEY

Prints a line for each error of errors-recorded.json: "ok" or "missed", the operation and
the message, and for a missed one the errors that the operation answered instead."""
import json, re, sys
import boto3, botocore
from botocore.config import Config

endpoint, folder, key, secret = sys.argv[1:]
errors = json.load(open(folder + "/errors-recorded.json"))
sequences = json.load(open(folder + "/control-plane-recorded.json"))
clients = {}


def client(service):
    if service not in clients:
        clients[service] = boto3.client(
            service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
    return clients[service]


def plain(v):
    """v as JSON has it"""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if hasattr(v, "read"):
        return plain(v.read())
    return v.decode("utf8", "replace") if isinstance(v, bytes) else v


def field(v, path):
    for t in re.findall(r"[^.\[\]]+|\[\d+\]", path):
        v = v[int(t[1:-1])] if t[0] == "[" else v[t]
    return v


def filled(v, results):
    """v with the answers of earlier steps, and with what the recording leaves out for its length"""
    if isinstance(v, dict):
        return {filled(k, results): filled(x, results) for k, x in v.items()}
    if isinstance(v, list):
        return [filled(x, results) for x in v]
    if not isinstance(v, str):
        return v
    if m := re.fullmatch(r"<(\d+) bytes omitted>", v):
        return "x" * int(m[1])

    def answer(m):
        try:
            return str(field(results[int(m[1])], m[2]))
        except (KeyError, IndexError, TypeError):
            return "UNRESOLVED"
    return re.sub(r"\{\{step(\d+):([^}]+)\}\}", answer, v)


def play(steps):
    """the errors that the steps answer: (operation, status, code, message)"""
    results, answered, made = {}, [], []
    for i, step in enumerate(steps):
        if "call" not in step:
            continue
        service, operation = step["call"].split(".")
        try:
            r = getattr(client(service), botocore.xform_name(operation))(**filled(step["params"], results))
            results[i] = plain(r)
            if operation in ("CreateRestApi", "ImportRestApi"):
                made.append(r["id"])
        except botocore.exceptions.ClientError as e:
            results[i] = e.response
            answered.append((step["call"], e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"], e.response["Error"]["Message"]))
        except Exception as e:  # of the client: a call that cannot be sent
            results[i] = {"exception": repr(e)}
    for api in made:
        try:
            client("apigateway").delete_rest_api(restApiId=api)
        except botocore.exceptions.ClientError:
            pass
    return answered


def same(recorded, answered):
    parts = re.split(r"<[a-zA-Z][\w -]*(?::\d+)?>", recorded)
    # 111111111111 stands for the account
    return re.fullmatch(".+?".join(map(re.escape, parts)).replace("1" * 12, r"\d{12}"), answered, re.S)


played = {}
for e in errors:
    if e["test"] not in played:
        played[e["test"]] = play(sequences[e["test"]]["steps"])
    of = [a for a in played[e["test"]] if a[0] == e["op"]]
    if any(a[1] == e["http"] and a[2] == e["code"] and same(e["message"], a[3]) for a in of):
        print("ok", e["op"], e["message"])
    else:
        print("missed", e["op"], e["http"], e["code"], e["message"], "| answered:", of)
