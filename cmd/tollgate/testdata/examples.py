"""Runs the documented examples of the AWS CLI against a running installation.

usage: examples.py aws-cli-examples.json

Reads one line of JSON: control (address), key and secret. Each command gets an API with all that the
examples name, made for it; ids in the command become those of what was made. A command passes that ends
well and prints every field, at the top, that its documentation shows. Prints a line of JSON for each
command: the suite, the service and operation, the command's place in its document, and why it failed."""
import contextlib, datetime, io, json, os, re, shlex, sys, tempfile
import boto3, botocore
from botocore.config import Config
from awscli.clidriver import create_clidriver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

examples = json.load(open(sys.argv[1]))
to = json.loads(sys.stdin.readline())
os.environ.update(AWS_ACCESS_KEY_ID=to["key"], AWS_SECRET_ACCESS_KEY=to["secret"], AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
                  AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_PAGER="", AWS_MAX_ATTEMPTS="1")
folder = tempfile.mkdtemp(prefix="examples-")
DOCUMENT = {"swagger": "2.0", "info": {"title": "imported", "version": "1"}, "paths": {"/pets": {"get": {"responses": {"200": {"description": "ok"}},
            "x-amazon-apigateway-integration": {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'}, "responses": {"default": {"statusCode": "200"}}}}}}}
for name, content in {"API_Swagger_template.json": DOCUMENT, "policy.json": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*"}]}}.items():
    json.dump(content, open(os.path.join(folder, name), "w"))


def client(service):
    return boto3.client(service, endpoint_url=to["control"], region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))


c, v2, acm = client("apigateway"), client("apigatewayv2"), client("acm")


def certificate(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False).sign(key, hashes.SHA256()))
    return acm.import_certificate(Certificate=made.public_bytes(serialization.Encoding.PEM), PrivateKey=key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))["CertificateArn"]


NAMES = ["api.domain.tld", "subdomain.domain.tld", "my.domain.tld", "my.private.domain.tld", "api.private.domain.tld", "regional.example.com"]
ARN = certificate(*NAMES)


def method():
    return {"parameters": [{"name": "x", "in": "header", "required": False, "type": "string"}],
            "responses": {"200": {"description": "ok", "schema": {"$ref": "#/definitions/Empty"}, "headers": {"Access-Control-Allow-Origin": {"type": "string"}}}},
            "x-amazon-apigateway-integration": {"type": "http", "httpMethod": "POST", "uri": to["control"] + "/", "requestTemplates": {"application/json": "{}"}, "responses": {"default": {
                "statusCode": "200", "responseParameters": {"method.response.header.Access-Control-Allow-Origin": "'*'"}, "responseTemplates": {"application/json": "{}"}}}}}


API = {"swagger": "2.0", "info": {"title": "MyAPI", "version": "1", "description": "mine"}, "definitions": {"Empty": {"type": "object", "title": "Empty Schema", "description": "nothing"}, "customModel": {"type": "object"}},
       "paths": {"/": {"get": method()}, "/pets": {"get": method(), "post": method()}, "/pets/{petId}": {"get": method()}, "/resourceName": {"get": method()}}}


class World:
    """what the examples name, made for one command; without what the command is to make"""

    def __init__(self, operation, command):
        api = self.api = c.import_rest_api(body=json.dumps(API))["id"]
        at = {r["path"]: r["id"] for r in c.get_resources(restApiId=api)["items"]}
        self.root, self.pets, self.pet, self.other = at["/"], at["/pets"], at["/pets/{petId}"], at["/resourceName"]
        self.authorizer = self.plan = self.key = self.client_certificate = self.link = self.deployment = self.domain_id = self.domain_arn = self.association = self.rule = ""
        if "authorizer" in command:
            self.authorizer = c.create_authorizer(restApiId=api, name="MyAuthorizer", type="TOKEN", identitySource="method.request.header.Authorization", identityValidationExpression=".*", authorizerUri=
                "arn:aws:apigateway:us-west-2:lambda:path/2015-03-31/functions/arn:aws:lambda:us-west-2:123412341234:function:My_Authorizer_Function/invocations")["id"]
        if "deployment" in command or "stage" in command or "base-path" in command or "routing" in command or " get-" in command:
            stages = c.create_deployment(restApiId=api, description="of the stages")["id"]
            for s in ["prod"] if operation == "create-stage" else ["dev", "prod"]:
                c.create_stage(restApiId=api, stageName=s, deploymentId=stages, description="mine", cacheClusterEnabled=True, cacheClusterSize="0.5")
            self.deployment = c.create_deployment(restApiId=api, description="myDeployment")["id"]
        if "usage" in command or "key" in command:
            self.plan = c.create_usage_plan(name="plan", description="mine", quota={"limit": 100, "period": "DAY"}, throttle={"rateLimit": 5, "burstLimit": 5})["id"]
            self.key = c.create_api_key(name="My first key", description="mine", enabled=True)["id"]
            if operation != "create-usage-plan-key":
                c.create_usage_plan_key(usagePlanId=self.plan, keyId=self.key, keyType="API_KEY")
        if "client-certificate" in command:
            self.client_certificate = c.generate_client_certificate(description="mine")["clientCertificateId"]
        if "vpc-link" in command:
            self.link = c.create_vpc_link(name="link", targetArns=["arn:aws:elasticloadbalancing:us-east-1:123412341234:loadbalancer/net/nlb/0"], tags={"made": "here"})["id"]
        if operation == "get-account":
            c.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::123412341234:role/APIGatewayToCloudWatchLogsRole"}])
        self.names = [n for n in NAMES if n in command] if operation != "create-domain-name" else []
        if "access-association" in operation:
            self.names = ["my.private.domain.tld"]
        for n in self.names:
            private = ".private." in n
            more = {"policy": json.dumps({"Version": "2012-10-17", "Statement": []})} if private else {}
            if "routing" in operation:
                more["routingMode"] = "ROUTING_RULE_THEN_BASE_PATH_MAPPING"
            kind = "PRIVATE" if private else "REGIONAL" if n.startswith("regional.") else "EDGE"
            if kind == "EDGE":
                more["certificateName"] = "mine"
            d = c.create_domain_name(domainName=n, endpointConfiguration={"types": [kind]}, **{"regionalCertificateArn" if kind == "REGIONAL" else "certificateArn": ARN}, **more)
            if private:
                self.domain_id, self.domain_arn = d["domainNameId"], d["domainNameArn"]
        if self.domain_arn and "association" in operation and operation != "create-domain-name-access-association":
            self.association = c.create_domain_name_access_association(domainNameArn=self.domain_arn, accessAssociationSource="vpce-abcd1234efg",
                                                                       accessAssociationSourceType="VPCE")["domainNameAccessAssociationArn"]
        if "base-path" in operation:
            for base, stage in {"api.domain.tld": [("dev", "dev"), ("prod", "prod")], "subdomain.domain.tld": [("(none)", "prod"), ("v1", "prod")]}[self.names[0]]:
                if not (operation == "create-base-path-mapping" and base == "v1"):
                    c.create_base_path_mapping(domainName=self.names[0], basePath=base, restApiId=self.api, stage=stage)
        if "routing" in operation:
            self.rule = v2.create_routing_rule(DomainName="regional.example.com", Priority=50, Conditions=[{"MatchBasePaths": {"AnyOf": ["PROD"]}}],
                                               Actions=[{"InvokeApi": {"ApiId": self.api, "Stage": "prod"}}])["RoutingRuleId"]

    def own(self, args):
        """a command's words with what was made in place of the ids"""
        resources = {"avl5sg8fw8": self.root, "3gapai": self.pet, "1a2b3c": self.other}
        ids = {"--rest-api-id": self.api, "--clone-from": self.api, "--parent-id": self.root, "--deployment-id": self.deployment, "--authorizer-id": self.authorizer,
               "--usage-plan-id": self.plan, "--key-id": self.key, "--api-key": self.key, "--client-certificate-id": self.client_certificate, "--vpc-link-id": self.link,
               "--certificate-arn": ARN, "--domain-name-id": self.domain_id, "--domain-name-arn": self.domain_arn, "--domain-name-access-association-arn": self.association,
               "--routing-rule-id": self.rule}
        out = []
        for i, a in enumerate(args):
            before = args[i - 1] if i else ""
            if before == "--resource-id":
                a = resources.get(a, self.pets)
            elif before in ids:
                a = ids[before]
            a = re.sub(r"^(fileb?://)?/path/to/", lambda m: (m[1] or "") + folder + "/", a)
            a = a.replace("file://policy.json", "file://" + folder + "/policy.json")
            for was, is_ in {"a1b2c3d4e5": self.api, "e4f5g6": self.authorizer, "3c2b1a": self.pets, "abcd1234": self.domain_id or "abcd1234"}.items():
                a = re.sub(r"\b" + was + r"\b", is_, a)
            a = re.sub(r"arn:aws:acm:[^:]+:\d+:certificate/[\w-]+", ARN, a)
            out.append(a)
        return out

    def close(self):
        """deletes the names, of which there is one each"""
        with contextlib.suppress(botocore.exceptions.ClientError):
            for x in c.get_domain_name_access_associations().get("items", []):
                c.delete_domain_name_access_association(domainNameAccessAssociationArn=x["domainNameAccessAssociationArn"])
        for d in c.get_domain_names()["items"]:
            private = {"domainNameId": d["domainNameId"]} if "PRIVATE" in d["endpointConfiguration"]["types"] else {}
            with contextlib.suppress(botocore.exceptions.ClientError):
                for m in c.get_base_path_mappings(domainName=d["domainName"], **private).get("items", []):
                    c.delete_base_path_mapping(domainName=d["domainName"], basePath=m["basePath"], **private)
                for r in ([] if private else v2.list_routing_rules(DomainName=d["domainName"]).get("RoutingRules", [])):
                    v2.delete_routing_rule(DomainName=d["domainName"], RoutingRuleId=r["RoutingRuleId"])
            c.delete_domain_name(domainName=d["domainName"], **private)


def commands(document):
    """the commands of a document, each with the output shown below it, or None"""
    lines, out = document.split("\n"), []
    i = 0
    while i < len(lines):
        if not re.match(r"\s+aws [a-z0-9]+ ", lines[i]):
            i += 1
            continue
        text = lines[i].strip()
        while (text.endswith("\\") or text.count("'") % 2) and i + 1 < len(lines):
            i += 1
            text = (text[:-1] if text.endswith("\\") else text) + " " + lines[i].strip()
        i += 1
        shown = "\n".join(lines[i:])
        shown = re.split(r"\n\s+aws [a-z0-9]+ ", shown)[0]
        m = re.search(r"Output::\n(.*)", shown, re.S)
        printed = None
        if m:
            with contextlib.suppress(ValueError):
                printed = json.JSONDecoder().raw_decode(m[1][m[1].index("{"):])[0]
        out.append((text, printed))
    return out


def run(args):
    """a command's exit code and what it printed"""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = create_clidriver().main(args)
        except SystemExit as e:
            code = e.code
    return code, out.getvalue(), err.getvalue()


def play(operation, command, printed):
    world = World(operation, command)
    try:
        code, out, err = run(world.own(shlex.split(command)[1:]) + ["--endpoint-url", to["control"]])
        if code:
            return f"exit code {code}: {err.strip()[-300:]}"
        if isinstance(printed, dict) and out.strip():
            got = json.loads(out)
            if missing := [k for k in printed if k not in got]:
                return f"not printed: {', '.join(missing)}"
    finally:
        if world.names or operation == "create-domain-name":
            world.close()


for e in examples:
    ours = e["service"] == "apigateway" or "routing-rule" in e["op"]
    found = commands(e["rst"])
    for i, (command, printed) in enumerate(found or [("", None)]):
        why = "the document has no command"
        if not ours:
            why = "not played: the operation is not served"
        elif command:
            try:
                why = play(e["op"], command, printed)
            except Exception as e:  # of the calls that make what the command needs
                why = repr(e)
        print(json.dumps({"suite": "examples", "sequence": f"{e['service']} {e['op']}", "case": str(i + 1), "why": why}), flush=True)
