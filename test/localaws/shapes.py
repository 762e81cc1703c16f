"""Checks values against the AWS service models that botocore ships.

botocore's own validator checks types, required members and minimum lengths
only, and moto checks next to nothing. AWS checks enums, maximum lengths and
patterns too, so a request that is wrong in one of those would pass here and
fail in a real account. This module closes that gap.
"""

from __future__ import annotations

import datetime
import re
from functools import cache
from typing import Any

from botocore.model import Shape
from moto.core.utils import get_service_model


@cache
def input_shape(service: str, operation: str) -> Shape:
    """The shape of what an operation takes."""
    return get_service_model(service).operation_model(operation).input_shape


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:  # Java syntax that Python lacks
        return None


def problems(value: Any, shape: Shape, path: str = "") -> list[str]:
    """Everything in which value breaks its shape; empty when it is fine."""
    check = _CHECKS.get(shape.type_name)
    return check(value, shape, path) if check else []


def _where(path: str) -> str:
    return f"#/{path}" if path else "#"


def _structure(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{_where(path)}: expected an object, found {_kind(value)}"]
    found = []
    for name in sorted(set(value) - set(shape.members)):
        found.append(f"{_where(path)}: extraneous key [{name}] is not permitted")
    for name in shape.required_members:
        if value.get(name) is None:
            found.append(f"{_where(path)}: required key [{name}] not found")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            found += problems(value[name], member, f"{path}/{name}".lstrip("/"))
    return found


def _list(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{_where(path)}: expected an array, found {_kind(value)}"]
    found = _bounds(len(value), shape, path, "item count")
    for index, item in enumerate(value):
        found += problems(item, shape.member, f"{path}/{index}".lstrip("/"))
    return found


def _string(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{_where(path)}: expected a string, found {_kind(value)}"]
    found = _bounds(len(value), shape, path, "length")
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        found.append(
            f"{_where(path)}: {value!r} is not a valid enum value, "
            f"valid values are {', '.join(sorted(allowed))}"
        )
    pattern = shape.metadata.get("pattern")
    compiled = _pattern(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        found.append(f"{_where(path)}: {value!r} does not match pattern {pattern}")
    return found


def _integer(value: Any, shape: Shape, path: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        return [f"{_where(path)}: expected an integer, found {_kind(value)}"]
    return _bounds(value, shape, path, "value")


def _number(value: Any, shape: Shape, path: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [f"{_where(path)}: expected a number, found {_kind(value)}"]
    return _bounds(value, shape, path, "value")


def _boolean(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, bool):
        return [f"{_where(path)}: expected a boolean, found {_kind(value)}"]
    return []


def _timestamp(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, datetime.datetime):
        return [f"{_where(path)}: expected a time, found {_kind(value)}"]
    return []


_CHECKS = {
    "structure": _structure,
    "list": _list,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _bounds(size: float, shape: Shape, path: str, what: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        return [f"{_where(path)}: {what} {size} is below the minimum {low}"]
    if high is not None and size > high:
        return [f"{_where(path)}: {what} {size} is above the maximum {high}"]
    return []


def _kind(value: Any) -> str:
    return {
        dict: "an object",
        list: "an array",
        str: f"the string {value!r}",
        bool: f"the boolean {value!r}",
        int: f"the number {value!r}",
        float: f"the number {value!r}",
        type(None): "nothing",
    }.get(type(value), type(value).__name__)


def coerced(value: Any, shape: Shape) -> Any:
    """The value with CloudFormation's own conversions between scalars applied.

    A template may say "300" for an integer and true for a string. What cannot
    be converted is returned as it is, for problems() to refuse.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            name: coerced(item, shape.members[name]) if name in shape.members else item
            for name, item in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [coerced(item, shape.member) for item in value]
    if kind in ("integer", "long"):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
    if kind in ("float", "double") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind == "string" and isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
