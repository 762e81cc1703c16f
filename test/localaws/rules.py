"""The rules of CloudWatch that its service model does not state.

Each rule is what the PutMetricAlarm, PutAnomalyDetector and PutDashboard
documentation demands and a real account enforces. moto 5.2.1 enforces none of
them. Every function returns the problems it found, as text, and none when the
request is fine; the service model is checked first, by shapes.py.
"""

from __future__ import annotations

import datetime
import json
import re
import zoneinfo
from functools import cache
from typing import Any

ANOMALY_OPERATORS = {
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
}
MISSING_DATA = {"breaching", "notBreaching", "ignore", "missing"}
SINGLE_METRIC_FIELDS = (
    "MetricName",
    "Namespace",
    "Dimensions",
    "Period",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
)
METRIC_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
BAND = re.compile(r"\s*ANOMALY_DETECTION_BAND\s*\(\s*([^,()\s]+)\s*(?:,\s*([^,()\s]+)\s*)?\)\s*")
DAY, WEEK, HOUR = 86_400, 604_800, 3_600


# ---------------------------------------------------------------- alarms


def alarm_problems(alarm: dict[str, Any], region: str) -> list[str]:
    """What is wrong with the parameters of a PutMetricAlarm call."""
    found = _alarm_name(alarm.get("AlarmName", ""))
    kinds = [k for k in ("Metrics", "MetricName", "EvaluationCriteria") if k in alarm]
    if len(kinds) != 1:
        found.append(
            "Exactly one of Metrics, MetricName and EvaluationCriteria must be "
            f"specified; found {', '.join(kinds) or 'none'}."
        )
    elif kinds == ["Metrics"]:
        found += _metrics_alarm(alarm)
    elif kinds == ["MetricName"]:
        found += _single_metric_alarm(alarm)
    found += _threshold(alarm)
    found += _evaluation(alarm)
    for field in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        found += _actions(alarm, field, region)
    treat = alarm.get("TreatMissingData")
    if treat is not None and treat not in MISSING_DATA:
        found.append(
            f"Option {treat} is not supported for TreatMissingData; supported are "
            f"{', '.join(sorted(MISSING_DATA))}."
        )
    low = alarm.get("EvaluateLowSampleCountPercentile")
    if low is not None and low not in ("evaluate", "ignore"):
        found.append(f"Option {low} is not supported for EvaluateLowSampleCountPercentile.")
    found += tag_problems(alarm.get("Tags", []))
    return found


def _alarm_name(name: str) -> list[str]:
    if CONTROL_CHARACTERS.search(name):
        return [f"AlarmName {name!r} must not contain ASCII control characters."]
    return []


def _threshold(alarm: dict[str, Any]) -> list[str]:
    if "EvaluationCriteria" in alarm:
        return []
    operator = alarm.get("ComparisonOperator")
    found = []
    if operator is None:
        found.append("ComparisonOperator is required.")
    if "Threshold" in alarm and "ThresholdMetricId" in alarm:
        found.append("Threshold and ThresholdMetricId must not be specified together.")
    if "Threshold" not in alarm and "ThresholdMetricId" not in alarm:
        found.append("One of Threshold and ThresholdMetricId must be specified.")
    if operator in ANOMALY_OPERATORS and "ThresholdMetricId" not in alarm:
        found.append(f"ComparisonOperator {operator} requires ThresholdMetricId.")
    if operator is not None and operator not in ANOMALY_OPERATORS and "ThresholdMetricId" in alarm:
        found.append(
            f"ComparisonOperator {operator} must not be used with ThresholdMetricId; "
            f"use one of {', '.join(sorted(ANOMALY_OPERATORS))}."
        )
    return found


def _evaluation(alarm: dict[str, Any]) -> list[str]:
    if "EvaluationCriteria" in alarm:
        return []
    periods = alarm.get("EvaluationPeriods")
    if periods is None:
        return ["EvaluationPeriods is required."]
    found = []
    datapoints = alarm.get("DatapointsToAlarm")
    if datapoints is not None and datapoints > periods:
        found.append(
            f"DatapointsToAlarm {datapoints} must not be greater than EvaluationPeriods {periods}."
        )
    for period in _periods(alarm):
        limit = WEEK if period >= HOUR else DAY
        if period * periods > limit:
            found.append(
                f"Metrics cannot be checked across more than {limit} seconds: "
                f"EvaluationPeriods {periods} * Period {period} = {period * periods}."
            )
    return found


def _periods(alarm: dict[str, Any]) -> list[int]:
    found = {alarm.get("Period")}
    for query in alarm.get("Metrics", []):
        found.add(query.get("Period"))
        found.add(query.get("MetricStat", {}).get("Period"))
    return sorted(period for period in found if period is not None)


def _period(period: int, where: str) -> list[str]:
    if period in (10, 20, 30) or (period > 0 and period % 60 == 0):
        return []
    return [f"{where} {period} must be 10, 20, 30 or a multiple of 60."]


def _single_metric_alarm(alarm: dict[str, Any]) -> list[str]:
    found = []
    for field in ("Namespace", "Period"):
        if field not in alarm:
            found.append(f"{field} is required with MetricName.")
    if ("Statistic" in alarm) == ("ExtendedStatistic" in alarm):
        found.append("Exactly one of Statistic and ExtendedStatistic is required.")
    if "ThresholdMetricId" in alarm:
        found.append("ThresholdMetricId requires Metrics.")
    if "Period" in alarm:
        found += _period(alarm["Period"], "Period")
    found += dimension_problems(alarm.get("Dimensions", []))
    return found


def _metrics_alarm(alarm: dict[str, Any]) -> list[str]:
    queries = alarm["Metrics"]
    found = [
        f"Metrics and {field} must not be specified together."
        for field in SINGLE_METRIC_FIELDS
        if field in alarm
    ]
    found += query_problems(queries)
    ids = {query.get("Id") for query in queries}
    threshold = alarm.get("ThresholdMetricId")
    returning = [
        query["Id"]
        for query in queries
        if query.get("ReturnData", True) and query.get("Id") != threshold
    ]
    if threshold is None:
        if len(returning) != 1:
            found.append(
                "Exactly one element of the Metrics list must return data; "
                f"found {len(returning)}: {', '.join(returning) or 'none'}."
            )
        return found
    if threshold not in ids:
        found.append(f"ThresholdMetricId {threshold} is not the Id of an element of Metrics.")
        return found
    if len(returning) != 1:
        found.append(
            "Exactly one element of the Metrics list must return data beside the "
            f"threshold {threshold}; found {len(returning)}: "
            f"{', '.join(returning) or 'none'}."
        )
    return found + _band(queries, threshold, returning)


def _band(queries: list[dict[str, Any]], threshold: str, returning: list[str]) -> list[str]:
    """An anomaly alarm: a band over the one query that returns data."""
    query = next(q for q in queries if q.get("Id") == threshold)
    match = BAND.fullmatch(query.get("Expression", ""))
    if not match:
        return [
            f"The expression of ThresholdMetricId {threshold} must be "
            "ANOMALY_DETECTION_BAND(metric, deviations)."
        ]
    found = []
    metric, deviations = match.groups()
    if returning and metric not in returning:
        found.append(
            f"ANOMALY_DETECTION_BAND must be over the metric that returns data "
            f"({', '.join(returning)}), not {metric}."
        )
    if deviations is not None and not _positive(deviations):
        found.append(
            f"The deviations of ANOMALY_DETECTION_BAND must be a positive number, not {deviations}."
        )
    periods = {q["MetricStat"].get("Period") for q in queries if "MetricStat" in q}
    if len(periods) > 1:
        found.append(
            "ANOMALY_DETECTION_BAND takes metrics of one period; found "
            f"{', '.join(str(p) for p in sorted(periods))}."
        )
    for period in sorted(periods):
        if not 60 <= period <= HOUR:
            found.append(f"ANOMALY_DETECTION_BAND takes periods from 60 to {HOUR}; found {period}.")
    return found


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def query_problems(queries: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a list of metric data queries."""
    if not queries:
        return ["Metrics must not be empty."]
    found = []
    stats = [q for q in queries if "MetricStat" in q]
    expressions = [q for q in queries if "Expression" in q]
    if len(queries) > 20 or len(stats) > 10 or len(expressions) > 10:
        found.append(
            "Metrics may hold 20 elements, of which 10 MetricStat and 10 Expression; "
            f"found {len(queries)}, {len(stats)} and {len(expressions)}."
        )
    ids = [q.get("Id", "") for q in queries]
    for duplicate in sorted({i for i in ids if ids.count(i) > 1}):
        found.append(f"The Id {duplicate} is used more than once in Metrics.")
    for query in queries:
        found += _query(query, set(ids))
    return found


def _query(query: dict[str, Any], ids: set[str]) -> list[str]:
    name = query.get("Id", "")
    found = []
    if not METRIC_ID.fullmatch(name):
        found.append(
            f"The Id {name!r} must start with a lower-case letter and hold letters, "
            "digits and underscores only."
        )
    if ("MetricStat" in query) == ("Expression" in query):
        found.append(f"{name}: exactly one of MetricStat and Expression is required.")
    stat = query.get("MetricStat")
    if stat:
        metric = stat.get("Metric", {})
        for field in ("Namespace", "MetricName"):
            if field not in metric:
                found.append(f"{name}: MetricStat.Metric.{field} is required.")
        if "Period" in query:
            found.append(f"{name}: the Period of a MetricStat belongs inside it.")
        found += _period(stat.get("Period", 0), f"{name}: Period")
        found += dimension_problems(metric.get("Dimensions", []))
    if "Expression" in query:
        if "Period" in query:
            found += _period(query["Period"], f"{name}: Period")
        found += _expression(name, query, ids)
    return found


def _expression(name: str, query: dict[str, Any], ids: set[str]) -> list[str]:
    expression = query["Expression"]
    if expression.lstrip().upper().startswith("SELECT"):
        if "Period" not in query:
            return [f"{name}: a Metrics Insights query needs a Period."]
        return []
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", expression)
    used = re.findall(r"(?<![A-Za-z0-9_.])([a-z][A-Za-z0-9_]*)\b(?!\s*\()", bare)
    found = [
        f"{name}: the expression uses {other}, which is not an Id of Metrics."
        for other in sorted(set(used) - ids)
    ]
    if name in used:
        found.append(f"{name}: the expression refers to itself.")
    if bare.count("(") != bare.count(")"):
        found.append(f"{name}: the brackets of the expression do not balance.")
    return found


def dimension_problems(dimensions: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a list of dimensions."""
    found = []
    names = [d.get("Name", "") for d in dimensions]
    for duplicate in sorted({n for n in names if names.count(n) > 1}):
        found.append(f"The dimension {duplicate} is given more than once.")
    for dimension in dimensions:
        for field in ("Name", "Value"):
            text = dimension.get(field, "")
            if not text.isascii() or CONTROL_CHARACTERS.search(text):
                found.append(f"The dimension {field} {text!r} must hold printable ASCII only.")
            elif not text.strip():
                found.append(f"A dimension {field} must not be blank.")
        if dimension.get("Name", "").startswith(":"):
            found.append("A dimension Name must not start with a colon.")
    return found


def _actions(alarm: dict[str, Any], field: str, region: str) -> list[str]:
    found = []
    for action in alarm.get(field, []):
        parts = action.split(":")
        if len(parts) < 6 or parts[0] != "arn" or not parts[1].startswith("aws"):
            found.append(f"{field}: invalid ARN syntax: {action}")
            continue
        service, where = parts[2], parts[3]
        if service == "sns" and where != region:
            found.append(
                f"{field}: invalid region {where} specified in {action}; "
                f"only {region} is supported."
            )
        if service == "autoscaling" and "ThresholdMetricId" in alarm:
            found.append(
                f"{field}: alarms based on anomaly detection cannot have Auto "
                f"Scaling actions: {action}"
            )
    return found


def tag_problems(tags: list[dict[str, str]]) -> list[str]:
    """What is wrong with the tags that a user set."""
    found = []
    keys = [tag.get("Key", "") for tag in tags]
    if len(keys) > 50:
        found.append(f"A resource may have 50 tags, not {len(keys)}.")
    for duplicate in sorted({k for k in keys if keys.count(k) > 1}):
        found.append(f"The tag {duplicate} is given more than once.")
    for key in sorted(k for k in keys if k.lower().startswith("aws:")):
        found.append(f"The tag {key} must not start with aws:, which is reserved.")
    return found


# ------------------------------------------------------------- detectors


def detector_problems(detector: dict[str, Any]) -> list[str]:
    """What is wrong with the parameters of a PutAnomalyDetector call."""
    legacy = [k for k in ("Namespace", "MetricName", "Dimensions", "Stat") if k in detector]
    kinds = [
        k for k in ("SingleMetricAnomalyDetector", "MetricMathAnomalyDetector") if k in detector
    ]
    if legacy:
        kinds.append(f"top-level {', '.join(legacy)}")
    if len(kinds) != 1:
        return [
            "Exactly one of SingleMetricAnomalyDetector, MetricMathAnomalyDetector "
            f"and a top-level metric must be specified; found {'; '.join(kinds) or 'none'}."
        ]
    found = []
    if "MetricMathAnomalyDetector" in detector:
        queries = detector["MetricMathAnomalyDetector"].get("MetricDataQueries", [])
        found += query_problems(queries)
        returning = [q for q in queries if q.get("ReturnData", True)]
        if len(returning) != 1:
            found.append(
                "Exactly one query of a MetricMathAnomalyDetector must return data; "
                f"found {len(returning)}."
            )
    else:
        single = detector.get("SingleMetricAnomalyDetector", detector)
        for field in ("Namespace", "MetricName", "Stat"):
            if field not in single:
                found.append(f"{field} is required for a single metric detector.")
        found += dimension_problems(single.get("Dimensions", []))
    return found + _configuration(detector.get("Configuration", {}))


def _configuration(configuration: dict[str, Any]) -> list[str]:
    found = []
    ranges = configuration.get("ExcludedTimeRanges", [])
    if len(ranges) > 10:
        found.append(f"At most 10 ExcludedTimeRanges are allowed, not {len(ranges)}.")
    for item in ranges:
        if item["StartTime"] >= item["EndTime"]:
            found.append("The StartTime of an excluded range must be before its EndTime.")
    zone = configuration.get("MetricTimezone")
    if zone and zone not in _time_zones():
        found.append(f"MetricTimezone {zone} is not in the tz database.")
    return found


@cache
def _time_zones() -> set[str]:
    return zoneinfo.available_timezones()


def parse_excluded_time(text: str) -> datetime.datetime | None:
    """The time form of the CloudFormation type: no zone, not even a Z."""
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=datetime.timezone.utc)


# ------------------------------------------------------------ dashboards

WIDGET_TYPES = {"metric", "text", "log", "alarm", "explorer", "custom"}


def dashboard_problems(name: str, body: Any) -> list[str]:
    """What is wrong with the parameters of a PutDashboard call."""
    found = []
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        found.append(
            f"The dashboard name {name!r} must be 1 to 255 characters long and hold "
            "letters, digits, - and _ only."
        )
    if not isinstance(body, str):
        return [*found, "DashboardBody must be a string of JSON."]
    try:
        document = json.loads(body)
    except ValueError as error:
        return [*found, f"DashboardBody is not JSON: {error}"]
    widgets = document.get("widgets") if isinstance(document, dict) else None
    if not isinstance(widgets, list):
        return [*found, 'DashboardBody must be an object with an array "widgets".']
    if len(widgets) > 500:
        found.append(f"A dashboard may have 500 widgets, not {len(widgets)}.")
    for index, widget in enumerate(widgets):
        found += _widget(f"/widgets/{index}", widget)
    return found


def _widget(where: str, widget: Any) -> list[str]:
    if not isinstance(widget, dict) or widget.get("type") not in WIDGET_TYPES:
        return [f"{where}: type must be one of {', '.join(sorted(WIDGET_TYPES))}."]
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        return [f"{where}: properties must be an object."]
    found = []
    for field, low, high in (("x", 0, 23), ("width", 1, 24), ("height", 1, 1000)):
        value = widget.get(field, low)
        if not isinstance(value, int) or not low <= value <= high:
            found.append(f"{where}/{field}: must be from {low} to {high}, not {value!r}.")
    kind = widget["type"]
    if kind == "text" and not isinstance(properties.get("markdown"), str):
        found.append(f"{where}/properties: markdown is required.")
    if kind == "alarm":
        alarms = properties.get("alarms")
        if not isinstance(alarms, list) or not 1 <= len(alarms) <= 100:
            found.append(f"{where}/properties: alarms must list 1 to 100 ARNs.")
    if kind == "metric":
        metrics = properties.get("metrics")
        if metrics is None and "annotations" not in properties:
            found.append(f"{where}/properties: metrics or annotations is required.")
        if metrics is not None and not isinstance(metrics, list):
            found.append(f"{where}/properties: metrics must be an array.")
        if isinstance(metrics, list) and len(metrics) > 500:
            found.append(f"{where}: a widget may have 500 metrics, not {len(metrics)}.")
        if not isinstance(properties.get("region"), str):
            found.append(f"{where}/properties: region is required.")
    return found
