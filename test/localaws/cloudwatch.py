"""A strict CloudWatch: moto's, with what it lacks and with AWS's refusals.

What this mends in moto 5.2.1:
- PutMetricAlarm accepts almost anything: every call is checked (shapes.py, rules.py).
- DescribeAlarms loses what moto has no field for, starts alarms in OK, ignores
  MaxRecords, NextToken and AlarmTypes: alarms are kept as they were put, start in
  INSUFFICIENT_DATA and are paged.
- An update resets the state of an alarm and applies tags: AWS keeps the state, and
  ignores Tags on an update.
- DeleteAlarms ignores names that do not exist: AWS deletes nothing and says so.
- PutAnomalyDetector, DescribeAnomalyDetectors and DeleteAnomalyDetector are missing.
- Dashboards are kept per region: AWS has one set of them for the whole account.
- The protocol that the Go SDK speaks (Smithy RPC v2 CBOR) is missing: see cbor.py.

Everything is kept per account and region, in moto's own backends.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

import rules
import shapes
from template import Refusal

DASHBOARD_REGION = "us-east-1"


def _refuse(found: list[str], code: str = "ValidationError") -> None:
    if found:
        raise Refusal(code, " ".join(found))


# ---------------------------------------------------------------- alarms


def check_alarm(alarm: dict[str, Any], region: str) -> None:
    """Refuses parameters of PutMetricAlarm that AWS would refuse."""
    _refuse(shapes.problems(alarm, shapes.input_shape("cloudwatch", "PutMetricAlarm")))
    _refuse(rules.alarm_problems(alarm, region))


def put_alarm(backend: CloudWatchBackend, alarm: dict[str, Any]) -> Alarm:
    """Creates or updates an alarm. The parameters must have been checked."""
    name = alarm["AlarmName"]
    definition = {k: copy.deepcopy(v) for k, v in alarm.items() if k != "Tags"}
    definition.setdefault("ActionsEnabled", True)
    for field in ("AlarmActions", "OKActions", "InsufficientDataActions", "Dimensions"):
        definition.setdefault(field, [])
    for query in definition.get("Metrics", []):
        query.setdefault("ReturnData", True)
    stored = backend.alarms.get(name)
    if stored is None:
        stored = _new_alarm(backend, name)
        set_tags(backend, stored.alarm_arn, alarm.get("Tags", []))
        backend.alarms[name] = stored
    stored.definition = definition
    stored.configuration_updated_timestamp = utcnow()
    # moto reads these two itself.
    stored.metric_name = definition.get("MetricName")
    stored.namespace = definition.get("Namespace")
    return stored


def _new_alarm(backend: CloudWatchBackend, name: str) -> Alarm:
    nothing = dict.fromkeys(
        (
            "namespace metric_name metric_data_queries comparison_operator "
            "evaluation_periods datapoints_to_alarm period threshold statistic "
            "extended_statistic description ok_actions insufficient_data_actions unit "
            "treat_missing_data evaluate_low_sample_count_percentile "
            "threshold_metric_id rule"
        ).split()
    )
    alarm = Alarm(
        account_id=backend.account_id,
        region_name=backend.region_name,
        name=name,
        dimensions=[],
        alarm_actions=[],
        actions_enabled=True,
        **nothing,
    )
    alarm.state_value = "INSUFFICIENT_DATA"
    return alarm


def describe_alarm(alarm: Alarm) -> dict[str, Any]:
    """The alarm as DescribeAlarms shows it."""
    return {
        **alarm.definition,
        "AlarmArn": alarm.alarm_arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp,
        "StateValue": alarm.state_value,
        "StateReason": alarm.state_reason,
        "StateReasonData": alarm.state_reason_data,
        "StateUpdatedTimestamp": alarm.state_updated_timestamp,
        "StateTransitionedTimestamp": alarm.state_updated_timestamp,
    }


def delete_alarms(backend: CloudWatchBackend, names: list[str]) -> None:
    """Deletes all of the alarms, or none when one does not exist."""
    unknown = sorted(set(names) - set(backend.alarms))
    if unknown:
        raise Refusal("ResourceNotFound", f"Unknown alarms: {', '.join(unknown)}")
    for name in names:
        alarm = backend.alarms.pop(name, None)
        if alarm:
            set_tags(backend, alarm.alarm_arn, [])


def set_tags(backend: CloudWatchBackend, arn: str, tags: list[dict[str, str]]) -> None:
    """Makes these the tags of the resource, and no others."""
    backend.tagger.delete_all_tags_for_resource(arn)
    if tags:
        backend.tagger.tag_resource(arn, tags)


# ------------------------------------------------------------- detectors


def detectors(backend: CloudWatchBackend) -> dict[str, dict[str, Any]]:
    """The detectors of one account and region, by identity."""
    return backend.__dict__.setdefault("anomaly_detectors", {})


def check_detector(detector: dict[str, Any]) -> None:
    """Refuses parameters of PutAnomalyDetector that AWS would refuse."""
    shape = shapes.input_shape("cloudwatch", "PutAnomalyDetector")
    _refuse(shapes.problems(detector, shape), "InvalidParameterValue")
    _refuse(rules.detector_problems(detector), "InvalidParameterCombination")


def detector_identity(detector: dict[str, Any], account_id: str) -> str:
    """What makes a detector this one and no other: account, metric and statistic."""
    if "MetricMathAnomalyDetector" in detector:
        return json.dumps(detector["MetricMathAnomalyDetector"], sort_keys=True)
    single = _single(detector)
    dimensions = sorted((d["Name"], d["Value"]) for d in single.get("Dimensions", []))
    return json.dumps(
        [
            single.get("AccountId", account_id),
            single.get("Namespace"),
            single.get("MetricName"),
            dimensions,
            single.get("Stat"),
        ]
    )


def _single(detector: dict[str, Any]) -> dict[str, Any]:
    if "SingleMetricAnomalyDetector" in detector:
        return detector["SingleMetricAnomalyDetector"]
    fields = ("Namespace", "MetricName", "Dimensions", "Stat")
    return {field: detector[field] for field in fields if field in detector}


def put_detector(backend: CloudWatchBackend, detector: dict[str, Any]) -> dict[str, Any]:
    """Creates or updates a detector: AWS has no AlreadyExists error for them."""
    identity = detector_identity(detector, backend.account_id)
    store = detectors(backend)
    stored = store.setdefault(
        identity,
        {"AnomalyDetectorId": str(mock_random.uuid4()), "StateValue": "PENDING_TRAINING"},
    )
    for field in ("Configuration", "MetricCharacteristics"):
        stored.pop(field, None)
        if field in detector:
            stored[field] = copy.deepcopy(detector[field])
    if "MetricMathAnomalyDetector" in detector:
        math = copy.deepcopy(detector["MetricMathAnomalyDetector"])
        for query in math.get("MetricDataQueries", []):
            query.setdefault("ReturnData", True)
            query.pop("Label", None)  # AWS never echoes it
        stored["MetricMathAnomalyDetector"] = math
    else:
        single = copy.deepcopy(_single(detector))
        single.setdefault("Dimensions", [])
        stored["SingleMetricAnomalyDetector"] = single
        # The deprecated top-level fields are still answered.
        for field in ("Namespace", "MetricName", "Dimensions", "Stat"):
            stored[field] = single[field]
    return stored


def delete_detector(backend: CloudWatchBackend, detector: dict[str, Any]) -> None:
    """Deletes a detector by what identifies it, or by its ID."""
    store = detectors(backend)
    if "AnomalyDetectorId" in detector:
        wanted = detector["AnomalyDetectorId"]
        found = [k for k, v in store.items() if v["AnomalyDetectorId"] == wanted]
    else:
        identity = detector_identity(detector, backend.account_id)
        found = [identity] if identity in store else []
    if not found:
        raise Refusal("ResourceNotFoundException", "The anomaly detector does not exist.")
    del store[found[0]]


# ------------------------------------------------------------ dashboards


def dashboard_backend(account_id: str) -> CloudWatchBackend:
    """Where the dashboards of an account are: they are global, not per region."""
    return cloudwatch_backends[account_id][DASHBOARD_REGION]


def check_dashboard(name: str, body: Any) -> None:
    """Refuses parameters of PutDashboard that AWS would refuse."""
    _refuse(rules.dashboard_problems(name, body), "InvalidParameterInput")


# ---------------------------------------------------------------- paging


def page(
    items: list[tuple[str, Any]], token: str | None, size: int
) -> tuple[list[Any], str | None]:
    """A page of items, which are sorted by their key, and the token of the next."""
    items = sorted(items, key=lambda item: item[0])
    start = 0
    if token:
        try:
            last = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            raise Refusal("InvalidNextToken", "The next token is invalid.") from None
        start = next((n for n, item in enumerate(items) if item[0] > last), len(items))
    chosen = items[start : start + size]
    more = start + size < len(items)
    following = base64.urlsafe_b64encode(chosen[-1][0].encode()).decode() if more else None
    return [item for _, item in chosen], following


# ------------------------------------------------------------------- API


class StrictCloudWatchResponse(CloudWatchResponse):
    """The CloudWatch API, in place of moto's."""

    @property
    def _dashboards(self) -> CloudWatchBackend:
        return dashboard_backend(self.current_account)

    def call_action(self) -> Any:
        try:
            return super().call_action()
        except NotImplementedError as error:  # a 500, which clients try again
            refusal = Refusal("NotImplemented", f"the local AWS: {error}")
            return self.serialized(ActionResult(refusal))

    def _checked(self) -> dict[str, Any]:
        """The parameters of the call, checked against the service model."""
        shape = shapes.input_shape("cloudwatch", self._get_action())
        params = self._get_params()
        _refuse(shapes.problems(params, shape))
        return params

    def put_metric_alarm(self) -> ActionResult:
        params = self._get_params()
        check_alarm(params, self.region)
        put_alarm(self.cloudwatch_backend, params)
        return EmptyResult()

    def put_composite_alarm(self) -> ActionResult:
        raise NotImplementedError("The put_composite_alarm action has not been implemented")

    def describe_alarms(self) -> ActionResult:
        params = self._checked()
        if "AlarmNames" in params and "AlarmNamePrefix" in params:
            raise Refusal(
                "ValidationError",
                "AlarmNames and AlarmNamePrefix must not be specified together.",
            )
        alarms = [
            (alarm.name, describe_alarm(alarm))
            for alarm in self.cloudwatch_backend.alarms.values()
            if _selected(alarm, params)
        ]
        if "MetricAlarm" not in params.get("AlarmTypes", ["MetricAlarm"]):
            alarms = []
        found, token = page(alarms, params.get("NextToken"), params.get("MaxRecords", 50))
        return ActionResult({"MetricAlarms": found, "CompositeAlarms": [], "NextToken": token})

    def describe_alarms_for_metric(self) -> ActionResult:
        params = self._checked()
        wanted = sorted((d["Name"], d["Value"]) for d in params.get("Dimensions", []))
        found = [
            describe_alarm(alarm)
            for _, alarm in sorted(self.cloudwatch_backend.alarms.items())
            if alarm.definition.get("Namespace") == params["Namespace"]
            and alarm.definition.get("MetricName") == params["MetricName"]
            and wanted == sorted((d["Name"], d["Value"]) for d in alarm.definition["Dimensions"])
        ]
        return ActionResult({"MetricAlarms": found})

    def delete_alarms(self) -> ActionResult:
        delete_alarms(self.cloudwatch_backend, self._checked()["AlarmNames"])
        return EmptyResult()

    def disable_alarm_actions(self) -> ActionResult:
        return self._set_actions(False)

    def enable_alarm_actions(self) -> ActionResult:
        return self._set_actions(True)

    def _set_actions(self, enabled: bool) -> ActionResult:
        for name in self._checked()["AlarmNames"]:
            alarm = self.cloudwatch_backend.alarms.get(name)
            if alarm:
                alarm.definition["ActionsEnabled"] = enabled
        return EmptyResult()

    def put_anomaly_detector(self) -> ActionResult:
        params = self._get_params()
        check_detector(params)
        stored = put_detector(self.cloudwatch_backend, params)
        return ActionResult({"AnomalyDetectorId": stored["AnomalyDetectorId"]})

    def describe_anomaly_detectors(self) -> ActionResult:
        params = self._checked()
        size = params.get("MaxResults", 100)
        if size > 100:
            raise Refusal("InvalidParameterValue", "MaxResults must not be above 100.")
        kinds = params.get("AnomalyDetectorTypes") or ["SINGLE_METRIC"]
        found = [
            (identity, detector)
            for identity, detector in detectors(self.cloudwatch_backend).items()
            if _detector_selected(detector, params, kinds)
        ]
        chosen, token = page(found, params.get("NextToken"), size)
        return ActionResult({"AnomalyDetectors": chosen, "NextToken": token})

    def delete_anomaly_detector(self) -> ActionResult:
        params = self._checked()
        if "AnomalyDetectorId" not in params:
            _refuse(rules.detector_problems(params), "InvalidParameterCombination")
        delete_detector(self.cloudwatch_backend, params)
        return EmptyResult()

    def put_dashboard(self) -> ActionResult:
        params = self._checked()
        check_dashboard(params["DashboardName"], params["DashboardBody"])
        self._dashboards.put_dashboard(params["DashboardName"], params["DashboardBody"])
        return ActionResult({"DashboardValidationMessages": []})

    def get_dashboard(self) -> ActionResult:
        name = self._checked()["DashboardName"]
        dashboard = self._dashboards.get_dashboard(name)
        if dashboard is None:
            raise Refusal("DashboardNotFoundError", f"Dashboard {name} does not exist")
        return ActionResult(
            {
                "DashboardArn": dashboard.arn,
                "DashboardName": dashboard.name,
                "DashboardBody": dashboard.body,
            }
        )

    def list_dashboards(self) -> ActionResult:
        params = self._checked()
        entries = [
            (
                dashboard.name,
                {
                    "DashboardArn": dashboard.arn,
                    "DashboardName": dashboard.name,
                    "LastModified": dashboard.last_modified,
                    "Size": len(dashboard.body.encode()),
                },
            )
            for dashboard in self._dashboards.list_dashboards(params.get("DashboardNamePrefix", ""))
        ]
        found, token = page(entries, params.get("NextToken"), 1000)
        return ActionResult({"DashboardEntries": found, "NextToken": token})

    def delete_dashboards(self) -> ActionResult:
        names = self._checked()["DashboardNames"]
        error = self._dashboards.delete_dashboards(names)
        if error:
            raise Refusal("DashboardNotFoundError", error)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        backend = self._tagged()
        tags = backend.tagger.get_tag_dict_for_resource(self._get_param("ResourceARN"))
        return ActionResult({"Tags": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]})

    def tag_resource(self) -> ActionResult:
        params = self._checked()
        _refuse(rules.tag_problems(params["Tags"]))
        self._tagged().tagger.tag_resource(params["ResourceARN"], params["Tags"])
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        params = self._checked()
        self._tagged().tagger.untag_resource_using_names(params["ResourceARN"], params["TagKeys"])
        return EmptyResult()

    def _tagged(self) -> CloudWatchBackend:
        """The backend that holds the resource of the call, which must exist."""
        arn = self._get_param("ResourceARN")
        for backend, items in (
            (self.cloudwatch_backend, self.cloudwatch_backend.alarms.values()),
            (self.cloudwatch_backend, self.cloudwatch_backend.insight_rules.values()),
            (self._dashboards, self._dashboards.dashboards.values()),
        ):
            for item in items:
                arns = (getattr(item, n, None) for n in ("alarm_arn", "rule_arn", "arn"))
                if arn in arns:
                    return backend
        raise Refusal("ResourceNotFoundException", f"{arn} does not exist.")


def _selected(alarm: Alarm, params: dict[str, Any]) -> bool:
    definition = alarm.definition
    if "AlarmNames" in params and alarm.name not in params["AlarmNames"]:
        return False
    if not alarm.name.startswith(params.get("AlarmNamePrefix", "")):
        return False
    if params.get("StateValue") not in (None, alarm.state_value):
        return False
    prefix = params.get("ActionPrefix")
    if prefix is None:
        return True
    fields = ("AlarmActions", "OKActions", "InsufficientDataActions")
    return any(a.startswith(prefix) for f in fields for a in definition[f])


def _detector_selected(detector: dict[str, Any], params: dict[str, Any], kinds: list[str]) -> bool:
    math = detector.get("MetricMathAnomalyDetector")
    if ("METRIC_MATH" if math else "SINGLE_METRIC") not in kinds:
        return False
    ids = params.get("AnomalyDetectorIds")
    if ids and detector["AnomalyDetectorId"] not in ids:
        return False
    metrics = (
        [q["MetricStat"]["Metric"] for q in math["MetricDataQueries"] if "MetricStat" in q]
        if math
        else [detector["SingleMetricAnomalyDetector"]]
    )
    return any(_metric_selected(metric, params) for metric in metrics)


def _metric_selected(metric: dict[str, Any], params: dict[str, Any]) -> bool:
    for field in ("Namespace", "MetricName"):
        if params.get(field) not in (None, metric.get(field)):
            return False
    if "Dimensions" not in params:
        return True
    pairs = [
        sorted((d["Name"], d["Value"]) for d in dimensions)
        for dimensions in (params["Dimensions"], metric.get("Dimensions", []))
    ]
    return pairs[0] == pairs[1]


def install() -> None:
    """Puts this API in the place of moto's."""
    urls.url_paths = {"{0}/$": StrictCloudWatchResponse.dispatch}
