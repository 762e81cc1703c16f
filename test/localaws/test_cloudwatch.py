"""The CloudWatch API: paging, filters, and each protocol that an SDK may speak."""

from __future__ import annotations

import datetime
import json
import urllib.request
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from support import (
    ENDPOINT,
    OTHER_REGION,
    REGION,
    StackCase,
    anomaly,
    client,
    dashboard,
    key_dimensions,
    raw,
    single_detector,
    static,
    unique,
)


class Alarms(StackCase):
    """DescribeAlarms and its relatives."""

    def put(self, properties: dict[str, Any]) -> str:
        self.cw.put_metric_alarm(**properties)
        name = properties["AlarmName"]
        self.addCleanup(self.delete, name)
        return name

    def delete(self, name: str) -> None:
        if name in self.alarms():
            self.cw.delete_alarms(AlarmNames=[name])

    def test_pages(self) -> None:
        prefix = unique("paged")
        names = [self.put(static(AlarmName=f"{prefix}-{n:03d}")) for n in range(7)]
        found: list[str] = []
        pages = 0
        arguments: dict[str, Any] = {"AlarmNamePrefix": prefix, "MaxRecords": 3}
        while True:
            page = self.cw.describe_alarms(**arguments)
            found += [a["AlarmName"] for a in page["MetricAlarms"]]
            pages += 1
            if "NextToken" not in page:
                break
            arguments["NextToken"] = page["NextToken"]
        self.assertEqual((3, names), (pages, found))

    def test_a_page_holds_50(self) -> None:
        prefix = unique("fifty")
        for n in range(51):
            self.put(static(AlarmName=f"{prefix}-{n:03d}"))
        page = self.cw.describe_alarms(AlarmNamePrefix=prefix)
        self.assertEqual(50, len(page["MetricAlarms"]))
        self.assertIn("NextToken", page)

    def test_invalid_token(self) -> None:
        with self.assertRaises(ClientError) as caught:
            self.cw.describe_alarms(NextToken="%%%")
        self.assertEqual("InvalidNextToken", caught.exception.response["Error"]["Code"])

    def test_too_many_records(self) -> None:
        with self.assertRaises(ClientError) as caught:
            self.cw.describe_alarms(MaxRecords=101)
        self.assertEqual("ValidationError", caught.exception.response["Error"]["Code"])

    def test_filters(self) -> None:
        one = self.put(static(AlarmActions=[f"arn:aws:sns:{REGION}:123456789012:filtered"]))
        two = self.put(anomaly())
        state = {"StateValue": "ALARM", "StateReason": "test"}
        self.cw.set_alarm_state(AlarmName=two, **state)

        def names(**arguments: Any) -> list[str]:
            found = self.cw.describe_alarms(**arguments)["MetricAlarms"]
            return [a["AlarmName"] for a in found]

        self.assertEqual([two], names(AlarmNames=[two, "nobody"]))
        self.assertEqual([two], names(AlarmNames=[one, two], StateValue="ALARM"))
        prefix = f"arn:aws:sns:{REGION}:123456789012:filt"
        self.assertEqual([one], names(ActionPrefix=prefix))
        self.assertEqual([], names(AlarmNames=[one], AlarmTypes=["CompositeAlarm"]))

    def test_for_metric(self) -> None:
        one = self.put(static(Dimensions=key_dimensions("for-metric")))
        found = self.cw.describe_alarms_for_metric(
            Namespace="AWS/KMS",
            MetricName="SuccessfulRequest",
            Dimensions=key_dimensions("for-metric"),
        )
        self.assertEqual([one], [a["AlarmName"] for a in found["MetricAlarms"]])

    def test_put_is_an_upsert_that_ignores_tags(self) -> None:
        mine = anomaly(Tags=[{"Key": "a", "Value": "1"}])
        name = self.put(mine)
        other = {**mine, "EvaluationPeriods": 9, "Tags": [{"Key": "a", "Value": "2"}]}
        self.cw.put_metric_alarm(**other)
        found = self.alarms()[name]
        self.assertEqual(9, found["EvaluationPeriods"])
        tags = self.cw.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
        self.assertEqual([{"Key": "a", "Value": "1"}], tags)

    def test_actions_can_be_switched_off(self) -> None:
        name = self.put(anomaly())
        self.cw.disable_alarm_actions(AlarmNames=[name])
        self.assertFalse(self.alarms()[name]["ActionsEnabled"])
        self.cw.enable_alarm_actions(AlarmNames=[name])
        self.assertTrue(self.alarms()[name]["ActionsEnabled"])

    def test_regions_are_apart(self) -> None:
        name = self.put(static())
        self.assertNotIn(name, self.alarms(OTHER_REGION))


class Detectors(StackCase):
    """PutAnomalyDetector, DescribeAnomalyDetectors, DeleteAnomalyDetector."""

    def put(self, key: str, **changes: Any) -> dict[str, Any]:
        mine = single_detector(key, **changes)
        self.cw.put_anomaly_detector(**mine)
        self.addCleanup(self.cw.delete_anomaly_detector, **single_detector(key))
        return mine

    def test_describe(self) -> None:
        mine = self.put("described", MetricCharacteristics={"PeriodicSpikes": True})
        found = self.cw.describe_anomaly_detectors(
            Namespace="AWS/KMS",
            MetricName="SuccessfulRequest",
            Dimensions=key_dimensions("described"),
        )["AnomalyDetectors"]
        self.assertEqual(1, len(found))
        single = found[0]["SingleMetricAnomalyDetector"]
        self.assertEqual(mine["SingleMetricAnomalyDetector"], single)
        self.assertEqual(key_dimensions("described"), found[0]["Dimensions"])
        self.assertEqual({"PeriodicSpikes": True}, found[0]["MetricCharacteristics"])
        self.assertEqual("PENDING_TRAINING", found[0]["StateValue"])

    def test_put_is_an_upsert(self) -> None:
        mine = self.put("upsert")
        zone = {"MetricTimezone": "Asia/Tokyo"}
        self.cw.put_anomaly_detector(**mine, Configuration=zone)
        self.assertEqual(1, self.detectors().count(("upsert", "Sum")))

    def test_the_deprecated_form_names_the_same_detector(self) -> None:
        self.put("legacy")
        legacy = {
            "Namespace": "AWS/KMS",
            "MetricName": "SuccessfulRequest",
            "Dimensions": key_dimensions("legacy"),
            "Stat": "Sum",
        }
        self.cw.put_anomaly_detector(**legacy)
        self.assertEqual(1, self.detectors().count(("legacy", "Sum")))

    def test_delete_by_id(self) -> None:
        made = self.cw.put_anomaly_detector(**single_detector("by-id"))
        self.cw.delete_anomaly_detector(AnomalyDetectorId=made["AnomalyDetectorId"])
        self.assertNotIn(("by-id", "Sum"), self.detectors())

    def test_pages(self) -> None:
        for n in range(5):
            self.put(f"paged{n}")
        found: list[str] = []
        pages = 0
        arguments: dict[str, Any] = {"MaxResults": 2}
        while True:
            page = self.cw.describe_anomaly_detectors(**arguments)
            self.assertLessEqual(len(page["AnomalyDetectors"]), 2)
            found += [json.dumps(d["Dimensions"]) for d in page["AnomalyDetectors"]]
            pages += 1
            if "NextToken" not in page:
                break
            arguments["NextToken"] = page["NextToken"]
        self.assertGreaterEqual(pages, 3)
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(5, sum("paged" in item for item in found))

    def test_regions_are_apart(self) -> None:
        self.put("regional")
        self.assertNotIn(("regional", "Sum"), self.detectors(OTHER_REGION))


class Protocols(StackCase):
    """The same calls in JSON, as a form and in CBOR."""

    def call(self, protocol: str, operation: str, **params: Any) -> dict[str, Any]:
        """A call as an SDK of that protocol makes it; returns what it would parse."""
        model = botocore.session.get_session().get_service_model("cloudwatch")
        shape = model.operation_model(operation)
        request = create_serializer(protocol, False).serialize_to_request(params, shape)
        body = request["body"]
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body).encode()
        if isinstance(body, str):
            body = body.encode()
        headers = {key: str(value) for key, value in request["headers"].items()}
        status, answer_headers, answer = raw(request["url_path"], body, headers)
        if protocol == "smithy-rpc-v2-cbor":
            self.assertEqual("application/cbor", answer_headers["Content-Type"])
            self.assertEqual("rpc-v2-cbor", answer_headers["smithy-protocol"])
        lower = {key.lower(): value for key, value in answer_headers.items()}
        response = {"status_code": status, "headers": lower, "body": answer}
        return create_parser(protocol).parse(response, shape.output_shape)

    def check(self, protocol: str) -> None:
        name = unique(f"protocol-{protocol}")
        self.call(protocol, "PutMetricAlarm", **anomaly(AlarmName=name))
        self.call(protocol, "PutAnomalyDetector", **single_detector(name))
        self.addCleanup(self.cw.delete_anomaly_detector, **single_detector(name))
        self.call(protocol, "PutDashboard", **dashboard(DashboardName=name))
        self.addCleanup(self.cw.delete_dashboards, DashboardNames=[name])

        found = self.call(protocol, "DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
        self.assertEqual(name, found[0]["AlarmName"])
        self.assertEqual(3, found[0]["EvaluationPeriods"])
        self.assertIs(True, found[0]["Metrics"][0]["ReturnData"])
        stamp = found[0]["StateUpdatedTimestamp"]
        self.assertIsInstance(stamp, datetime.datetime)
        age = datetime.datetime.now(datetime.timezone.utc) - stamp
        self.assertLess(abs(age.total_seconds()), 600)

        page = self.call(protocol, "DescribeAnomalyDetectors", Namespace="AWS/KMS")
        self.assertIn(name, json.dumps([d["Dimensions"] for d in page["AnomalyDetectors"]]))
        entries = self.call(protocol, "ListDashboards", DashboardNamePrefix=name)
        self.assertEqual([name], [d["DashboardName"] for d in entries["DashboardEntries"]])
        body = self.call(protocol, "GetDashboard", DashboardName=name)["DashboardBody"]
        self.assertIn("widgets", json.loads(body))

        refused = self.call(protocol, "PutMetricAlarm", **static(Period=90))
        self.assertEqual("ValidationError", refused["Error"]["Code"])
        self.assertIn("multiple of 60", refused["Error"]["Message"])
        missing = self.call(protocol, "DeleteAlarms", AlarmNames=["nobody"])
        self.assertEqual("ResourceNotFound", missing["Error"]["Code"])

        self.call(protocol, "DeleteAlarms", AlarmNames=[name])
        self.assertNotIn(name, self.alarms())

    def test_json(self) -> None:
        self.check("json")

    def test_query(self) -> None:
        self.check("query")

    def test_cbor(self) -> None:
        self.check("smithy-rpc-v2-cbor")


class Journal(StackCase):
    """GET /keywatch-local/calls."""

    def calls(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{ENDPOINT}/keywatch-local/calls") as answer:
            return json.load(answer)["calls"]

    def test_reads_and_writes(self) -> None:
        before = len(self.calls())
        mine = static(AlarmDescription="d" * 1000)
        self.cw.put_metric_alarm(**mine)
        self.cw.describe_alarms()
        self.cfn.list_stacks()
        client("sts", OTHER_REGION).get_caller_identity()
        client("kms").list_keys()
        with self.assertRaises(ClientError):
            self.cfn.describe_stacks(StackName="nobody")
        self.cw.delete_alarms(AlarmNames=[mine["AlarmName"]])
        calls = self.calls()[before:]
        self.assertEqual(
            [
                ("cloudwatch", "PutMetricAlarm", REGION, True, 200, ""),
                ("cloudwatch", "DescribeAlarms", REGION, False, 200, ""),
                ("cloudformation", "ListStacks", REGION, False, 200, ""),
                ("sts", "GetCallerIdentity", OTHER_REGION, False, 200, ""),
                ("kms", "ListKeys", REGION, False, 200, ""),
                ("cloudformation", "DescribeStacks", REGION, False, 400, "ValidationError"),
                ("cloudwatch", "DeleteAlarms", REGION, True, 200, ""),
            ],
            [
                tuple(c[k] for k in ("service", "action", "region", "write", "status", "error"))
                for c in calls
            ],
        )
        self.assertEqual(mine["AlarmName"], calls[0]["params"]["AlarmName"])
        self.assertLess(len(calls[0]["params"]["AlarmDescription"]), 300)
        self.assertNotIn("params", calls[1])
        self.assertEqual(list(range(before + 1, before + 8)), [c["seq"] for c in calls])
