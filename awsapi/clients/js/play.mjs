// Makes calls with the AWS SDK for JavaScript: one in JSON a line on standard input,
// its answer in JSON a line on standard output.
import { createInterface } from "node:readline";
import * as v1 from "@aws-sdk/client-api-gateway";
import * as v2 from "@aws-sdk/client-apigatewayv2";

const settings = { endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 };
const clients = {
  "": [v1, new v1.APIGatewayClient(settings)],
  v2: [v2, new v2.ApiGatewayV2Client(settings)],
};

// typed gives a value the types that JSON does not have.
function typed(v) {
  if (Array.isArray(v)) return v.map(typed);
  if (v === null || typeof v !== "object") return v;
  if ("$bytes" in v) return Buffer.from(v.$bytes);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, typed(x)]));
}

async function answer(call) {
  const [sdk, client] = clients[call.service ?? ""];
  try {
    if (call.paginate) {
      let out = null;
      for await (const page of sdk["paginate" + call.op]({ client, pageSize: 1 }, typed(call.in))) {
        if (out === null) out = page;
        else out.items.push(...(page.items ?? []));
      }
      return { out };
    }
    const out = await client.send(new sdk[call.op + "Command"](typed(call.in ?? {})));
    if (out.body instanceof Uint8Array) out.body = Buffer.from(out.body).toString();
    else if (out.body?.transformToString) out.body = await out.body.transformToString();
    return { out };
  } catch (e) {
    if (!e.$metadata?.httpStatusCode) return { broken: String(e.stack ?? e) };
    return { error: { code: e.name, message: e.message, typed: sdk[e.name] !== undefined && e instanceof sdk[e.name] } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
