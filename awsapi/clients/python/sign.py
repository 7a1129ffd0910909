"""Makes calls of an API with botocore's signatures: one in JSON a line on standard input, its answer in JSON a line on standard output."""
import json
import os
import sys
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

key = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
for line in sys.stdin:
    call = json.loads(line)
    body = call["Body"].encode()
    request = AWSRequest(method=call["Method"], url=call["URL"], data=body)
    if call["Presign"]:
        SigV4QueryAuth(key, "execute-api", os.environ["AWS_REGION"], expires=60).add_auth(request)
    else:
        SigV4Auth(key, "execute-api", os.environ["AWS_REGION"]).add_auth(request)
    sent = urllib.request.Request(request.url, data=body or None, headers=dict(request.headers), method=call["Method"])
    try:
        with urllib.request.urlopen(sent) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as e:
        status, text = e.code, e.read()
    print(json.dumps({"status": status, "body": text.decode()}), flush=True)
