"""The CloudFormation resource types: how each is created, updated and deleted.

moto 5.2.1 skips AWS::CloudWatch::Alarm, AWS::CloudWatch::AnomalyDetector,
AWS::S3::BucketPolicy and AWS::CDK::Metadata without a word, and replaces a
Dashboard at every change. These have providers of their own here, which keep to
the create-only properties and the refusals of the real resource handlers. Any
other type that moto has goes to moto's model; what nobody has is unknown, and
template.py refuses it.
"""

from __future__ import annotations

import copy
import importlib
import random
import string
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.core.exceptions import ServiceException
from moto.utilities.utils import get_partition

import cloudwatch
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


# -------------------------------------------------------------- registry

OWN = {
    "AWS::CDK::Metadata": CdkMetadata,
    "AWS::CloudFormation::WaitConditionHandle": WaitConditionHandle,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::CloudWatch::AnomalyDetector": AnomalyDetector,
    "AWS::CloudWatch::Dashboard": Dashboard,
    "AWS::S3::BucketPolicy": BucketPolicy,
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
