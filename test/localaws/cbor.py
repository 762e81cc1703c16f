"""Smithy RPC v2 CBOR, the protocol in which newer SDKs speak to CloudWatch.

moto 5.2.1 knows CloudWatch's JSON and query protocols only, so every call of
the Go SDK would be an unknown path. This middleware turns such a call into its
JSON twin and the answer back into CBOR.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

from botocore.model import Shape
from botocore.parsers import RpcV2CBORParser
from moto.core.utils import get_service_model

PATH = re.compile(r"/service/GraniteServiceVersion20100801/operation/(\w+)")


class CborMiddleware:
    """Serves CBOR calls to CloudWatch by an application that speaks JSON."""

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        match = PATH.fullmatch(environ.get("PATH_INFO", ""))
        if not match:
            return self.app(environ, start_response)
        operation = match.group(1)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.dumps(decode(environ["wsgi.input"].read(length))).encode()
        inner = {
            **environ,
            "PATH_INFO": "/",
            "RAW_URI": "/",
            "REQUEST_URI": "/",
            "CONTENT_TYPE": "application/x-amz-json-1.0",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_X_AMZ_TARGET": f"GraniteServiceVersion20100801.{operation}",
            "wsgi.input": io.BytesIO(body),
        }
        answer: dict[str, Any] = {}

        def capture(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answer.update(status=status, headers=headers)

        text = b"".join(self.app(inner, capture))
        payload = _answer(operation, answer["status"], text)
        skip = ("content-type", "content-length")
        headers = [h for h in answer["headers"] if h[0].lower() not in skip]
        headers += [
            ("Content-Type", "application/cbor"),
            ("Content-Length", str(len(payload))),
            ("smithy-protocol", "rpc-v2-cbor"),
        ]
        start_response(answer["status"], headers)
        return [payload]


def _answer(operation: str, status: str, text: bytes) -> bytes:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = {"__type": "InternalFailure", "message": text.decode(errors="replace")[:500]}
    if status.startswith("2"):
        shape = get_service_model("cloudwatch").operation_model(operation).output_shape
        return encode(value, shape) if shape else encode({}, None)
    if "Message" in value:
        value = {**value, "message": value.pop("Message")}
    return encode(value, None)


def decode(body: bytes) -> Any:
    """CBOR as values that JSON can hold; times become seconds of the epoch."""
    if not body:
        return {}
    parser = RpcV2CBORParser(timestamp_parser=float)
    return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))


def encode(value: Any, shape: Shape | None) -> bytes:
    """A JSON value as CBOR; the shape tells times and numbers apart."""
    kind = shape.type_name if shape else ""
    if kind == "timestamp" and isinstance(value, (int, float)):
        return b"\xc1" + _double(value)
    if kind in ("float", "double") and isinstance(value, (int, float)):
        return _double(value)
    if isinstance(value, dict):
        members = shape.members if kind == "structure" else {}
        pairs = [
            encode(str(k), None) + encode(v, members.get(k) or _value(shape))
            for k, v in value.items()
            if v is not None
        ]
        return _head(5, len(pairs)) + b"".join(pairs)
    if isinstance(value, list):
        member = shape.member if kind == "list" else None
        return _head(4, len(value)) + b"".join(encode(v, member) for v in value)
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return _double(value)
    text = str(value).encode()
    return _head(3, len(text)) + text


def _value(shape: Shape | None) -> Shape | None:
    return shape.value if shape is not None and shape.type_name == "map" else None


def _double(value: float) -> bytes:
    return b"\xfb" + struct.pack(">d", value)


def _head(major: int, size: int) -> bytes:
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if size < 24:
            return bytes([major << 5 | size])
        if size < 1 << (8 * width):
            return bytes([major << 5 | info]) + size.to_bytes(width, "big")
    raise ValueError(f"{size} is too large for CBOR")
