"""The local AWS refuses what AWS would refuse, and then nothing is left."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from support import (
    ACCOUNT,
    OTHER_REGION,
    REGION,
    StackCase,
    alarm,
    anomaly,
    client,
    dashboard,
    detector,
    key_dimensions,
    metric_stat,
    resource,
    single_detector,
    static,
    unique,
)

MANY_ACTIONS = [f"arn:aws:sns:{REGION}:{ACCOUNT}:topic-{n}" for n in range(6)]


def metrics(*queries: dict[str, Any]) -> dict[str, Any]:
    return {"Metrics": list(queries)}


def stat(name: str = "m1", returns: bool = True, period: int = 300) -> dict[str, Any]:
    return {"Id": name, "MetricStat": metric_stat(period=period), "ReturnData": returns}


def band(expression: str = "ANOMALY_DETECTION_BAND(m1, 2)", name: str = "ad1") -> Any:
    return {"Id": name, "Expression": expression}


class Refusals(StackCase):
    """Stacks with one resource that must fail."""

    def refused(self, refused: dict[str, Any], reason: str) -> None:
        """The stack must roll back for this reason, and leave nothing behind."""
        before = (self.alarms(), self.detectors())
        innocent = static()
        stack_id = self.create({"A": alarm(innocent), "B": {**refused, "DependsOn": "A"}})
        self.assertEqual("ROLLBACK_COMPLETE", self.status(stack_id))
        failures = self.failures(stack_id)
        self.assertEqual([("B", "CREATE_FAILED")], [f[:2] for f in failures])
        self.assertIn(reason, failures[0][2])
        self.assertIn(("A", "DELETE_COMPLETE", ""), self.events(stack_id))
        self.assertEqual(before, (self.alarms(), self.detectors()))


class AlarmRefusals(Refusals):
    """AWS::CloudWatch::Alarm."""


ALARMS = {
    # the service model
    "unknown_property": (anomaly(Color="red"), "extraneous key [Color] is not permitted"),
    "read_only_property": (anomaly(Arn="arn:aws:x"), "extraneous key [Arn]"),
    "unknown_member_of_a_query": (
        anomaly(**metrics({**stat(), "Colour": "red"}, band())),
        "extraneous key [Colour] is not permitted",
    ),
    "wrong_type": (anomaly(EvaluationPeriods="three"), "expected an integer"),
    "wrong_type_list": (anomaly(AlarmActions="arn:aws:sns"), "expected an array"),
    "wrong_type_structure": (anomaly(**metrics("m1")), "expected an object"),
    "required_member": (
        anomaly(**metrics({"Id": "m1", "MetricStat": {"Stat": "Sum"}}, band())),
        "required key [Metric] not found",
    ),
    "enum": (anomaly(ComparisonOperator="MoreThan"), "is not a valid enum value"),
    "enum_statistic": (static(Statistic="Median"), "is not a valid enum value"),
    "enum_unit": (static(Unit="Requests"), "is not a valid enum value"),
    "name_too_long": (anomaly(AlarmName="n" * 256), "length 256 is above the maximum 255"),
    "name_empty": (anomaly(AlarmName=""), "length 0 is below the minimum 1"),
    "description_too_long": (
        anomaly(AlarmDescription="d" * 1025),
        "length 1025 is above the maximum 1024",
    ),
    "namespace_pattern": (static(Namespace=":kms"), "does not match pattern"),
    "dimension_too_long": (
        static(Dimensions=[{"Name": "KeyArn", "Value": "v" * 1025}]),
        "length 1025 is above the maximum 1024",
    ),
    "expression_too_long": (
        anomaly(**metrics(stat(), band("ANOMALY_DETECTION_BAND(m1, 2)" + " " * 2048))),
        "is above the maximum 2048",
    ),
    "too_many_dimensions": (
        static(Dimensions=[{"Name": f"d{n}", "Value": "v"} for n in range(31)]),
        "item count 31 is above the maximum 30",
    ),
    "too_many_actions": (
        anomaly(AlarmActions=MANY_ACTIONS),
        "#/AlarmActions: item count 6 is above the maximum 5",
    ),
    "too_many_ok_actions": (anomaly(OKActions=MANY_ACTIONS), "#/OKActions: item count 6"),
    "too_many_insufficient_data_actions": (
        anomaly(InsufficientDataActions=MANY_ACTIONS),
        "#/InsufficientDataActions: item count 6",
    ),
    "zero_evaluation_periods": (anomaly(EvaluationPeriods=0), "is below the minimum 1"),
    # the name
    "control_character_in_name": (anomaly(AlarmName="a\tb"), "ASCII control characters"),
    # what the alarm is about
    "neither_metrics_nor_metric_name": (anomaly(Metrics=None), "found none"),
    "metrics_and_metric_name": (
        anomaly(MetricName="SuccessfulRequest"),
        "Exactly one of Metrics, MetricName",
    ),
    "metrics_and_period": (
        anomaly(Period=300),
        "Metrics and Period must not be specified together",
    ),
    "metrics_and_dimensions": (
        anomaly(Dimensions=key_dimensions()),
        "Metrics and Dimensions must not be specified together",
    ),
    "metrics_and_namespace": (
        anomaly(Namespace="AWS/KMS"),
        "Metrics and Namespace must not be specified together",
    ),
    "metrics_and_statistic": (
        anomaly(Statistic="Sum"),
        "Metrics and Statistic must not be specified together",
    ),
    "metrics_and_unit": (
        anomaly(Unit="Count"),
        "Metrics and Unit must not be specified together",
    ),
    "no_namespace": (static(Namespace=None), "Namespace is required"),
    "no_statistic": (static(Statistic=None), "Exactly one of Statistic"),
    "two_statistics": (static(ExtendedStatistic="p99"), "Exactly one of Statistic"),
    "no_period": (static(Period=None), "Period is required"),
    # thresholds
    "threshold_beside_threshold_metric_id": (
        anomaly(Threshold=1),
        "Threshold and ThresholdMetricId must not be specified together",
    ),
    "no_threshold": (static(Threshold=None), "One of Threshold and ThresholdMetricId"),
    "no_operator": (static(ComparisonOperator=None), "ComparisonOperator is required"),
    "anomaly_operator_without_threshold_metric_id": (
        static(ComparisonOperator="GreaterThanUpperThreshold"),
        "requires ThresholdMetricId",
    ),
    "static_operator_with_threshold_metric_id": (
        anomaly(ComparisonOperator="GreaterThanThreshold"),
        "must not be used with ThresholdMetricId",
    ),
    "unknown_threshold_metric_id": (
        anomaly(ThresholdMetricId="ad2"),
        "ThresholdMetricId ad2 is not the Id of an element of Metrics",
    ),
    "threshold_metric_is_no_band": (
        anomaly(**metrics(stat(), band("m1 * 2"))),
        "must be ANOMALY_DETECTION_BAND(metric, deviations)",
    ),
    "band_over_a_metric_that_returns_no_data": (
        anomaly(**metrics(stat(), stat("m2", False), band("ANOMALY_DETECTION_BAND(m2, 2)"))),
        "must be over the metric that returns data (m1), not m2",
    ),
    "band_with_nothing_that_returns_data": (
        anomaly(**metrics(stat(returns=False), band())),
        "must return data beside the threshold ad1; found 0",
    ),
    "band_with_two_that_return_data": (
        anomaly(**metrics(stat(), stat("m2"), band())),
        "must return data beside the threshold ad1; found 2: m1, m2",
    ),
    "band_of_zero": (anomaly(band="0"), "must be a positive number, not 0"),
    "band_below_zero": (anomaly(band="-2"), "must be a positive number, not -2"),
    "band_over_a_high_resolution_metric": (
        anomaly(**metrics(stat(period=10), band())),
        "takes periods from 60 to 3600; found 10",
    ),
    "band_over_more_than_an_hour": (
        anomaly(**metrics(stat(period=7200), band())),
        "takes periods from 60 to 3600; found 7200",
    ),
    # queries
    "no_queries": (anomaly(Metrics=[]), "Metrics must not be empty"),
    "metric_id_pattern": (
        anomaly(**metrics(stat("M1"), band("ANOMALY_DETECTION_BAND(M1, 2)"))),
        "The Id 'M1' must start with a lower-case letter",
    ),
    "metric_id_twice": (
        anomaly(**metrics(stat(), stat(), band())),
        "The Id m1 is used more than once",
    ),
    "query_without_metric_or_expression": (
        anomaly(**metrics({"Id": "m1"}, band())),
        "m1: exactly one of MetricStat and Expression is required",
    ),
    "expression_over_an_unknown_id": (
        static(
            **dict.fromkeys(("MetricName", "Namespace", "Dimensions", "Period", "Statistic")),
            **metrics(stat(returns=False), {"Id": "e1", "Expression": "SUM([m1, m9])"}),
        ),
        "the expression uses m9, which is not an Id of Metrics",
    ),
    "two_queries_return_data": (
        anomaly(
            ThresholdMetricId=None,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            **metrics(stat(), stat("m2")),
        ),
        "Exactly one element of the Metrics list must return data; found 2",
    ),
    "too_many_metric_stats": (
        anomaly(**metrics(stat(), *[stat(f"x{n}", False) for n in range(10)], band())),
        "of which 10 MetricStat and 10 Expression; found 12, 11 and 1",
    ),
    "metrics_insights_query_without_period": (
        anomaly(
            ThresholdMetricId=None,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            **metrics({"Id": "q1", "Expression": 'SELECT SUM(x) FROM "AWS/KMS"'}),
        ),
        "q1: a Metrics Insights query needs a Period",
    ),
    # evaluation
    "no_evaluation_periods": (
        anomaly(EvaluationPeriods=None),
        "EvaluationPeriods is required",
    ),
    "more_datapoints_than_periods": (
        anomaly(DatapointsToAlarm=4),
        "DatapointsToAlarm 4 must not be greater than EvaluationPeriods 3",
    ),
    "more_than_a_day": (
        anomaly(EvaluationPeriods=289),
        "more than 86400 seconds: EvaluationPeriods 289 * Period 300",
    ),
    "more_than_a_week": (
        static(Period=3600, EvaluationPeriods=169),
        "more than 604800 seconds: EvaluationPeriods 169 * Period 3600",
    ),
    "odd_period": (static(Period=90), "Period 90 must be 10, 20, 30 or a multiple of 60"),
    "odd_period_of_a_query": (
        anomaly(**metrics(stat(period=90), band())),
        "m1: Period 90 must be 10, 20, 30 or a multiple of 60",
    ),
    "missing_data": (
        anomaly(TreatMissingData="notbreaching"),
        "Option notbreaching is not supported for TreatMissingData",
    ),
    # actions
    "action_is_no_arn": (anomaly(AlarmActions=["pager"]), "invalid ARN syntax: pager"),
    "action_in_another_region": (
        anomaly(AlarmActions=[f"arn:aws:sns:{OTHER_REGION}:{ACCOUNT}:pager"]),
        f"invalid region {OTHER_REGION}",
    ),
    "scaling_action_of_an_anomaly_alarm": (
        anomaly(OKActions=[f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:x"]),
        "cannot have Auto Scaling actions",
    ),
    # dimensions and tags
    "dimension_twice": (
        static(Dimensions=[{"Name": "KeyArn", "Value": v} for v in "ab"]),
        "The dimension KeyArn is given more than once",
    ),
    "dimension_not_ascii": (
        static(Dimensions=[{"Name": "KeyArn", "Value": "schlüssel"}]),
        "must hold printable ASCII only",
    ),
    "too_many_tags": (
        anomaly(Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)]),
        "A resource may have 50 tags, not 51",
    ),
    "reserved_tag": (
        anomaly(Tags=[{"Key": "aws:team", "Value": "v"}]),
        "must not start with aws:",
    ),
}


class DetectorRefusals(Refusals):
    """AWS::CloudWatch::AnomalyDetector."""


def configured(**configuration: Any) -> dict[str, Any]:
    return single_detector("refused", Configuration=configuration)


def single(**changes: Any) -> dict[str, Any]:
    properties = single_detector("refused")
    inner = {**properties["SingleMetricAnomalyDetector"], **changes}
    kept = {key: value for key, value in inner.items() if value is not None}
    return {"SingleMetricAnomalyDetector": kept}


def excluded(start: str, end: str = "2026-02-01T00:00:00") -> dict[str, Any]:
    return configured(ExcludedTimeRanges=[{"StartTime": start, "EndTime": end}])


DETECTORS = {
    "unknown_property": (single_detector(Color="red"), "extraneous key [Color]"),
    "tags": (
        single_detector(Tags=[{"Key": "team", "Value": "x"}]),
        "extraneous key [Tags] is not permitted",
    ),
    "unknown_member": (single(Colour="red"), "extraneous key [Colour]"),
    "wrong_type": (
        single_detector(MetricCharacteristics={"PeriodicSpikes": "often"}),
        "expected a boolean",
    ),
    "statistic_pattern": (single(Stat="Median"), "does not match pattern"),
    "no_statistic": (single(Stat=None), "Stat is required"),
    "no_namespace": (single(Namespace=None), "Namespace is required"),
    "nothing": ({"Configuration": {}}, "found none"),
    "both_forms": (
        single_detector(Namespace="AWS/KMS", MetricName="SuccessfulRequest", Stat="Sum"),
        "Exactly one of SingleMetricAnomalyDetector",
    ),
    "excluded_range_with_zone": (
        excluded("2026-01-01T00:00:00Z"),
        "does not match yyyy-MM-dd'T'HH:mm:ss",
    ),
    "excluded_range_backwards": (
        excluded("2026-03-01T00:00:00"),
        "must be before its EndTime",
    ),
    "too_many_excluded_ranges": (
        configured(
            ExcludedTimeRanges=[
                {"StartTime": f"2026-01-{n:02d}T00:00:00", "EndTime": f"2026-01-{n:02d}T01:00:00"}
                for n in range(1, 12)
            ]
        ),
        "At most 10 ExcludedTimeRanges are allowed, not 11",
    ),
    "time_zone": (configured(MetricTimeZone="Mars/Olympus"), "not in the tz database"),
    "spelling_of_the_api": (
        configured(MetricTimezone="Europe/Dublin"),
        "extraneous key [MetricTimezone] is not permitted",
    ),
}


class DashboardRefusals(Refusals):
    """AWS::CloudWatch::Dashboard."""


def body(*widgets: Any) -> str:
    return json.dumps({"widgets": list(widgets)})


DASHBOARDS = {
    "name_characters": (dashboard(DashboardName="key watch"), "letters, digits, - and _"),
    "name_too_long": (dashboard(DashboardName="d" * 256), "must be 1 to 255 characters"),
    "body_not_json": (dashboard(DashboardBody="{widgets:"), "is not JSON"),
    "body_without_widgets": (dashboard(DashboardBody='{"start": "-PT1H"}'), '"widgets"'),
    "no_body": (dashboard(DashboardBody=None), "required key [DashboardBody] not found"),
    "unknown_property": (dashboard(Colour="red"), "extraneous key [Colour]"),
    "widget_type": (
        dashboard(DashboardBody=body({"type": "pie", "properties": {}})),
        "/widgets/0: type must be one of",
    ),
    "metric_widget_without_region": (
        dashboard(DashboardBody=body({"type": "metric", "properties": {"metrics": []}})),
        "region is required",
    ),
    "alarm_widget_with_too_many_alarms": (
        dashboard(DashboardBody=body({"type": "alarm", "properties": {"alarms": ["a"] * 101}})),
        "alarms must list 1 to 100 ARNs",
    ),
    "too_many_widgets": (
        dashboard(DashboardBody=body(*[{"type": "text", "properties": {"markdown": ""}}] * 501)),
        "A dashboard may have 500 widgets, not 501",
    ),
}


def _add(case: type[Refusals], kind: str, table: dict[str, Any]) -> None:
    """Gives a class one test for each refusal in a table."""
    for name, (properties, reason) in table.items():

        def test(self: Refusals, properties: Any = properties, reason: str = reason) -> None:
            self.refused(resource(kind, properties), reason)

        test.__name__ = f"test_{name}"
        setattr(case, test.__name__, test)


_add(AlarmRefusals, "AWS::CloudWatch::Alarm", ALARMS)
_add(DetectorRefusals, "AWS::CloudWatch::AnomalyDetector", DETECTORS)
_add(DashboardRefusals, "AWS::CloudWatch::Dashboard", DASHBOARDS)


class Duplicates(Refusals):
    """What exists cannot be created."""

    def test_alarm_of_another_stack(self) -> None:
        name = unique("taken")
        self.created({"A": alarm(anomaly(AlarmName=name))})
        self.refused(alarm(anomaly(AlarmName=name)), f"'{name}' already exists")
        self.assertIn(name, self.alarms(), "the alarm of the first stack must survive")

    def test_alarm_of_the_same_stack(self) -> None:
        name = unique("twice")
        both = {"A": alarm(anomaly(AlarmName=name)), "B": alarm(static(AlarmName=name))}
        stack_id = self.create(both)
        self.assertEqual("ROLLBACK_COMPLETE", self.status(stack_id))
        self.assertNotIn(name, self.alarms())

    def test_alarm_made_by_the_api(self) -> None:
        mine = anomaly()
        self.cw.put_metric_alarm(**mine)
        self.addCleanup(self.cw.delete_alarms, AlarmNames=[mine["AlarmName"]])
        self.refused(alarm(mine), "already exists")
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_alarm_moved_within_a_stack(self) -> None:
        mine = anomaly()
        stack_id = self.created({"Old": alarm(mine)})
        self.update(stack_id, {"New": alarm(mine)})
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.status(stack_id))
        self.assertIn("already exists", self.failures(stack_id)[0][2])
        self.assertEqual({"Old": mine["AlarmName"]}, self.physical(stack_id))

    def test_same_alarm_name_in_another_region_is_fine(self) -> None:
        mine = static()
        self.created({"A": alarm(mine)})
        self.created({"A": alarm(mine)}, region=OTHER_REGION)
        self.assertIn(mine["AlarmName"], self.alarms())
        self.assertIn(mine["AlarmName"], self.alarms(OTHER_REGION))

    def test_detector_of_another_stack(self) -> None:
        self.created({"D": detector(single_detector("shared"))})
        self.refused(detector(single_detector("shared")), "already exists")
        self.assertIn(("shared", "Sum"), self.detectors())

    def test_detector_of_the_same_stack(self) -> None:
        two = {"A": detector(single_detector("same")), "B": detector(single_detector("same"))}
        stack_id = self.create(two)
        self.assertEqual("ROLLBACK_COMPLETE", self.status(stack_id))
        self.assertNotIn(("same", "Sum"), self.detectors())

    def test_detector_with_its_dimensions_in_another_order(self) -> None:
        mine = single_detector("order")
        other = json.loads(json.dumps(mine))
        other["SingleMetricAnomalyDetector"]["Dimensions"].reverse()
        self.created({"D": detector(mine)})
        self.refused(detector(other), "already exists")

    def test_detector_of_another_statistic_is_fine(self) -> None:
        self.created({"D": detector(single_detector("stats"))})
        self.created({"D": detector(single_detector("stats", stat="Average"))})
        self.assertIn(("stats", "Average"), self.detectors())

    def test_detector_in_another_region_is_fine(self) -> None:
        self.created({"D": detector(single_detector("regions"))})
        self.created({"D": detector(single_detector("regions"))}, region=OTHER_REGION)
        self.assertIn(("regions", "Sum"), self.detectors(OTHER_REGION))

    def test_detector_made_by_the_api_is_taken_over(self) -> None:
        self.cw.put_anomaly_detector(**single_detector("api"))
        self.created({"D": detector(single_detector("api"))})
        self.assertEqual(1, self.detectors().count(("api", "Sum")))

    def test_dashboard_of_another_region(self) -> None:
        mine = dashboard()
        kind = "AWS::CloudWatch::Dashboard"
        self.created({"A": resource(kind, mine)}, region=OTHER_REGION)
        self.refused(resource(kind, mine), "already exists")


class TemplateRefusals(StackCase):
    """A template that CloudFormation does not even begin with."""

    def refused(self, template: Any, *reasons: str, **arguments: Any) -> None:
        """CreateStack and CreateChangeSet must refuse, and make no stack."""
        text = template if isinstance(template, str) else json.dumps(template)
        arguments = arguments or {"TemplateBody": text}
        name = unique("refused")
        calls = (
            lambda: self.cfn.create_stack(StackName=name, **arguments),
            lambda: self.cfn.create_change_set(
                StackName=name, ChangeSetName="c", ChangeSetType="CREATE", **arguments
            ),
        )
        for call in calls:
            with self.assertRaises(ClientError) as caught:
                call()
            error = caught.exception.response["Error"]
            self.assertEqual("ValidationError", error["Code"])
            for reason in reasons:
                self.assertIn(reason, error["Message"])
        with self.assertRaises(ClientError):
            self.cfn.describe_stacks(StackName=name)

    def stored(self, text: str) -> str:
        """The URL of a template in a bucket."""
        s3 = client("s3")
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket="templates", CreateBucketConfiguration=where)
        s3.put_object(Bucket="templates", Key="t.json", Body=text.encode())
        self.addCleanup(s3.delete_bucket, Bucket="templates")
        self.addCleanup(s3.delete_object, Bucket="templates", Key="t.json")
        return f"https://s3.{REGION}.amazonaws.com/templates/t.json"

    def test_unknown_resource_type(self) -> None:
        template = {"Resources": {"A": alarm(), "X": resource("AWS::KMS::Nothing", {})}}
        self.refused(template, "Unrecognized resource types: [AWS::KMS::Nothing]")

    def test_unknown_service(self) -> None:
        template = {"Resources": {"X": resource("AWS::Foo::Bar", {})}}
        self.refused(template, "Unrecognized resource types: [AWS::Foo::Bar]")

    def test_custom_resource(self) -> None:
        template = {"Resources": {"X": resource("Custom::Thing", {})}}
        self.refused(template, "Unrecognized resource types: [Custom::Thing]")

    def test_unknown_resource_type_in_an_update(self) -> None:
        stack_id = self.created({"A": alarm()})
        with self.assertRaisesRegex(ClientError, "Unrecognized resource types"):
            self.update(stack_id, {"X": resource("AWS::Foo::Bar", {})})
        self.assertEqual("CREATE_COMPLETE", self.status(stack_id))

    def test_more_than_500_resources(self) -> None:
        handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
        template = {"Resources": {f"R{n}": handle for n in range(501)}}
        text = json.dumps(template)
        self.refused(text, "Number of resources, 501, is greater than maximum allowed, 500")

    def test_500_resources_are_fine(self) -> None:
        handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
        stack_id = self.created({f"R{n}": handle for n in range(500)})
        self.assertEqual(500, len(self.physical(stack_id)))

    def test_no_resources(self) -> None:
        self.refused({"Resources": {}}, "At least one Resources member must be defined")

    def test_no_resources_section(self) -> None:
        self.refused({"Description": "x"}, "At least one Resources member must be defined")

    def test_inline_above_51200_bytes(self) -> None:
        template = {"Resources": {"A": alarm()}, "Metadata": {"x": "x" * 51_200}}
        self.refused(template, "less than or equal to 51200")

    def test_in_a_bucket_above_51200_bytes_is_fine(self) -> None:
        mine = anomaly()
        template = {"Resources": {"A": alarm(mine)}, "Metadata": {"x": "x" * 51_200}}
        url = self.stored(json.dumps(template))
        stack_id = self.cfn.create_stack(StackName=unique("stack"), TemplateURL=url)["StackId"]
        self.addCleanup(self.cfn.delete_stack, StackName=stack_id)
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_in_a_bucket_above_1_mb(self) -> None:
        template = {"Resources": {"A": alarm()}, "Metadata": {"x": "x" * 1_000_000}}
        url = self.stored(json.dumps(template))
        self.refused(None, "Template may not exceed 1000000 bytes", TemplateURL=url)

    def test_not_in_the_bucket(self) -> None:
        url = self.stored("{}").replace("t.json", "u.json")
        self.refused(None, "S3 error", TemplateURL=url)

    def test_unknown_section(self) -> None:
        self.refused({"Resources": {"A": alarm()}, "Resource": {}}, "Invalid template property")

    def test_unknown_attribute(self) -> None:
        template = {"Resources": {"A": alarm(Dependson="B")}}
        self.refused(template, "Invalid template resource property 'Dependson'")

    def test_ref_to_nothing(self) -> None:
        template = {"Resources": {"A": alarm(anomaly(AlarmName={"Ref": "Nobody"}))}}
        self.refused(template, "Unresolved resource dependencies [Nobody]")

    def test_depends_on_nothing(self) -> None:
        template = {"Resources": {"A": alarm(DependsOn="Nobody")}}
        self.refused(template, "Unresolved resource dependencies [Nobody]")

    def test_output_of_nothing(self) -> None:
        outputs = {"X": {"Value": {"Fn::GetAtt": ["Nobody", "Arn"]}}}
        template = {"Resources": {"A": alarm()}, "Outputs": outputs}
        self.refused(template, "Unresolved resource dependencies [Nobody] in the Outputs")

    def test_circle(self) -> None:
        template = {"Resources": {"A": alarm(DependsOn="B"), "B": alarm(DependsOn="A")}}
        self.refused(template, "Circular dependency between resources: [A, B]")

    def test_parameter_without_value(self) -> None:
        parameters = {"P": {"Type": "String"}}
        template = {"Resources": {"A": alarm()}, "Parameters": parameters}
        self.refused(template, "Parameters: [P] must have values")

    def test_not_bootstrapped(self) -> None:
        kind = "AWS::SSM::Parameter::Value<String>"
        parameters = {"BootstrapVersion": {"Type": kind, "Default": "/cdk-bootstrap/no/version"}}
        template = {"Resources": {"A": alarm()}, "Parameters": parameters}
        self.refused(template, "Unable to fetch parameters [/cdk-bootstrap/no/version]")

    def test_rule_of_the_template(self) -> None:
        check = {"Assert": {"Fn::Not": [{"Fn::Contains": [["1", "5"], {"Ref": "P"}]}]}}
        template = {
            "Resources": {"A": alarm()},
            "Parameters": {"P": {"Type": "String", "Default": "5"}},
            "Rules": {"Check": {"Assertions": [{**check, "AssertDescription": "too old"}]}},
        }
        self.refused(template, "too old")

    def test_no_capability_for_iam(self) -> None:
        role = resource("AWS::IAM::Role", {"AssumeRolePolicyDocument": {}})
        with self.assertRaises(ClientError) as caught:
            self.create({"R": role})
        code = caught.exception.response["Error"]["Code"]
        self.assertEqual("InsufficientCapabilitiesException", code)

    def test_unknown_execution_role(self) -> None:
        template = json.dumps({"Resources": {"A": alarm()}})
        role = f"arn:aws:iam::{ACCOUNT}:role/nobody"
        self.refused(None, "is invalid", TemplateBody=template, RoleARN=role)

    def test_neither_json_nor_yaml(self) -> None:
        self.refused("{[", "Template format error")


class ApiRefusals(StackCase):
    """The CloudWatch API refuses the same, without CloudFormation."""

    def refused(self, code: str, reason: str, call: Any, **arguments: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        error = caught.exception.response["Error"]
        self.assertEqual(code, error["Code"])
        self.assertIn(reason, error["Message"])

    def test_put_metric_alarm(self) -> None:
        mine = anomaly(Threshold=1.0)
        self.refused("ValidationError", "Threshold", self.cw.put_metric_alarm, **mine)
        self.assertNotIn(mine["AlarmName"], self.alarms())

    def test_put_anomaly_detector(self) -> None:
        both = single_detector(Namespace="AWS/KMS")
        code = "InvalidParameterCombination"
        self.refused(code, "Exactly one of", self.cw.put_anomaly_detector, **both)

    def test_put_dashboard(self) -> None:
        mine = dashboard(DashboardName="key watch")
        self.refused("InvalidParameterInput", "letters", self.cw.put_dashboard, **mine)

    def test_delete_alarms_is_all_or_nothing(self) -> None:
        mine = anomaly()
        self.cw.put_metric_alarm(**mine)
        names = [mine["AlarmName"], "nobody"]
        self.refused("ResourceNotFound", "nobody", self.cw.delete_alarms, AlarmNames=names)
        self.assertIn(mine["AlarmName"], self.alarms())
        self.cw.delete_alarms(AlarmNames=names[:1])
        self.assertNotIn(mine["AlarmName"], self.alarms())

    def test_delete_unknown_detector(self) -> None:
        unknown = single_detector("unknown")
        code = "ResourceNotFoundException"
        self.refused(code, "does not exist", self.cw.delete_anomaly_detector, **unknown)

    def test_unknown_action(self) -> None:
        rule = {"AlarmName": "c", "AlarmRule": "ALARM(a)"}
        self.refused("NotImplemented", "put_composite", self.cw.put_composite_alarm, **rule)
        call = self.cfn.describe_stack_drift_detection_status
        arguments = {"StackDriftDetectionId": "x"}
        self.refused("NotImplemented", "drift", call, **arguments)
