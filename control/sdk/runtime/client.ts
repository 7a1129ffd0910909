/** What an API answered instead of what was asked for. */
export class ApiError extends Error {
  /** The status of the answer. */
  readonly status: number;
  /** What to name when asking whoever runs the API; empty if the answer has none. */
  readonly requestId: string;
  readonly headers: Headers;
  /** The body: a value of JSON, a text, bytes, or undefined if it is empty. */
  readonly body: unknown;

  constructor(status: number, headers: Headers, body: unknown, message?: string) {
    const said = message ?? (typeof body === "object" && body !== null ? (body as { message?: unknown }).message : undefined);
    super(typeof said === "string" && said !== "" ? `${status}: ${said}` : `the API answered with status ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.requestId = headers.get("x-amzn-requestid") ?? "";
    this.headers = headers;
    this.body = body;
  }
}

export interface Options {
  /** Where the API is, if not where this client was made for. */
  baseUrl?: string;
  /** Sent in the header x-api-key. */
  apiKey?: string;
  /** Sent in the header Authorization, after the word Bearer. */
  bearerToken?: string;
  /** Sent with every call. */
  headers?: Record<string, string>;
  /** Milliseconds a call may take, the answer's body included; 0: as long as it takes. 30,000 if not given. */
  timeout?: number;
  /** Makes the calls; the runtime's own if not given. */
  fetch?: typeof fetch;
}

/** What one call has of its own. */
export interface RequestOptions {
  headers?: Record<string, string>;
  query?: Record<string, Value | undefined>;
  timeout?: number;
  signal?: AbortSignal;
}

/** What can be sent as a parameter; a list is sent as the parameter several times. */
export type Value = string | number | boolean | ReadonlyArray<string | number | boolean>;

/** An answer as it came. */
export interface ApiResponse {
  status: number;
  headers: Headers;
  /** A value of JSON, a text, bytes, or undefined if it is empty. */
  body: any;
}

type Parameter = [name: string, value: unknown, required?: boolean];

interface Call {
  query?: Parameter[];
  headers?: Parameter[];
  json?: unknown;
  data?: unknown;
  contentType?: string;
}

function given(name: string, value: unknown, required?: boolean): string[] {
  if (value === undefined || value === null) {
    if (required) throw new TypeError(`the parameter ${name} is missing`);
    return [];
  }
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

function segment(name: string, value: unknown, greedy = false): string {
  const text = value === undefined || value === null ? "" : String(value);
  const parts = greedy ? text.split("/") : [text];
  // What stands for another path would call another operation.
  if (text === "" || parts.some((p) => p === "." || p === "..")) {
    throw new TypeError(`the parameter ${name} must not be empty, and no part of it may be . or ..`);
  }
  return parts.map(encodeURIComponent).join("/");
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "string";
  if (Array.isArray(value)) return true;
  const of = Object.getPrototypeOf(value);
  return of === null || of === Object.prototype;
}

class Base {
  private readonly baseUrl: string;
  private readonly headers: Record<string, string>;
  private readonly timeout: number;
  private readonly fetch: typeof fetch;

  constructor(options: Options) {
    this.baseUrl = (options.baseUrl || BASE_URL).replace(/\/+$/, "");
    this.headers = { ...options.headers };
    if (options.apiKey) this.headers["x-api-key"] = options.apiKey;
    if (options.bearerToken) this.headers["authorization"] = `Bearer ${options.bearerToken}`;
    this.timeout = options.timeout ?? 30_000;
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Makes any call of the API. path is as it is sent, below the stage. Throws an ApiError for all but success. */
  async send(method: string, path: string, call: Call = {}, options: RequestOptions = {}): Promise<ApiResponse> {
    const query = new URLSearchParams();
    for (const [name, value, required] of [...(call.query ?? []), ...(Object.entries(options.query ?? {}) as Parameter[])]) {
      for (const one of given(name, value, required)) query.append(name, one);
    }
    const headers = new Headers(this.headers);
    headers.set("accept", headers.get("accept") ?? "application/json, */*;q=0.5");
    for (const [name, value, required] of [...(call.headers ?? []), ...(Object.entries(options.headers ?? {}) as Parameter[])]) {
      const all = given(name, value, required);
      if (all.length > 0) headers.set(name, all.join(","));
    }
    let body: any = undefined;
    if (call.json !== undefined) {
      body = JSON.stringify(call.json);
      if (!headers.has("content-type")) headers.set("content-type", call.contentType ?? "application/json");
    } else if (call.data !== undefined) {
      const plain = isPlain(call.data);
      body = plain ? JSON.stringify(call.data) : call.data;
      const type = call.contentType ?? (plain ? "application/json" : undefined);
      if (type !== undefined && !headers.has("content-type")) headers.set("content-type", type);
    }
    const signals: AbortSignal[] = options.signal ? [options.signal] : [];
    const timeout = options.timeout ?? this.timeout;
    if (timeout > 0) signals.push(AbortSignal.timeout(timeout));
    const text = query.toString();
    const res = await this.fetch(this.baseUrl + path + (text === "" ? "" : "?" + text), {
      method,
      headers,
      body,
      // A key is not sent to where an answer points.
      redirect: "manual",
      signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
    });
    const bytes = new Uint8Array(await res.arrayBuffer());
    const type = (res.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
    let answer: unknown = undefined;
    if (bytes.length > 0) {
      answer = bytes;
      if (type === "application/json" || type === "text/json" || type.endsWith("+json")) {
        const said = new TextDecoder().decode(bytes);
        try {
          answer = JSON.parse(said);
        } catch {
          if (res.ok) throw new ApiError(res.status, res.headers, said, "the answer is not the JSON it says it is");
          answer = said;
        }
      } else if (type.startsWith("text/") || type === "application/xml" || type.endsWith("+xml")) {
        answer = new TextDecoder().decode(bytes);
      }
    }
    if (!res.ok) throw new ApiError(res.status, res.headers, answer);
    return { status: res.status, headers: res.headers, body: answer };
  }
}
