"""What the Python tests of the local AWS share."""

from __future__ import annotations

import copy
import itertools
import json
import os
import unittest
import urllib.error
import urllib.request
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

REGION = "eu-west-1"
OTHER_REGION = "us-east-1"
ACCOUNT = "123456789012"
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:pager"

_numbers = itertools.count(1)


@cache
def client(service: str, region: str = REGION) -> Any:
    """A boto3 client that does not try again: a refusal is an answer."""
    retries = {"max_attempts": 1, "mode": "standard"}
    return boto3.client(service, region_name=region, config=Config(retries=retries))


def unique(prefix: str = "t") -> str:
    """A name that no other test uses."""
    return f"{prefix}-{next(_numbers):04d}"


def key_dimensions(key: str = "k1", operation: str = "Decrypt") -> list[dict[str, str]]:
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"
    return [
        {"Name": "KeyArn", "Value": arn},
        {"Name": "Operation", "Value": operation},
    ]


def metric_stat(key: str = "k1", period: int = 300) -> dict[str, Any]:
    return {
        "Metric": {
            "Namespace": "AWS/KMS",
            "MetricName": "SuccessfulRequest",
            "Dimensions": key_dimensions(key),
        },
        "Period": period,
        "Stat": "Sum",
    }


def anomaly(key: str = "k1", band: str = "2", **changes: Any) -> dict[str, Any]:
    """The properties of an anomaly alarm. A change to None leaves a property out."""
    properties: dict[str, Any] = {
        "AlarmName": unique("alarm"),
        "ComparisonOperator": "GreaterThanUpperThreshold",
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
        "ThresholdMetricId": "ad1",
        "AlarmActions": [TOPIC],
        "Metrics": [
            {"Id": "m1", "MetricStat": metric_stat(key), "ReturnData": True},
            {"Id": "ad1", "Expression": f"ANOMALY_DETECTION_BAND(m1, {band})"},
        ],
    }
    return changed(properties, changes)


def static(**changes: Any) -> dict[str, Any]:
    """The properties of an alarm on one metric."""
    properties = {
        "AlarmName": unique("alarm"),
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Namespace": "AWS/KMS",
        "MetricName": "SuccessfulRequest",
        "Dimensions": key_dimensions(),
        "Period": 300,
        "Statistic": "Sum",
        "Threshold": 100,
    }
    return changed(properties, changes)


def single_detector(key: str = "k1", stat: str = "Sum", **changes: Any) -> dict[str, Any]:
    """The properties of an anomaly detector."""
    properties = {
        "SingleMetricAnomalyDetector": {
            "Namespace": "AWS/KMS",
            "MetricName": "SuccessfulRequest",
            "Dimensions": key_dimensions(key),
            "Stat": stat,
        }
    }
    return changed(properties, changes)


def dashboard(**changes: Any) -> dict[str, Any]:
    """The properties of a dashboard."""
    widget = {"type": "text", "properties": {"markdown": "hello"}}
    properties = {
        "DashboardName": unique("dashboard"),
        "DashboardBody": json.dumps({"widgets": [widget]}),
    }
    return changed(properties, changes)


def changed(properties: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = {**copy.deepcopy(properties), **changes}
    return {key: value for key, value in merged.items() if value is not None}


def alarm(properties: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    return resource("AWS::CloudWatch::Alarm", properties or anomaly(), **attributes)


def detector(properties: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    kind = "AWS::CloudWatch::AnomalyDetector"
    return resource(kind, properties or single_detector(), **attributes)


def resource(kind: str, properties: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties, **attributes}


def raw(
    path: str, body: bytes, headers: dict[str, str], service: str = "monitoring"
) -> tuple[int, dict[str, str], bytes]:
    """A request by hand; nobody checks signatures here."""
    scope = f"Credential=local/20260101/{REGION}/{service}/aws4_request"
    request = urllib.request.Request(
        ENDPOINT + path,
        data=body,
        headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}, Signature=0", **headers},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


class StackCase(unittest.TestCase):
    """A test that deploys stacks, and deletes them."""

    maxDiff = None

    def setUp(self) -> None:
        self.cfn = client("cloudformation")
        self.cw = client("cloudwatch")

    def create(self, resources: dict[str, Any], region: str = REGION, **arguments: Any) -> str:
        """Creates a stack and returns its ID, whatever became of it."""
        cfn = client("cloudformation", region)
        name = arguments.pop("StackName", unique("stack"))
        body = json.dumps({"Resources": resources, **arguments.pop("sections", {})})
        stack_id = cfn.create_stack(StackName=name, TemplateBody=body, **arguments)["StackId"]
        self.addCleanup(cfn.delete_stack, StackName=stack_id)
        return stack_id

    def update(self, stack_id: str, resources: dict[str, Any], **arguments: Any) -> None:
        body = json.dumps({"Resources": resources, **arguments.pop("sections", {})})
        self.cfn.update_stack(StackName=stack_id, TemplateBody=body, **arguments)

    def status(self, stack_id: str) -> str:
        return self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]

    def events(self, stack_id: str) -> list[tuple[str, str, str]]:
        """(logical ID, status, reason), oldest first."""
        pages = self.cfn.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        events = [event for page in pages for event in page["StackEvents"]]
        return [
            (e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", ""))
            for e in reversed(events)
        ]

    def created(self, resources: dict[str, Any], **arguments: Any) -> str:
        """Creates a stack, which must succeed."""
        stack_id = self.create(resources, **arguments)
        if arguments.get("region", REGION) == REGION:
            self.assertEqual("CREATE_COMPLETE", self.status(stack_id), self.failures(stack_id))
        return stack_id

    def updated(self, stack_id: str, resources: dict[str, Any], **arguments: Any) -> None:
        """Updates a stack, which must succeed."""
        self.update(stack_id, resources, **arguments)
        self.assertEqual("UPDATE_COMPLETE", self.status(stack_id), self.failures(stack_id))

    def failures(self, stack_id: str) -> list[tuple[str, str, str]]:
        return [event for event in self.events(stack_id) if "FAILED" in event[1]]

    def physical(self, stack_id: str) -> dict[str, str]:
        """The physical ID of each logical ID."""
        pages = self.cfn.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        found = [item for page in pages for item in page["StackResourceSummaries"]]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}

    def changed(self, stack_id: str) -> dict[str, Any]:
        """When each logical ID was last made or changed."""
        pages = self.cfn.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        found = [item for page in pages for item in page["StackResourceSummaries"]]
        return {item["LogicalResourceId"]: item["LastUpdatedTimestamp"] for item in found}

    def alarms(self, region: str = REGION) -> dict[str, dict[str, Any]]:
        pages = client("cloudwatch", region).get_paginator("describe_alarms").paginate()
        return {a["AlarmName"]: a for page in pages for a in page["MetricAlarms"]}

    def detectors(self, region: str = REGION) -> list[tuple[str, str]]:
        """(the end of the key's ARN, statistic) of each detector."""
        cw = client("cloudwatch", region)
        pages = cw.get_paginator("describe_anomaly_detectors").paginate()
        singles = [
            d["SingleMetricAnomalyDetector"] for page in pages for d in page["AnomalyDetectors"]
        ]
        return sorted((s["Dimensions"][0]["Value"].rpartition("/")[2], s["Stat"]) for s in singles)
