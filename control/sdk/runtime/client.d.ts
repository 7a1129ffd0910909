/** What an API answered instead of what was asked for. */
export declare class ApiError extends Error {
  /** The status of the answer. */
  readonly status: number;
  /** What to name when asking whoever runs the API; empty if the answer has none. */
  readonly requestId: string;
  readonly headers: Headers;
  /** The body: a value of JSON, a text, bytes, or undefined if it is empty. */
  readonly body: unknown;
  constructor(status: number, headers: Headers, body: unknown, message?: string);
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

declare class Base {
  /** Makes any call of the API. path is as it is sent, below the stage. Throws an ApiError for all but success. */
  send(method: string, path: string, call?: Call, options?: RequestOptions): Promise<ApiResponse>;
}
