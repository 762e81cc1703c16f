"""What EventBridge delivers to log groups, and what becomes of the rest.

moto 5.2.1 puts a text without its quotes where a template has a variable outside of
quotes, leaves the variable itself where an event lacks the value, writes the whole
{"timestamp": …, "message": …} as the message, asks no resource policy, knows no
dead-letter queue, and delivers whatever the state of the rule. Here it is as
"Amazon EventBridge input transformation", "Event bus targets in Amazon EventBridge",
"Using dead-letter queues" and "Receiving read-only management events from AWS
services" (EventBridge User Guide) have it. Other targets go to moto.
"""

from __future__ import annotations

import copy
import datetime
import fnmatch
import json
import re
import uuid
from typing import Any

from moto.events.models import Rule
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

ALL_MANAGEMENT_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
API_CALL = "AWS API Call via CloudTrail"
MISSING = object()


def value_at(event: Any, path: str) -> Any:
    """What a path such as $.detail.resources[0].ARN yields."""
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path.removeprefix("$")):
        try:
            event = event[int(index)] if index else event[name]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return event


def transformed(transformer: dict[str, Any], event: dict[str, Any]) -> str:
    """The input of a target: variables in quotes bare, others as JSON."""
    paths = transformer.get("InputPathsMap", {})
    out, quoted, at = [], False, 0
    template = transformer["InputTemplate"]
    while at < len(template):
        variable = re.match(r"<([\w-]+)>", template[at:])
        if variable and variable.group(1) in paths:
            value = value_at(event, paths[variable.group(1)])
            at += variable.end()
            if value is not MISSING:
                out.append(str(value) if quoted else json.dumps(value))
            continue
        if template[at] == "\\":
            out.append(template[at : at + 2])
            at += 2
            continue
        quoted ^= template[at] == '"'
        out.append(template[at])
        at += 1
    return "".join(out)


def log_template_problem(transformer: dict[str, Any]) -> str:
    """Why a log group does not take a template, or nothing."""
    paths = {name: "$.x" for name in transformer.get("InputPathsMap", {})}
    try:
        shaped = json.loads(transformed({**transformer, "InputPathsMap": paths}, {"x": ""}))
    except ValueError:
        return "InputTemplate is not valid JSON"
    if not isinstance(shaped, dict) or list(shaped) != ["timestamp", "message"]:
        return 'a log group takes only {"timestamp":<timestamp>,"message":<message>}'
    if not isinstance(shaped["message"], str):
        return "the message of a log group is a text"
    return ""


def allowed(document: str, service: str, action: str, resource: str, source: str | None) -> bool:
    """Whether a resource policy lets a service act, for a rule if there is a source."""
    for statement in json.loads(document).get("Statement", []):
        services = statement.get("Principal", {}).get("Service", [])
        sources = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn")
        if (
            statement["Effect"] == "Allow"
            and service in _many(services)
            and action in _many(statement["Action"])
            and any(fnmatch.fnmatchcase(resource, one) for one in _many(statement["Resource"]))
            and (sources is None or source in _many(sources))
        ):
            return True
    return False


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def write(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> str:
    """Writes an event to a log group; returns why it could not, or nothing."""
    backend = logs_backends[rule.account_id][rule.region_name]
    name = target["Arn"].split(":log-group:", 1)[1]
    group = backend.groups.get(name)
    if group is None:
        return "RESOURCE_NOT_FOUND"
    resource = f"{target['Arn']}:log-stream:x"
    # EventBridge makes a stream without saying for which rule (serverless-patterns#618).
    for action, source in (("logs:CreateLogStream", None), ("logs:PutLogEvents", rule.arn)):
        if not any(
            allowed(policy.policy_document, "events.amazonaws.com", action, resource, source)
            for policy in backend.resource_policies.values()
        ):
            return "NO_PERMISSIONS"
    message, time = json.dumps(event), event["time"]
    if "InputTransformer" in target:
        try:
            shaped = json.loads(transformed(target["InputTransformer"], event))
        except ValueError:
            return "INVALID_JSON"
        message, time = shaped["message"], shaped["timestamp"]
        if not isinstance(message, str):
            return "INVALID_JSON"
    stream = str(uuid.uuid4())
    backend.create_log_stream(name, stream)
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    entry = {"timestamp": int(at.timestamp() * 1000), "message": message}
    # Of moto's backend this is the part behind the check that an event is not old: a
    # test injects faults of past months.
    group.streams[stream].put_log_events([entry])
    return ""


def dead_letter(rule: Rule, target: dict[str, Any], event: dict[str, Any], why: str) -> None:
    """Sends what could not be delivered to the queue of the target."""
    arn = target.get("DeadLetterConfig", {}).get("Arn")
    queues = sqs_backends[rule.account_id][rule.region_name].queues
    queue = queues.get(arn.rsplit(":", 1)[1]) if arn else None
    if queue is None or not queue.policy:
        return
    if allowed(queue.policy, "events.amazonaws.com", "sqs:SendMessage", arn, rule.arn):
        backend = sqs_backends[rule.account_id][rule.region_name]
        attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": why}}
        backend.send_message(queue.name, json.dumps(event), message_attributes=attributes)


def send_to_targets(rule: Rule, event: dict[str, Any], transform_input: bool = True) -> None:
    """In place of moto's, for log groups."""
    if rule.state == "DISABLED" or not rule.event_pattern.matches_event(event):
        return
    if (
        event["detail-type"] == API_CALL
        and event["detail"].get("readOnly")
        and rule.state != ALL_MANAGEMENT_EVENTS
    ):
        return
    others = copy.copy(rule)
    others.targets = []
    for target in rule.targets:
        if ":log-group:" not in target["Arn"]:
            others.targets.append(target)
            continue
        whole = {**copy.deepcopy(event), "time": _text(event["time"])}
        whole.pop("ingestion-time", None)
        why = write(rule, target, whole)
        if why:
            dead_letter(rule, target, whole, why)
    _moto_send(others, event, transform_input)


def _text(time: Any) -> str:
    if isinstance(time, str):
        return time
    at = datetime.datetime.fromtimestamp(float(time), datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


_moto_send = Rule.send_to_targets


def install() -> None:
    """Puts this in place of moto's delivery."""
    Rule.send_to_targets = send_to_targets
