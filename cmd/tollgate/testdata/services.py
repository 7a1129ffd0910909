"""Services that recorded sequences need beside the gateway: functions that are run as their
recorded code says, behind the Lambda Invoke API and behind function URLs; an upstream that
answers with what it was sent; and moto's server for SQS, S3, DynamoDB, IAM, STS and logs."""
import base64, http.client, io, json, os, shutil, subprocess, sys, tempfile, threading, uuid, xml.etree.ElementTree, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

os.environ["MOTO_ACCOUNT_ID"] = "000000000000"  # the account of the recordings' ARNs
os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "recorded"
from moto.server import ThreadedMotoServer


def serve(answer):
    """a server on a free port of loopback: answer(method, target, headers, body) gives status, headers and body"""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do(self):
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                body = b""
                while n := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(n)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, out = answer(self.command, self.path, self.headers.items(), body)
            self.send_response_only(status)
            for k, v in {"Date": self.date_time_string(), **headers, "Content-Length": str(len(out))}.items():
                self.send_header(k, v)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(out)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def named(headers):
    """headers as a server that counts names as words shows them: Content-Md5"""
    out = {}
    for k, v in headers:
        k = "-".join(w.capitalize() for w in k.split("-"))
        out[k] = f"{out[k]},{v}" if k in out else v
    return out


def echo(method, target, headers, body):
    """/status/N answers N; all else is answered with what was sent"""
    parts = urlsplit(target)
    status = 200
    if parts.path.startswith("/status/"):
        status = int(parts.path.rsplit("/", 1)[1])
    sent = {"args": dict(parse_qsl(parts.query)), "data": body.decode("utf8", "replace"), "headers": named(headers), "method": method, "url": target}
    return status, {"Content-Type": "application/json"}, json.dumps(sent).encode()


class Functions:
    """Functions by name, run in processes of their own as their runtimes do"""

    def __init__(self):
        self.dirs, self.made = tempfile.mkdtemp(prefix="functions-"), {}
        self.url = serve(self.invoke)

    def create(self, p):
        """CreateFunction"""
        code = os.path.join(self.dirs, uuid.uuid4().hex)
        zipfile.ZipFile(io.BytesIO(base64.b64decode(p["Code"]["ZipFile"]["__b64__"]))).extractall(code)
        arn = "arn:aws:lambda:us-east-1:000000000000:function:" + p["FunctionName"]
        self.made[p["FunctionName"]] = {"code": code, "handler": p["Handler"], "node": p["Runtime"].startswith("nodejs"),
                                        "env": p.get("Environment", {}).get("Variables", {}), "arn": arn}
        return {"FunctionName": p["FunctionName"], "FunctionArn": arn, "State": "Active"}

    def run(self, name, event):
        """what the function answers to the event: JSON, and whether it failed"""
        f = self.made[name]
        module, handler = f["handler"].rsplit(".", 1)
        if f["node"]:
            command = ["node", "-e", f"require({json.dumps(os.path.join(f['code'], module))})[{json.dumps(handler)}](JSON.parse(require('fs').readFileSync(0)),{{}})"
                       ".then(r=>process.stderr.write('\\nresult '+JSON.stringify({result:r===undefined?null:r})))"]
        else:
            command = [sys.executable, "-c", RUN, f["code"], module, handler]
        p = subprocess.run(command, input=json.dumps(event).encode(), capture_output=True, env={"PATH": os.environ["PATH"], **f["env"]}, timeout=20)
        last = p.stderr.decode().rsplit("\nresult ", 1)
        if len(last) != 2:
            raise RuntimeError(p.stderr.decode())
        out = json.loads(last[1])
        if "error" in out:
            return {**out["error"], "requestId": str(uuid.uuid4()), "stackTrace": []}, True
        return out["result"], False

    def invoke(self, method, target, headers, body):
        """the Invoke API; a call must be signed for lambda"""
        sent = {k.lower(): v for k, v in headers}
        if "/lambda/aws4_request" not in sent.get("authorization", "") or "x-amz-date" not in sent:
            return 403, {"x-amzn-ErrorType": "MissingAuthenticationTokenException"}, b'{"message":"Missing Authentication Token"}'
        parts = unquote(urlsplit(target).path).split("/")
        if method != "POST" or parts[:3] != ["", "2015-03-31", "functions"] or parts[-1] != "invocations":
            return 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, b'{"Message":"no such operation"}'
        name = parts[3].split(":function:")[-1].split(":")[0]
        if name not in self.made:
            return 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, json.dumps({"Type": "User", "Message": "Function not found: " + parts[3]}).encode()
        try:
            event = json.loads(body or b"{}")
        except ValueError as e:
            return 400, {"x-amzn-ErrorType": "InvalidRequestContentException"}, json.dumps({"Type": "User", "message": f"Could not parse request body into json: {e}"}).encode()
        if sent.get("x-amz-invocation-type") == "Event":
            return 202, {}, b""
        result, failed = self.run(name, event)
        more = {"X-Amz-Function-Error": "Unhandled"} if failed else {}
        return 200, {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4()), "X-Amz-Executed-Version": "$LATEST", **more}, json.dumps(result).encode()

    def function_url(self, name):
        """CreateFunctionUrlConfig: a server whose calls are events of version 2.0"""

        def answer(method, target, headers, body):
            parts = urlsplit(target)
            sent = {k.lower(): v for k, v in named(headers).items()}
            event = {"version": "2.0", "routeKey": "$default", "rawPath": parts.path, "rawQueryString": parts.query, "headers": sent, "isBase64Encoded": False,
                     "requestContext": {"domainName": sent.get("host", ""), "http": {"method": method, "path": parts.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}}}
            if parts.query:
                args = {}
                for k, v in parse_qsl(parts.query, keep_blank_values=True):
                    args[k] = f"{args[k]},{v}" if k in args else v
                event["queryStringParameters"] = args
            if body:
                event["body"] = body.decode("utf8", "replace")
            result, failed = self.run(name, event)
            if failed:
                return 502, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
            if not isinstance(result, dict) or "statusCode" not in result:
                return 200, {"Content-Type": "application/json"}, json.dumps(result).encode()
            out = result.get("body", "")
            return result["statusCode"], result.get("headers", {}), (out if isinstance(out, str) else json.dumps(out)).encode()

        return serve(answer) + "/"


# The result goes to standard error, where only Python's own warnings are.
RUN = """
import importlib.util, json, os, sys
code, module, handler = sys.argv[1:]
spec = importlib.util.spec_from_file_location(module, os.path.join(code, module + ".py"))
m = importlib.util.module_from_spec(spec)
spec.loader.exec_module(m)
try:
    out = {"result": getattr(m, handler)(json.load(sys.stdin), None)}
    json.dumps(out)
except Exception as e:
    out = {"error": {"errorMessage": str(e), "errorType": type(e).__name__}}
sys.stderr.write("\\nresult " + json.dumps(out))
"""


def tag(e):
    return e.tag.split("}")[-1]


def parsed(e):
    """an element as JSON: its text, or its children by name"""
    return {tag(x): parsed(x) for x in e} if len(e) else e.text or ""


class Services:
    def __init__(self):
        self.functions = Functions()
        self.echo = serve(echo)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        self.moto = f"http://{host}:{port}"
        self.queues = serve(self.sqs)

    def endpoints(self):
        """name=address for each service, with commas"""
        names = ["s3", "dynamodb", "sns", "kinesis", "states", "events", "sts", "iam", "logs", "ssm"]
        return ",".join(["lambda=" + self.functions.url, "sqs=" + self.queues] + [f"{n}={self.moto}" for n in names])

    def sqs(self, method, target, headers, body):
        """SQS in front of moto's: its older protocol answers in JSON to who accepts it, and takes both names of attributes"""
        query = b"Action=" in body
        if query:
            body = body.replace(b"MessageAttributes.", b"MessageAttribute.")
        at = urlsplit(self.moto)
        c = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
        c.request(method, target, body, {k: v for k, v in headers if k.lower() not in ("host", "content-length", "transfer-encoding", "connection")} | {"Host": at.netloc})
        r = c.getresponse()
        status, kind, out = r.status, r.getheader("Content-Type") or "text/xml", r.read()
        c.close()
        if query and "json" in {k.lower(): v for k, v in headers}.get("accept", "") and out.lstrip().startswith(b"<"):
            root = xml.etree.ElementTree.fromstring(out)
            kind, out = "application/json", json.dumps({tag(root): parsed(root)}).encode()
        return status, {"Content-Type": kind, "x-amzn-RequestId": str(uuid.uuid4())}, out

    def close(self):
        shutil.rmtree(self.functions.dirs, ignore_errors=True)
