"""A journal of every API call, for tests that must know what was (not) called.

GET /keywatch-local/calls answers {"calls": [...]}, oldest first. Each call has
the service, action, region, whether it writes, the status and the error code;
write calls have their parameters too, with long texts cut. The log of the server
has a line for each of them.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import cbor

ENDPOINT = "/keywatch-local/calls"
READS = re.compile(r"(Describe|List|Get|Head|BatchGet|Lookup|Search|Validate|Estimate)")
ERROR_CODES = (
    re.compile(rb"<Code>([^<]+)</Code>"),
    re.compile(rb'"__type":\s*"(?:[^"#]*#)?([^"]+)"'),
)
LONGEST = 200
SERVICES = {"monitoring": "cloudwatch"}


class Journal:
    """Records the calls that pass through, and answers with them."""

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self.app = app
        self.calls: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == ENDPOINT:
            return self._answer(start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        if body:
            environ["wsgi.input"] = io.BytesIO(body)
        # All keys are there from the start: another thread may be reading the call.
        call = {**describe(environ, body), "status": 0, "error": ""}
        with self.lock:
            call["seq"] = len(self.calls) + 1
            self.calls.append(call)

        def record(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            call["status"] = int(status.split()[0])
            return start_response(status, headers, *rest)

        answer = self.app(environ, record)
        if call["status"] >= 400:
            answer = [b"".join(answer)]
            call["error"] = _error_code(answer[0])
        columns = ("seq", "region", "service", "action", "status", "error")
        print(*(call[column] for column in columns), file=sys.stderr, flush=True)
        return answer

    def _answer(self, start_response: Any) -> Iterable[bytes]:
        with self.lock:
            body = json.dumps({"calls": self.calls}).encode()
        start_response(
            "200 OK",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [body]


def describe(environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What a request asks for, whatever protocol it speaks."""
    service, region = _scope(environ.get("HTTP_AUTHORIZATION", ""))
    kind = environ.get("CONTENT_TYPE", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    path = environ.get("PATH_INFO", "")
    match = cbor.PATH.fullmatch(path)
    params: Any = {}
    if match:
        action, params = match.group(1), cbor.decode(body)
    elif target:
        action, params = target.rpartition(".")[2], _json(body)
    elif kind.startswith("application/x-www-form-urlencoded"):
        params = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        action = params.pop("Action", "")
        params.pop("Version", None)
    else:
        action = f"{environ['REQUEST_METHOD']} {path}"
    if service == "s3":
        write = environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS")
    else:
        write = service != "sts" and not READS.match(action)
    call = {"service": service, "action": action, "region": region, "write": write}
    if write and params:
        call["params"] = _short(params)
    return call


def _scope(authorization: str) -> tuple[str, str]:
    match = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", authorization)
    if not match:
        return "", ""
    return SERVICES.get(match.group(2), match.group(2)), match.group(1)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_short(v) for v in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]}... ({len(value)} characters)"
    return value


def _error_code(text: bytes) -> str:
    for pattern in ERROR_CODES:
        match = pattern.search(text)
        if match:
            return match.group(1).decode(errors="replace")
    return ""
