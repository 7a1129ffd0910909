from __future__ import annotations

import json as _json
import urllib.error as _error
import urllib.parse as _parse
import urllib.request as _request
from collections.abc import Iterable, Mapping, Sequence
from email.message import Message
from typing import Any, Literal, NotRequired, TypedDict

#: What can be sent as a parameter; a list is sent as the parameter several times.
Value = str | int | float | bool | Sequence[str | int | float | bool]


class ApiError(Exception):
    """What an API answered instead of what was asked for."""

    def __init__(self, status: int, headers: Message, body: Any, message: str | None = None) -> None:
        said = message
        if said is None and isinstance(body, dict):
            said = body.get("message")
        if isinstance(said, str) and said:
            super().__init__(f"{status}: {said}")
        else:
            super().__init__(f"the API answered with status {status}")
        self.status = status
        #: What to name when asking whoever runs the API; empty if the answer has none.
        self.request_id: str = headers.get("x-amzn-requestid", "")
        self.headers = headers
        #: A value of JSON, a text, bytes, or None if it is empty.
        self.body = body


class ApiResponse:
    """An answer as it came."""

    def __init__(self, status: int, headers: Message, body: Any) -> None:
        self.status = status
        self.headers = headers
        #: A value of JSON, a text, bytes, or None if it is empty.
        self.body = body


class _Stay(_request.HTTPRedirectHandler):
    """Follows nothing: a key is not sent to where an answer points."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _given(name: str, value: Any, required: bool) -> list[str]:
    if value is None:
        if required:
            raise ValueError(f"the parameter {name} is missing")
        return []
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [_text(v) for v in value]
    return [_text(value)]


def _segment(name: str, value: Any, greedy: bool = False) -> str:
    text = "" if value is None else _text(value)
    parts = text.split("/") if greedy else [text]
    # What stands for another path would call another operation.
    if text == "" or "." in parts or ".." in parts:
        raise ValueError(f"the parameter {name} must not be empty, and no part of it may be . or ..")
    return "/".join(_parse.quote(p, safe="") for p in parts)


class _Base:
    def __init__(
        self,
        *,
        api_key: str | None = None,
        bearer_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 30.0,
        base_url: str | None = None,
    ) -> None:
        """timeout is how many seconds a call may wait for a connection, and then for each part of its answer."""
        self._base_url = (base_url or _BASE_URL).rstrip("/")
        if not self._base_url.lower().startswith(("http://", "https://")):
            raise ValueError("base_url is not an address that begins with http:// or https://")
        self._headers = {k.lower(): v for k, v in (headers or {}).items()}
        if api_key:
            self._headers["x-api-key"] = api_key
        if bearer_token:
            self._headers["authorization"] = f"Bearer {bearer_token}"
        self._timeout = timeout
        self._opener = _request.build_opener(_Stay)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, Any, bool]] = (),
        header: Iterable[tuple[str, Any, bool]] = (),
        json: Any = None,
        data: Any = None,
        content_type: str | None = None,
        options: RequestOptions | None = None,
    ) -> ApiResponse:
        """Makes any call of the API. path is as it is sent, below the stage. Raises ApiError for all but success."""
        o = options or {}
        pairs = [(n, v) for n, value, required in query for v in _given(n, value, required)]
        pairs += [(n, v) for n, value in o.get("query", {}).items() for v in _given(n, value, False)]
        headers = {"accept": "application/json, */*;q=0.5", **self._headers}
        for n, value, required in header:
            values = _given(n, value, required)
            if values:
                headers[n.lower()] = ",".join(values)
        headers.update((n.lower(), v) for n, v in o.get("headers", {}).items())
        body: bytes | None = None
        kind: str | None = None
        if json is not None:
            body, kind = _json.dumps(json).encode(), content_type or "application/json"
        elif isinstance(data, str):
            body, kind = data.encode(), content_type or "text/plain; charset=utf-8"
        elif isinstance(data, (bytes, bytearray, memoryview)):
            body, kind = bytes(data), content_type or "application/octet-stream"
        elif data is not None:
            body, kind = _json.dumps(data).encode(), content_type or "application/json"
        if kind is not None:
            headers.setdefault("content-type", kind)
        url = self._base_url + path + ("?" + _parse.urlencode(pairs) if pairs else "")
        call = _request.Request(url, data=body, headers=headers, method=method)
        try:
            with self._opener.open(call, timeout=o.get("timeout", self._timeout)) as res:
                status, got, raw = res.status, res.headers, res.read()
        except _error.HTTPError as e:
            with e:
                status, got, raw = e.code, e.headers, e.read()
        except _error.URLError as e:
            if isinstance(e.reason, TimeoutError):
                raise e.reason from None
            raise
        answer: Any = None
        ok = 200 <= status < 300
        if raw:
            answer = raw
            kind = got.get_content_type() if got.get("content-type") else ""
            if kind in ("application/json", "text/json") or kind.endswith("+json"):
                try:
                    answer = _json.loads(raw)
                except ValueError:
                    if ok:
                        raise ApiError(status, got, raw, "the answer is not the JSON it says it is") from None
            elif kind.startswith("text/") or kind == "application/xml" or kind.endswith("+xml"):
                try:
                    answer = raw.decode(got.get_content_charset() or "utf-8", "replace")
                except LookupError:  # a character set that nobody knows
                    pass
        if not ok:
            raise ApiError(status, got, answer)
        return ApiResponse(status, got, answer)


class RequestOptions(TypedDict, total=False):
    """What one call has of its own."""

    headers: Mapping[str, str]
    query: Mapping[str, Value]
    timeout: float | None
