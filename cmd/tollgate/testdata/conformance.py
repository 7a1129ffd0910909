"""Plays recorded sequences against a running installation and compares its answers with the recorded ones.

usage: conformance.py control-plane-recorded.json

Starts the services that the sequences need and prints one line of JSON with their endpoints; then
reads one line of JSON: control and gateway (addresses), key and secret (of an account that has nothing).
Prints a line of JSON for each case: the suite (answers: a recorded answer; calls: a call without one, of
which only the status is known), the sequence, the name of the case, and why it failed, if it did."""
import base64, datetime, http.client, json, logging, re, sys, time, traceback, xml.etree.ElementTree
from urllib.parse import urlencode, urlsplit
import boto3, botocore
from botocore.config import Config
from services import Services

logging.getLogger("werkzeug").setLevel(logging.ERROR)

# A part of a recorded answer that stands for any value: <id:1> is the same one wherever it appears in a
# sequence, <Date> any.
ANY = re.compile(r"<[A-Za-z][\w -]*(?::\d+)?>")
ACCOUNT = "1" * 12
TIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC \d{4}")

# Of these a recording has no more than the word.
WORDS = {"datetime", "date", "request-time-epoch"}

# A sequence that refers to members of a list by their place in the list of another run: the place in
# the recorded list of each of them.
ORDER = {
    ("test_import_with_global_api_key_authorizer", 1): [0, 3, 1, 2],
}

# Calls without a recorded answer whose status at the time of the recording was not the one that was waited
# for (they were repeated until the recorder gave up), and which is not 200.
WANTED = {
    ("test_lambda_selection_patterns", 19): 405,
}


class Answer(dict):
    """of an HTTP call: status, headers (a list of names and values), body (bytes)"""

    def text(self):
        return self["body"].decode("utf8", "replace")

    def json(self):
        try:
            return json.loads(self["body"])
        except ValueError:
            return self.text()

    def header(self, name):
        return next((v for k, v in self["headers"] if k.lower() == name.lower()), None)

    def named(self):
        # the length of a body with names of hosts in it is another one
        return {k.lower(): v for k, v in self["headers"] if k.lower() != "content-length"}


def plain(v):
    """what boto3 answers, as JSON has it"""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, datetime.datetime):
        return v.isoformat()
    if hasattr(v, "read"):
        v = v.read()
    if isinstance(v, bytes):
        try:
            v = v.decode()
        except UnicodeDecodeError:
            return str(v)
    return v


def field(v, path):
    for t in re.findall(r"[^.\[\]]+|\[\d+\]", path):
        v = v[int(t[1:-1])] if t[0] == "[" else v[t]
    return v


def same(want, got, bound, where="answer"):
    """None if got is what was recorded, else where and how it differs"""
    if isinstance(want, str):
        if want in WORDS:
            return None if got and (want != "datetime" or re.match(r"\d{4}-\d\d-\d\d", str(got))) else f"{where}: a {want} is {got!r}"
        if isinstance(got, (dict, list)):
            try:
                return same(json.loads(want), got, bound, where)
            except ValueError:
                return f"{where}: {want!r} is {json.dumps(got)[:300]}"
        pattern, names, last = "", [], 0
        for m in ANY.finditer(want):
            pattern += re.escape(want[last:m.start()]) + "(.+?)"
            names.append(m[0])
            last = m.end()
        pattern += re.escape(want[last:])
        pattern = pattern.replace(ACCOUNT, r"\d{12}").replace("_date\\.", "_[^.]+\\.")
        m = re.fullmatch(pattern, str(got) if got is not None else "", re.S)
        if not m:
            return f"{where}: {want!r} is {got!r}"
        for n, v in zip(names, m.groups()):
            if ":" in n and bound.setdefault(n, v) != v:
                return f"{where}: {n} was {bound[n]!r} and is {v!r}"
        return None
    if isinstance(want, (dict, list)) and isinstance(got, str):
        try:
            got = json.loads(got)
        except ValueError:
            pass
    if isinstance(want, dict):
        if isinstance(got, str) and "line00" in want:  # a log, of which times are left out
            got = {f"line{i:02}": TIME.sub("DDD MMM dd hh:mm:ss UTC yyyy", l) for i, l in enumerate(got.split("\n"))}
        if not isinstance(got, dict):
            return f"{where}: an object is {got!r}"
        for k, w in want.items():
            if ANY.search(k):
                continue
            if k not in got:
                return f"{where}.{k}: {w!r} is missing"
            if d := same(w, got[k], bound, f"{where}.{k}"):
                return d
        if not any(ANY.search(k) for k in want):
            for k in got:
                if k not in want:
                    return f"{where}.{k}: {got[k]!r} is more than was recorded"
        return None
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"{where}: {len(want)} members are {got!r}"
        for i, (w, g) in enumerate(zip(want, got)):
            if d := same(w, g, bound, f"{where}[{i}]"):
                return d
        return None
    return None if want == got and isinstance(want, bool) == isinstance(got, bool) else f"{where}: {want!r} is {got!r}"


def lower(v):
    """v with the names of HTTP headers, which are alike in any case, in small letters and without the length"""
    return {k.lower(): x for k, x in v.items() if k.lower() != "content-length"}


class Sequence:
    def __init__(self, name, recorded, services, to):
        self.name, self.steps, self.services, self.to = name.split("::", 1)[1], recorded["steps"], services, to
        self.short = re.sub(r"\[.*", "", self.name.split("::")[-1])
        self.results, self.bound, self.apis, self.cases, self.function_url, self.failed = {}, {}, [], [], "", set()
        self.clients = {}

    def client(self, service):
        if service not in self.clients:
            ours = service == "apigateway"
            self.clients[service] = boto3.client(
                service, endpoint_url=self.to["control"] if ours else self.services.moto, region_name="us-east-1",
                aws_access_key_id=self.to["key"] if ours else "recorded", aws_secret_access_key=self.to["secret"] if ours else "recorded",
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=30))
        return self.clients[service]

    def filled(self, v):
        """v with answers of earlier steps, with the addresses of this run, and with what the recording leaves out for its length"""
        if isinstance(v, dict):
            if set(v) == {"__b64__"}:
                return base64.b64decode(v["__b64__"])
            return {k if "{{" not in k else self.filled(k): self.filled(x) for k, x in v.items()}
        if isinstance(v, list):
            return [self.filled(x) for x in v]
        if not isinstance(v, str):
            return v
        if m := re.fullmatch(r"<(\d+) bytes omitted>", v):
            return "x" * int(m[1])
        v = re.sub(r"\{\{step(\d+):([^}]+)\}\}", self.earlier, v)
        v = re.sub(r"http://[a-z0-9]+\.lambda-url\.us-east-1\.localhost\.localstack\.cloud:4566/", lambda m: self.function_url, v)
        v = re.sub(r"arn:aws:iam::000000000000:role/role-[0-9a-f]+", "arn:aws:iam::000000000000:role/recorded", v)
        v = v.replace("http://sqs.us-east-1.localhost.localstack.cloud:4566", self.services.moto)
        return re.sub(r"http://localhost:37887", self.services.echo, v)

    def earlier(self, m):
        step, path = int(m[1]), m[2]
        if order := ORDER.get((self.short, step)):
            path = re.sub(r"^items\[(\d+)\]", lambda i: f"items[{order[int(i[1])]}]", path)
        try:
            return str(field(self.results[step], path))
        except (KeyError, IndexError, TypeError):
            return "UNRESOLVED"

    def call(self, operation, params):
        service, operation = operation.split(".")
        if service == "lambda":
            if operation == "CreateFunction":
                return 201, self.services.functions.create(params)
            if operation == "CreateFunctionUrlConfig":
                self.function_url = self.services.functions.function_url(params["FunctionName"])
            return 200, {}
        params = self.filled(params)
        if operation == "PutIntegration":
            for bucket in re.findall(r":s3:path/(test-bucket-[a-z0-9]+)/", params.get("uri", "")):
                self.client("s3").create_bucket(Bucket=bucket)  # it was there before the recording began
        try:
            r = plain(getattr(self.client(service), botocore.xform_name(operation))(**params))
            if operation in ("CreateRestApi", "ImportRestApi") and "id" in r:
                self.apis.append(r["id"])
        except botocore.exceptions.ClientError as e:
            r = plain(e.response)
        status = r.get("ResponseMetadata", {}).get("HTTPStatusCode")
        r["ResponseMetadata"] = {"HTTPHeaders": {}, "HTTPStatusCode": status}
        return status, r

    def http(self, step):
        """an HTTP call as python-requests sends it, which made the recorded ones"""
        url = self.filled(step["url"])
        gateway = urlsplit(self.to["gateway"])
        if m := re.match(r"http://([a-z0-9]+)\.execute-api\.<HOST>(.*)", url):
            host, path = f"{m[1]}.execute-api.{gateway.netloc}", m[2]
        elif m := re.match(r"<BASE>/(?:restapis/([^/]+)/([^/]+)/_user_request_|_aws/execute-api/([^/]+)/([^/]+))(.*)", url):
            host, path = gateway.netloc, f"/_aws/execute-api/{m[1] or m[3]}/{m[2] or m[4]}{m[5]}"
        else:
            raise ValueError("no address of an API: " + url)
        if step.get("params"):
            path += "?" + urlencode(self.filled(step["params"]))
        body, headers = None, {"User-Agent": "python-requests/2.32", "Accept-Encoding": "gzip, deflate", "Accept": "*/*"}
        if "json" in step:
            body, headers["Content-Type"] = json.dumps(self.filled(step["json"])).encode(), "application/json"
        elif "data" in step:
            body = self.filled(step["data"])
            body = body.encode() if isinstance(body, str) else body
        given = self.filled(step.get("headers", {}))
        headers = {k: v for k, v in headers.items() if k.lower() not in {g.lower() for g in given}} | given
        chunked = headers.get("Transfer-Encoding") == "chunked"
        if not chunked and (body is not None or step["http"] not in ("GET", "HEAD", "OPTIONS")):
            headers["Content-Length"] = str(len(body or b""))
        c = http.client.HTTPConnection(gateway.hostname, gateway.port, timeout=40)
        c.putrequest(step["http"], path, skip_host=True, skip_accept_encoding=True)
        c.putheader("Host", host)
        for k, v in headers.items():
            c.putheader(k, v)
        c.endheaders()
        if chunked:
            c.send(b"0\r\n\r\n")
        elif body:
            c.send(body)
        r = c.getresponse()
        a = Answer(status=r.status, headers=r.getheaders(), body=r.read())
        c.close()
        return a

    def derived(self, name, last):
        """the object that the recorder made of the sequence's answers under this name"""
        s = self.short
        if name in ("api_id", "apigw-id"):
            return {"rest_api_id": self.apis[-1]} if name == "api_id" else self.apis[-1]
        if name == "register-lambda":
            f = list(self.services.functions.made.items())[-1]
            return {"fn_name": f[0], "fn_arn": f[1]["arn"]}
        if s == "test_sqs_amz_json_protocol":
            return self.messages()
        if name == "sqs-message-body":
            return self.messages()[0]["Body"]
        if name == "sqs-message-attributes":
            return {k: {x: y for x, y in v.items() if x != "BinaryValue"} for k, v in self.messages()[0]["MessageAttributes"].items()}
        if name in ("not-found", "wrong-method"):
            return {"content": last.json(), "errorType": last.header("x-amzn-errortype")}
        if name in ("matching-response", "non-matching-response"):
            return {"body": last.json(), "status_code": last["status"]}
        if s.startswith("test_apigateway_header_remapping"):
            if last["status"] == 200:
                sent = last.json()
                return {"body": sent.get("data", sent.get("body")), "headers": lower(sent.get("headers", {})), "response-headers": last.named()}
            return {"body": last.text(), "response-headers": last.named()}
        if name == "get-object-empty":
            root = xml.etree.ElementTree.fromstring(last.text())
            return {root.tag: {e.tag: e.text for e in root}}
        return last.json()

    def here(self, v):
        """what was recorded, with the address of this installation's gateway in place of the service's"""
        return json.loads(json.dumps(v).replace("https://<api-id:1>.execute-api.<region>.amazonaws.com", "http://<api-id:1>.execute-api.localhost:%d" % urlsplit(self.to["gateway"]).port))

    def messages(self):
        got = [r for i, r in self.results.items() if self.steps[i].get("call") == "sqs.ReceiveMessage"][-1]
        return got.get("Messages", [])

    def case(self, suite, name, why):
        print(json.dumps({"suite": suite, "sequence": self.name, "case": name, "why": why}), flush=True)

    def wanted(self, i):
        """the status of a step: the functions of the recorded sequences were not run at that time"""
        return WANTED.get((self.short, i)) or (200 if self.steps[i]["localstack_status"] >= 500 else self.steps[i]["localstack_status"])

    def play(self):
        changed = False
        last, answered = None, {s["of_step"] for s in self.steps if "expect" in s and s["of_step"] is not None}
        for i, s in enumerate(self.steps):
            if "call" in s or "http" in s:
                before = self.steps[i - 1] if i else {}
                if "http" in s and s == before:
                    self.results[i] = last  # it was repeated until the answer was the one waited for
                    continue
                try:
                    if "call" in s:
                        status, self.results[i] = self.call(s["call"], s["params"])
                        changed = changed or re.search("ApiKey|UsagePlan", s["call"])  # nodes hear of it a moment later
                        what = s["call"]
                    else:
                        last = self.results[i] = self.http(s)
                        until = time.monotonic() + (20 if changed else 0)
                        while last["status"] != self.wanted(i) and time.monotonic() < until:
                            time.sleep(0.02)
                            last = self.results[i] = self.http(s)
                        status, what = last["status"], f"{s['http']} {s['url'].split('>', 1)[1]}"
                except Exception as e:
                    status, self.results[i], what = repr(e), {}, s.get("call", s.get("http"))
                follows = self.steps[i + 1] if i + 1 < len(self.steps) else {}
                ours = s.get("call", "apigateway.").startswith("apigateway.")
                if i in answered or not ours or "http" in s and "expect" in follows:
                    continue
                want = self.wanted(i)
                said = self.results[i]
                said = said.text() if isinstance(said, Answer) else json.dumps(said.get("Error", {}))
                self.case("calls", f"{i} {what}", None if status == want else f"status {want} is {status}: {said[:300]}")
            elif s["aws"] is not None:
                try:
                    got = self.results.get(s["of_step"], {}) if s["of_step"] is not None else self.derived(s["expect"], last)
                    want = self.here(s["aws"])
                    if isinstance(want, dict) and "response-headers" in want:
                        want = {k: lower(v) if k.endswith("headers") else v for k, v in want.items()}
                    why = same(want, got.json() if isinstance(got, Answer) else got, self.bound)
                except Exception:
                    why = traceback.format_exc(limit=-1).strip().replace("\n", " ")
                self.case("answers", s["expect"], why)
        self.clean()

    def clean(self):
        """leaves the account as it was: sequences list what there is"""
        c = self.client("apigateway")
        left = [(c.delete_rest_api, {"restApiId": a}) for a in self.apis]
        left += [(c.delete_usage_plan, {"usagePlanId": x["id"]}) for x in c.get_usage_plans()["items"]]
        left += [(c.delete_api_key, {"apiKey": x["id"]}) for x in c.get_api_keys()["items"]]
        left += [(c.delete_domain_name, {"domainName": x["domainName"]}) for x in c.get_domain_names()["items"]]
        for delete, what in left:
            try:
                delete(**what)
            except botocore.exceptions.ClientError:
                pass


recorded = json.load(open(sys.argv[1]))
services = Services()
try:
    print(json.dumps({"endpoints": services.endpoints()}), flush=True)
    to = json.loads(sys.stdin.readline())
    for name, sequence in recorded.items():
        Sequence(name, sequence, services, to).play()
finally:
    services.close()
