"""The CloudFormation resource types: how each is created, updated and deleted.

moto 5.2.1 skips AWS::CloudWatch::Alarm, AWS::CloudWatch::AnomalyDetector,
AWS::Logs::MetricFilter, AWS::S3::BucketPolicy, AWS::SQS::QueuePolicy and
AWS::CDK::Metadata without a word, replaces a Dashboard or a Rule at every change, and
takes any property of a log group, a queue or a rule. These have providers of their own here, which keep to
the create-only properties and the refusals of the real resource handlers. Any
other type that moto has goes to moto's model; what nobody has is unknown, and
template.py refuses it.
"""

from __future__ import annotations

import copy
import importlib
import json
import random
import string
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.core.exceptions import ServiceException
from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sqs.models import Queue as SQSQueue
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

import cloudwatch
import eventbridge
import rules
import shapes
from template import Refusal

if TYPE_CHECKING:
    from engine import Resource, Stack


class HandlerError(Exception):
    """Why a resource handler failed, as it stands in the stack's events."""


def invalid(error: ServiceException, service: str = "CloudWatch") -> HandlerError:
    """A refusal of the service, in the words of a resource handler."""
    return HandlerError(
        f'Resource handler returned message: "{error.message} (Service: {service}, '
        f'Status Code: 400, Error Code: {error.code})" '
        "(HandlerErrorCode: InvalidRequest)"
    )


def exists(kind: str, identifier: str) -> HandlerError:
    """The refusal to create what is already there."""
    return HandlerError(
        f"Resource of type '{kind}' with identifier '{identifier}' already exists. "
        "(HandlerErrorCode: AlreadyExists)"
    )


def not_found(kind: str, identifier: str) -> HandlerError:
    """The refusal to update what is not there."""
    return HandlerError(
        f"Resource of type '{kind}' with identifier '{identifier}' was not found. "
        "(HandlerErrorCode: NotFound)"
    )


def _random(size: int = 12) -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=size))


def generated_name(stack: Stack, logical_id: str, limit: int) -> str:
    """The name that CloudFormation gives to what has none."""
    suffix = f"-{_random()}"
    return f"{stack.name}-{logical_id}"[: limit - len(suffix)] + suffix


class Provider:
    """One resource type. The defaults are those of a type without properties."""

    create_only: frozenset[str] = frozenset()
    taggable = False

    def __init__(self, kind: str):
        self.kind = kind

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        """What is wrong with the form of the properties."""
        return [f"#: extraneous key [{key}] is not permitted" for key in properties]

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        """Creates the resource; returns its physical ID and whatever it needs later."""
        return generated_name(stack, logical_id, 255), None

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        """Changes the resource in place; returns as create does."""
        return resource.physical_id, resource.handle

    def delete(self, stack: Stack, resource: Resource) -> None:
        """Deletes the resource. That it is gone already is no error."""

    def release(self, stack: Stack, resource: Resource) -> None:
        """Forgets a resource that stays behind when its stack lets go of it."""

    def attribute(self, resource: Resource, name: str) -> Any:
        """What Fn::GetAtt yields."""
        raise HandlerError(f"Requested attribute {name} does not exist in {self.kind}")

    def replaced_by(self, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
        """The changed properties that demand a replacement."""
        return sorted(k for k in self.create_only if old.get(k) != new.get(k))


class WaitConditionHandle(Provider):
    """A resource that is nothing: the placeholder of an empty stack."""

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        url = f"https://cloudformation-waitcondition-{stack.region}.s3.amazonaws.com"
        return f"{url}/{stack.id}/{logical_id}", None


class CdkMetadata(Provider):
    """What the CDK reports about its constructs; it does nothing."""

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        return []


# ------------------------------------------------------------ CloudWatch


class CloudWatchProvider(Provider):
    """What the CloudWatch types share: schemas made from the API's model."""

    operation = ""
    members: frozenset[str] = frozenset()

    def backend(self, stack: Stack) -> CloudWatchBackend:
        return cloudwatch_backends[stack.account][stack.region]

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        found = [
            f"#: extraneous key [{key}] is not permitted"
            for key in sorted(set(properties) - self.members)
        ]
        if found:
            return found
        return shapes.problems(self.to_api(properties), self.shape())

    def shape(self) -> Any:
        return shapes.input_shape("cloudwatch", self.operation)

    def to_api(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties as parameters of the API."""
        return shapes.coerced(copy.deepcopy(properties), self.shape())


def tags_of(stack: Stack, logical_id: str, properties: dict[str, Any]) -> list[Any]:
    """The tags of a resource: its own, the stack's, and CloudFormation's."""
    tags = {**stack.tags, **{t["Key"]: t["Value"] for t in properties.get("Tags", [])}}
    tags["aws:cloudformation:stack-name"] = stack.name
    tags["aws:cloudformation:stack-id"] = stack.id
    tags["aws:cloudformation:logical-id"] = logical_id
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


class Alarm(CloudWatchProvider):
    """AWS::CloudWatch::Alarm: its name alone is create-only."""

    operation = "PutMetricAlarm"
    create_only = frozenset({"AlarmName"})
    taggable = True
    members = frozenset(
        {
            "ActionsEnabled",
            "AlarmActions",
            "AlarmDescription",
            "AlarmName",
            "ComparisonOperator",
            "DatapointsToAlarm",
            "Dimensions",
            "EvaluateLowSampleCountPercentile",
            "EvaluationCriteria",
            "EvaluationInterval",
            "EvaluationPeriods",
            "EvaluationWindow",
            "ExtendedStatistic",
            "InsufficientDataActions",
            "MetricName",
            "Metrics",
            "Namespace",
            "OKActions",
            "Period",
            "Statistic",
            "Tags",
            "Threshold",
            "ThresholdMetricId",
            "TreatMissingData",
            "Unit",
            "WarmUpConfiguration",
        }
    )

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        return super().check({"AlarmName": "generated", **properties}, stack)

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = properties.get("AlarmName") or generated_name(stack, logical_id, 255)
        alarm = self._checked(stack, properties, str(name))
        backend = self.backend(stack)
        if name in backend.alarms:
            raise exists(self.kind, name)
        return name, self._put(stack, logical_id, alarm)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        name = resource.physical_id
        alarm = self._checked(stack, properties, name)
        if name not in self.backend(stack).alarms:
            raise not_found(self.kind, name)
        return name, self._put(stack, resource.logical_id, alarm)

    def _checked(self, stack: Stack, properties: dict[str, Any], name: str) -> dict[str, Any]:
        alarm = {**self.to_api(properties), "AlarmName": name}
        try:
            cloudwatch.check_alarm(alarm, stack.region)
        except Refusal as refusal:
            raise invalid(refusal) from None
        return alarm

    def _put(self, stack: Stack, logical_id: str, alarm: dict[str, Any]) -> Any:
        stored = cloudwatch.put_alarm(self.backend(stack), alarm)
        tags = tags_of(stack, logical_id, alarm)
        cloudwatch.set_tags(self.backend(stack), stored.alarm_arn, tags)
        return {"Arn": stored.alarm_arn}

    def delete(self, stack: Stack, resource: Resource) -> None:
        if resource.physical_id in self.backend(stack).alarms:
            cloudwatch.delete_alarms(self.backend(stack), [resource.physical_id])

    def attribute(self, resource: Resource, name: str) -> Any:
        if name == "Arn":
            return resource.handle["Arn"]
        return super().attribute(resource, name)


class AnomalyDetector(CloudWatchProvider):
    """AWS::CloudWatch::AnomalyDetector: only Configuration changes in place.

    The API has no AlreadyExists error, it upserts. A detector that belongs to
    another resource of some stack is refused nevertheless: the two would fight,
    and deleting one deletes it for both. One that CloudWatch made itself, that
    came through the API or that was retained is taken over.
    """

    operation = "PutAnomalyDetector"
    create_only = frozenset(
        {
            "Dimensions",
            "MetricCharacteristics",
            "MetricMathAnomalyDetector",
            "MetricName",
            "Namespace",
            "SingleMetricAnomalyDetector",
            "Stat",
        }
    )
    members = create_only | {"Configuration"}

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        configuration = properties.get("Configuration", {})
        if not isinstance(configuration, dict):
            return ["#/Configuration: expected an object"]
        found = [
            f"#/Configuration: extraneous key [{key}] is not permitted"
            for key in sorted(set(configuration) - {"ExcludedTimeRanges", "MetricTimeZone"})
        ]
        for item in configuration.get("ExcludedTimeRanges", []):
            found += [
                f"#/Configuration/ExcludedTimeRanges: {text!r} does not match yyyy-MM-dd'T'HH:mm:ss"
                for text in item.values()
                if rules.parse_excluded_time(text) is None
            ]
        return found or super().check(properties, stack)

    def to_api(self, properties: dict[str, Any]) -> dict[str, Any]:
        given = copy.deepcopy(properties)
        configuration = given.get("Configuration", {})
        if "MetricTimeZone" in configuration:  # the API spells it Timezone
            configuration["MetricTimezone"] = configuration.pop("MetricTimeZone")
        for item in configuration.get("ExcludedTimeRanges", []):
            for key in ("StartTime", "EndTime"):
                if key in item:
                    item[key] = rules.parse_excluded_time(item[key])
        return shapes.coerced(given, self.shape())

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        detector = self._checked(properties)
        backend = self.backend(stack)
        identity = cloudwatch.detector_identity(detector, stack.account)
        owner = cloudwatch.detectors(backend).get(identity, {}).get("owner")
        if owner and owner[:2] != (stack.id, logical_id):
            raise exists(self.kind, identity)
        physical_id = generated_name(stack, logical_id, 128)
        stored = cloudwatch.put_detector(backend, detector)
        stored["owner"] = (stack.id, logical_id, physical_id)
        return physical_id, detector

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        detector = self._checked(properties)
        stored = cloudwatch.put_detector(self.backend(stack), detector)
        stored["owner"] = (stack.id, resource.logical_id, resource.physical_id)
        return resource.physical_id, detector

    def _checked(self, properties: dict[str, Any]) -> dict[str, Any]:
        detector = self.to_api(properties)
        try:
            cloudwatch.check_detector(detector)
        except Refusal as refusal:
            raise invalid(refusal) from None
        return detector

    def delete(self, stack: Stack, resource: Resource) -> None:
        identity = cloudwatch.detector_identity(resource.handle, stack.account)
        cloudwatch.detectors(self.backend(stack)).pop(identity, None)

    def release(self, stack: Stack, resource: Resource) -> None:
        identity = cloudwatch.detector_identity(resource.handle, stack.account)
        stored = cloudwatch.detectors(self.backend(stack)).get(identity, {})
        if stored.get("owner", ())[2:] == (resource.physical_id,):
            del stored["owner"]

    def attribute(self, resource: Resource, name: str) -> Any:
        if name == "Id":
            return resource.physical_id
        return super().attribute(resource, name)


class Dashboard(CloudWatchProvider):
    """AWS::CloudWatch::Dashboard: global, and its name is create-only."""

    operation = "PutDashboard"
    create_only = frozenset({"DashboardName"})
    members = frozenset({"DashboardName", "DashboardBody", "Tags"})
    taggable = True

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        return super().check({"DashboardName": "generated", **properties}, stack)

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = properties.get("DashboardName") or f"{logical_id}-{_random()}"
        self._check(name, properties)
        if name in cloudwatch.dashboard_backend(stack.account).dashboards:
            raise exists(self.kind, name)
        return name, self._put(stack, logical_id, name, properties)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        name = resource.physical_id
        self._check(name, properties)
        if name not in cloudwatch.dashboard_backend(stack.account).dashboards:
            raise not_found(self.kind, name)
        return name, self._put(stack, resource.logical_id, name, properties)

    def _check(self, name: str, properties: dict[str, Any]) -> None:
        try:
            cloudwatch.check_dashboard(name, properties["DashboardBody"])
        except Refusal as refusal:
            raise invalid(refusal) from None

    def _put(self, stack: Stack, logical_id: str, name: str, properties: dict[str, Any]) -> None:
        backend = cloudwatch.dashboard_backend(stack.account)
        stored = backend.put_dashboard(name, properties["DashboardBody"])
        cloudwatch.set_tags(backend, stored.arn, tags_of(stack, logical_id, properties))

    def delete(self, stack: Stack, resource: Resource) -> None:
        backend = cloudwatch.dashboard_backend(stack.account)
        stored = backend.dashboards.pop(resource.physical_id, None)
        if stored:
            cloudwatch.set_tags(backend, stored.arn, [])


# -------------------------------------------------------------------- S3


class BucketPolicy(Provider):
    """AWS::S3::BucketPolicy, which cdk bootstrap declares.

    The policy is checked for its form and its bucket, but moto is not told of
    it: moto 5.2.1 applies a policy without its conditions, so the one of the
    bootstrap bucket, "deny all that does not come through TLS", would deny all.
    """

    create_only = frozenset({"Bucket"})

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        wanted = {"Bucket", "PolicyDocument"}
        found = [
            f"#: extraneous key [{key}] is not permitted"
            for key in sorted(set(properties) - wanted)
        ]
        return found + [
            f"#: required key [{key}] not found" for key in sorted(wanted - set(properties))
        ]

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        from moto.s3.models import s3_backends

        buckets = s3_backends[stack.account][get_partition(stack.region)].buckets
        if properties["Bucket"] not in buckets:
            raise not_found("AWS::S3::Bucket", properties["Bucket"])
        return properties["Bucket"], None

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        return self.create(stack, resource.logical_id, properties)


# ----------------------------------------------- Events, Logs and SQS


def _lower(value: Any) -> Any:
    """The names of properties as CloudWatch Logs spells those of its API."""
    if isinstance(value, list):
        return [_lower(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key[:1].lower() + key[1:]: _lower(item) for key, item in value.items()}


def _extraneous(properties: dict[str, Any], known: set[str]) -> list[str]:
    return [
        f"#: extraneous key [{key}] is not permitted" for key in sorted(set(properties) - known)
    ]


def _missing(properties: dict[str, Any], wanted: set[str]) -> list[str]:
    return [f"#: required key [{key}] not found" for key in sorted(wanted - set(properties))]


class LogGroup(Provider):
    """AWS::Logs::LogGroup: only its name is create-only."""

    create_only = frozenset({"LogGroupName"})
    taggable = True
    # "PutRetentionPolicy", CloudWatch Logs API Reference
    retentions = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827)
    retentions += (2192, 2557, 2922, 3288, 3653)

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        known = {"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"}
        found = _extraneous(properties, known)
        days = properties.get("RetentionInDays")
        if days is not None and days not in self.retentions:
            found.append(f"#/RetentionInDays: {days!r} is not a valid enum value")
        name = properties.get("LogGroupName")
        if name is not None:
            shape = shapes.input_shape("logs", "CreateLogGroup").members["logGroupName"]
            found += shapes.problems(name, shape, "LogGroupName")
        return found

    def backend(self, stack: Stack) -> Any:
        return logs_backends[stack.account][stack.region]

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = properties.get("LogGroupName") or generated_name(stack, logical_id, 512)
        if name in self.backend(stack).groups:
            raise exists(self.kind, name)
        self.backend(stack).create_log_group(name, {}, kmsKeyId=properties.get("KmsKeyId"))
        return self._put(stack, name, properties)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        if resource.physical_id not in self.backend(stack).groups:
            raise not_found(self.kind, resource.physical_id)
        return self._put(stack, resource.physical_id, properties)

    def _put(self, stack: Stack, name: str, properties: dict[str, Any]) -> Any:
        group = self.backend(stack).groups[name]
        group.kms_key_id = properties.get("KmsKeyId")
        group.set_retention_policy(properties.get("RetentionInDays"))
        return name, {"Arn": f"{group.arn}:*"}

    def delete(self, stack: Stack, resource: Resource) -> None:
        if resource.physical_id in self.backend(stack).groups:
            self.backend(stack).delete_log_group(resource.physical_id)

    def attribute(self, resource: Resource, name: str) -> Any:
        if name == "Arn":
            return resource.handle["Arn"]
        return super().attribute(resource, name)


class LogResourcePolicy(Provider):
    """AWS::Logs::ResourcePolicy: an account has ten in a region."""

    create_only = frozenset({"PolicyName"})
    most = 10

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        known = {"PolicyDocument", "PolicyName"}
        found = _extraneous(properties, known) + _missing(properties, known)
        if found:
            return found
        try:
            statements = json.loads(properties["PolicyDocument"])["Statement"]
        except (KeyError, TypeError, ValueError):
            return ["#/PolicyDocument: expected a text with a policy in JSON"]
        for statement in statements:
            actions = statement.get("Action", [])
            strange = set(actions if isinstance(actions, list) else [actions])
            strange -= {"logs:CreateLogStream", "logs:PutLogEvents"}
            if strange:  # "PutResourcePolicy", CloudWatch Logs API Reference
                found.append(f"#/PolicyDocument: {sorted(strange)} are not supported here")
        return found

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        policies = logs_backends[stack.account][stack.region].resource_policies
        if properties["PolicyName"] in policies:
            raise exists(self.kind, properties["PolicyName"])
        if len(policies) >= self.most:
            raise HandlerError("Resource limit exceeded. (HandlerErrorCode: ServiceLimitExceeded)")
        return self._put(stack, properties)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        return self._put(stack, properties)

    def _put(self, stack: Stack, properties: dict[str, Any]) -> Any:
        name = properties["PolicyName"]
        backend = logs_backends[stack.account][stack.region]
        backend.put_resource_policy(name, properties["PolicyDocument"])
        return name, None

    def delete(self, stack: Stack, resource: Resource) -> None:
        backend = logs_backends[stack.account][stack.region]
        backend.resource_policies.pop(resource.physical_id, None)


class MetricFilter(Provider):
    """AWS::Logs::MetricFilter."""

    create_only = frozenset({"FilterName", "LogGroupName"})

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        given = {"FilterName": "generated", **properties}
        return shapes.problems(_lower(given), shapes.input_shape("logs", "PutMetricFilter"))

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = properties.get("FilterName") or generated_name(stack, logical_id, 512)
        backend = logs_backends[stack.account][stack.region]
        if properties["LogGroupName"] not in backend.groups:
            raise not_found("AWS::Logs::LogGroup", properties["LogGroupName"])
        transformations = _lower(properties["MetricTransformations"])
        group, pattern = properties["LogGroupName"], properties["FilterPattern"]
        backend.delete_metric_filter(name, group)
        backend.put_metric_filter(name, pattern, group, transformations)
        return name, group

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        given = {**properties, "FilterName": resource.physical_id}
        return self.create(stack, resource.logical_id, given)

    def delete(self, stack: Stack, resource: Resource) -> None:
        backend = logs_backends[stack.account][stack.region]
        backend.delete_metric_filter(resource.physical_id, resource.handle)


class Rule(Provider):
    """AWS::Events::Rule on the default event bus."""

    create_only = frozenset({"EventBusName", "Name"})

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        rule = {"Name": "generated", **properties}
        targets = rule.pop("Targets", [])
        if isinstance(rule.get("EventPattern"), dict):
            rule["EventPattern"] = json.dumps(rule["EventPattern"])
        found = shapes.problems(rule, shapes.input_shape("events", "PutRule"))
        wanted = {"Rule": "generated", "Targets": targets}
        if targets:
            found += shapes.problems(wanted, shapes.input_shape("events", "PutTargets"))
        for target in targets if not found else []:
            transformer = target.get("InputTransformer")
            if ":log-group:" not in target["Arn"]:
                continue
            if "RoleArn" in target:  # "Using resource-based policies", EventBridge User Guide
                found.append(f"#/Targets/{target['Id']}: a log group takes no RoleArn")
            why = eventbridge.log_template_problem(transformer) if transformer else ""
            if why:
                found.append(f"#/Targets/{target['Id']}: {why}")
        return found

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = properties.get("Name") or generated_name(stack, logical_id, 64)
        if name in events_backends[stack.account][stack.region].event_buses["default"].rules:
            raise exists(self.kind, name)
        return self._put(stack, name, properties)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        self.delete(stack, resource)
        return self._put(stack, resource.physical_id, properties)

    def _put(self, stack: Stack, name: str, properties: dict[str, Any]) -> Any:
        backend = events_backends[stack.account][stack.region]
        pattern = properties.get("EventPattern")
        rule = backend.put_rule(
            name,
            description=properties.get("Description"),
            event_pattern=json.dumps(pattern) if pattern else None,
            scheduled_expression=properties.get("ScheduleExpression"),
            state=properties.get("State"),
        )
        backend.put_targets(name, None, copy.deepcopy(properties.get("Targets", [])))
        return name, {"Arn": rule.arn}

    def delete(self, stack: Stack, resource: Resource) -> None:
        backend = events_backends[stack.account][stack.region]
        rule = backend.event_buses["default"].rules.get(resource.physical_id)
        if rule:
            rule.delete(stack.account, stack.region)

    def attribute(self, resource: Resource, name: str) -> Any:
        if name == "Arn":
            return resource.handle["Arn"]
        return super().attribute(resource, name)


class QueuePolicy(Provider):
    """AWS::SQS::QueuePolicy."""

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        known = {"PolicyDocument", "Queues"}
        return _extraneous(properties, known) + _missing(properties, known)

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        for queue in self._queues(stack, properties):
            queue.policy = json.dumps(properties["PolicyDocument"])
        return generated_name(stack, logical_id, 128), properties

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        self.delete(stack, resource)
        _, handle = self.create(stack, resource.logical_id, properties)
        return resource.physical_id, handle

    def delete(self, stack: Stack, resource: Resource) -> None:
        for queue in self._queues(stack, resource.handle, strict=False):
            queue.policy = None

    def _queues(self, stack: Stack, properties: dict[str, Any], strict: bool = True) -> Any:
        known = sqs_backends[stack.account][stack.region].queues
        for url in properties["Queues"]:
            name = url.rsplit("/", 1)[-1]
            if name in known:
                yield known[name]
            elif strict:
                raise not_found("AWS::SQS::Queue", url)


# ------------------------------------------------------------------ moto


class MotoProvider(Provider):
    """A type that moto has. It decides itself whether a change is in place."""

    def __init__(self, kind: str, model: type[CloudFormationModel]):
        super().__init__(kind)
        self.model = model

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        return []

    def create(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> Any:
        name = self._name(stack, logical_id, properties)
        made = self.model.create_from_cloudformation_json(
            name,
            self._json(properties),
            stack.account,
            stack.region,
            LogicalId=logical_id,
            StackId=stack.id,
            ResourceType=self.kind,
        )
        return self._made(made)

    def update(self, stack: Stack, resource: Resource, properties: dict[str, Any]) -> Any:
        update = self.model.update_from_cloudformation_json
        if hasattr(update, "__isabstractmethod__"):
            raise HandlerError(f"the local AWS cannot update {self.kind}")
        made = update(
            original_resource=resource.handle,
            new_resource_name=self._name(stack, resource.logical_id, properties),
            cloudformation_json=self._json(properties),
            account_id=stack.account,
            region_name=stack.region,
        )
        return self._made(made)

    def delete(self, stack: Stack, resource: Resource) -> None:
        try:
            resource.handle.delete(stack.account, stack.region)
            return
        except (TypeError, AttributeError):
            pass  # most models have no such method; moto goes on like this too
        delete = self.model.delete_from_cloudformation_json
        if not hasattr(delete, "__isabstractmethod__"):
            delete(
                resource.physical_id,
                self._json(resource.properties),
                stack.account,
                stack.region,
            )

    def attribute(self, resource: Resource, name: str) -> Any:
        try:
            return resource.handle.get_cfn_attribute(name)
        except Exception:  # moto has several errors for this
            return super().attribute(resource, name)

    def _json(self, properties: dict[str, Any]) -> dict[str, Any]:
        return {"Type": self.kind, "Properties": copy.deepcopy(properties)}

    def _name(self, stack: Stack, logical_id: str, properties: dict[str, Any]) -> str:
        field = self.model.cloudformation_name_type()
        if field and field in properties:
            return properties[field]
        if self.kind == "AWS::S3::Bucket":
            return generated_name(stack, logical_id, 63).lower()
        return generated_name(stack, logical_id, 64)

    def _made(self, made: Any) -> tuple[str, Any]:
        return made.physical_resource_id, made


class Queue(MotoProvider):
    """AWS::SQS::Queue with the properties that there are; moto takes any."""

    create_only = frozenset({"FifoQueue", "QueueName"})
    members = {
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "DelaySeconds",
        "FifoQueue",
        "FifoThroughputLimit",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "QueueName",
        "ReceiveMessageWaitTimeSeconds",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
        "Tags",
        "VisibilityTimeout",
    }

    def __init__(self, kind: str):
        super().__init__(kind, SQSQueue)

    def check(self, properties: dict[str, Any], stack: Stack) -> list[str]:
        found = _extraneous(properties, self.members)
        kept = properties.get("MessageRetentionPeriod", 60)
        if not 60 <= int(kept) <= 1_209_600:
            found.append(f"#/MessageRetentionPeriod: {kept} is not between 60 and 1209600")
        return found


# -------------------------------------------------------------- registry

OWN = {
    "AWS::CDK::Metadata": CdkMetadata,
    "AWS::CloudFormation::WaitConditionHandle": WaitConditionHandle,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::CloudWatch::AnomalyDetector": AnomalyDetector,
    "AWS::CloudWatch::Dashboard": Dashboard,
    "AWS::Events::Rule": Rule,
    "AWS::Logs::LogGroup": LogGroup,
    "AWS::Logs::MetricFilter": MetricFilter,
    "AWS::Logs::ResourcePolicy": LogResourcePolicy,
    "AWS::S3::BucketPolicy": BucketPolicy,
    "AWS::SQS::Queue": Queue,
    "AWS::SQS::QueuePolicy": QueuePolicy,
}
# The modules of moto whose types are let through. Nested stacks and custom
# resources are not among them: moto's own engine would run them.
MOTO_MODULES = {
    "DynamoDB": "dynamodb",
    "EC2": "ec2",
    "ECR": "ecr",
    "Events": "events",
    "IAM": "iam",
    "KMS": "kms",
    "Lambda": "awslambda",
    "Logs": "logs",
    "S3": "s3",
    "SNS": "sns",
    "SQS": "sqs",
    "SSM": "ssm",
    "StepFunctions": "stepfunctions",
}


@cache
def provider(kind: str) -> Provider | None:
    """The provider of a resource type, or None when there is none."""
    if kind in OWN:
        return OWN[kind](kind)
    parts = kind.split("::")
    if len(parts) != 3 or parts[0] != "AWS" or parts[1] not in MOTO_MODULES:
        return None
    importlib.import_module(f"moto.{MOTO_MODULES[parts[1]]}.models")
    for model in CloudFormationModel.__subclasses__():
        if model.cloudformation_type() == kind:
            return MotoProvider(kind, model)
    return None


def supported(kind: str) -> bool:
    """Whether the local AWS has a resource type."""
    return provider(kind) is not None
