"""Stacks do what CloudFormation does: in place, replaced, retained, rolled back."""

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
    resource,
    single_detector,
    static,
    unique,
)

HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
DASHBOARD = "AWS::CloudWatch::Dashboard"


class Alarms(StackCase):
    """AWS::CloudWatch::Alarm."""

    def test_create(self) -> None:
        mine = anomaly("create", AlarmDescription="d", OKActions=[])
        stack_id = self.created({"A": alarm(mine)})
        self.assertEqual({"A": mine["AlarmName"]}, self.physical(stack_id))
        found = self.alarms()[mine["AlarmName"]]
        for name in mine.keys() - {"Metrics"}:
            self.assertEqual(mine[name], found[name], name)
        self.assertNotIn("Threshold", found)
        wanted = [{**query, "ReturnData": True} for query in mine["Metrics"]]
        self.assertEqual(wanted, found["Metrics"])
        self.assertEqual("INSUFFICIENT_DATA", found["StateValue"])
        self.assertIn(REGION, found["AlarmArn"])

    def test_update_in_place(self) -> None:
        mine = anomaly("inplace", band="2")
        stack_id = self.created({"A": alarm(mine)})
        name = mine["AlarmName"]
        self.cw.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
        wider = anomaly("inplace", band="3", AlarmName=name, TreatMissingData="ignore")
        self.updated(stack_id, {"A": alarm(wider)})
        found = self.alarms()[name]
        self.assertEqual("ANOMALY_DETECTION_BAND(m1, 3)", found["Metrics"][1]["Expression"])
        self.assertEqual("ignore", found["TreatMissingData"])
        self.assertEqual("ALARM", found["StateValue"], "an update keeps the state")
        self.assertEqual({"A": name}, self.physical(stack_id))
        self.assertNotIn("DELETE_COMPLETE", [e[1] for e in self.events(stack_id)])

    def test_each_resource_says_when_it_changed(self) -> None:
        stays, wider, renamed = anomaly("stays"), anomaly("wider", band="2"), static()
        same, old = {"Same": alarm(stays)}, {"Old": alarm(static())}
        first = {**same, **old, "Wider": alarm(wider), "Renamed": alarm(renamed)}
        stack_id = self.created(first)
        made = self.changed(stack_id)
        created = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["CreationTime"]
        self.assertTrue(all(created <= moment for moment in made.values()), made)
        second = {
            **same,
            "Wider": alarm(anomaly("wider", band="3", AlarmName=wider["AlarmName"])),
            "Renamed": alarm({**renamed, "AlarmName": unique("renamed")}),
            "New": alarm(static()),
        }
        self.updated(stack_id, second)
        now = self.changed(stack_id)
        self.assertEqual(second.keys(), now.keys())
        self.assertEqual(made["Same"], now["Same"])
        begun = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["LastUpdatedTime"]
        self.assertGreater(begun, max(made.values()))
        for name in ("Wider", "Renamed", "New"):
            self.assertGreaterEqual(now[name], begun, name)

    def test_a_property_that_goes_is_gone(self) -> None:
        mine = static(AlarmDescription="d", TreatMissingData="ignore")
        stack_id = self.created({"A": alarm(mine)})
        bare = {k: v for k, v in mine.items() if k != "AlarmDescription"}
        self.updated(stack_id, {"A": alarm(bare)})
        self.assertNotIn("AlarmDescription", self.alarms()[mine["AlarmName"]])

    def test_new_name_replaces(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        renamed = {**mine, "AlarmName": unique("renamed")}
        self.updated(stack_id, {"A": alarm(renamed)})
        self.assertEqual({"A": renamed["AlarmName"]}, self.physical(stack_id))
        self.assertNotIn(mine["AlarmName"], self.alarms())
        events = [e for e in self.events(stack_id) if e[0] == "A"]
        self.assertIn("creation of a new physical resource", events[2][2])
        statuses = [e[1] for e in events[2:]]
        wanted = "UPDATE_IN_PROGRESS UPDATE_COMPLETE DELETE_IN_PROGRESS DELETE_COMPLETE"
        self.assertEqual(wanted.split(), statuses)

    def test_replaced_and_retained(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine, UpdateReplacePolicy="Retain")})
        renamed = {**mine, "AlarmName": unique("renamed")}
        self.updated(stack_id, {"A": alarm(renamed, UpdateReplacePolicy="Retain")})
        self.assertIn(mine["AlarmName"], self.alarms())
        self.cw.delete_alarms(AlarmNames=[mine["AlarmName"]])

    def test_two_alarms_cannot_swap_names(self) -> None:
        one, two = static(), static()
        stack_id = self.created({"A": alarm(one), "B": alarm(two)})
        self.update(stack_id, {"A": alarm(two), "B": alarm(one)})
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.status(stack_id))
        names = {"A": one["AlarmName"], "B": two["AlarmName"]}
        self.assertEqual(names, self.physical(stack_id))

    def test_generated_name(self) -> None:
        stack_id = self.created({"Log1": alarm(anomaly(AlarmName=None))})
        stack_name = stack_id.split("/")[1]
        name = self.physical(stack_id)["Log1"]
        self.assertRegex(name, rf"^{stack_name}-Log1-[A-Za-z0-9]{{12}}$")
        self.assertIn(name, self.alarms())
        self.updated(stack_id, {"Log1": alarm(anomaly(AlarmName=None, band="4"))})
        self.assertEqual({"Log1": name}, self.physical(stack_id))

    def test_ref_and_arn(self) -> None:
        mine = anomaly()
        outputs = {
            "Name": {"Value": {"Ref": "A"}},
            "Arn": {"Value": {"Fn::GetAtt": ["A", "Arn"]}},
        }
        stack_id = self.created({"A": alarm(mine)}, sections={"Outputs": outputs})
        found = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["Outputs"]
        values = {item["OutputKey"]: item["OutputValue"] for item in found}
        arn = self.alarms()[mine["AlarmName"]]["AlarmArn"]
        self.assertEqual({"Name": mine["AlarmName"], "Arn": arn}, values)

    def test_tags(self) -> None:
        mine = anomaly(Tags=[{"Key": "team", "Value": "payments"}])
        tags = [{"Key": "cost", "Value": "1"}]
        stack_id = self.created({"A": alarm(mine)}, Tags=tags)
        arn = self.alarms()[mine["AlarmName"]]["AlarmArn"]

        def found() -> dict[str, str]:
            listed = self.cw.list_tags_for_resource(ResourceARN=arn)["Tags"]
            return {tag["Key"]: tag["Value"] for tag in listed}

        self.assertEqual("payments", found()["team"])
        self.assertEqual("1", found()["cost"])
        self.assertEqual("A", found()["aws:cloudformation:logical-id"])
        # A changed stack tag rewrites every alarm.
        self.updated(stack_id, {"A": alarm(mine)}, Tags=[{"Key": "cost", "Value": "2"}])
        self.assertEqual("2", found()["cost"])
        self.assertIn(("A", "UPDATE_COMPLETE", ""), self.events(stack_id))

    def test_update_of_an_alarm_that_somebody_deleted(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        self.cw.delete_alarms(AlarmNames=[mine["AlarmName"]])
        self.update(stack_id, {"A": alarm({**mine, "EvaluationPeriods": 5})})
        self.assertIn("was not found", self.failures(stack_id)[0][2])

    def test_delete(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        self.cfn.delete_stack(StackName=stack_id)
        self.assertEqual("DELETE_COMPLETE", self.status(stack_id))
        self.assertNotIn(mine["AlarmName"], self.alarms())

    def test_delete_when_somebody_was_quicker(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        self.cw.delete_alarms(AlarmNames=[mine["AlarmName"]])
        self.cfn.delete_stack(StackName=stack_id)
        self.assertEqual("DELETE_COMPLETE", self.status(stack_id))

    def test_retained_at_delete(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine, DeletionPolicy="Retain")})
        self.cfn.delete_stack(StackName=stack_id)
        self.assertIn(mine["AlarmName"], self.alarms())
        self.cw.delete_alarms(AlarmNames=[mine["AlarmName"]])


class Detectors(StackCase):
    """AWS::CloudWatch::AnomalyDetector."""

    def spiky(self, key: str, **attributes: Any) -> dict[str, Any]:
        spikes = {"PeriodicSpikes": True}
        return detector(single_detector(key, MetricCharacteristics=spikes), **attributes)

    def test_create_and_delete(self) -> None:
        stack_id = self.created({"D": detector(single_detector("made"))})
        self.assertIn(("made", "Sum"), self.detectors())
        self.cfn.delete_stack(StackName=stack_id)
        self.assertNotIn(("made", "Sum"), self.detectors())

    def test_configuration_updates_in_place(self) -> None:
        stack_id = self.created({"D": detector(single_detector("conf"))})
        before = self.physical(stack_id)
        configuration = {
            "MetricTimeZone": "Europe/Dublin",
            "ExcludedTimeRanges": [
                {"StartTime": "2026-01-01T00:00:00", "EndTime": "2026-01-02T00:00:00"}
            ],
        }
        self.updated(
            stack_id, {"D": detector(single_detector("conf", Configuration=configuration))}
        )
        self.assertEqual(before, self.physical(stack_id))
        found = self.cw.describe_anomaly_detectors()["AnomalyDetectors"]
        mine = next(d for d in found if "conf" in json.dumps(d["Dimensions"]))
        self.assertEqual("Europe/Dublin", mine["Configuration"]["MetricTimezone"])
        start = mine["Configuration"]["ExcludedTimeRanges"][0]["StartTime"]
        self.assertEqual("2026-01-01T00:00:00+00:00", start.isoformat())

    def test_another_statistic_replaces(self) -> None:
        stack_id = self.created({"D": detector(single_detector("stat"))})
        before = self.physical(stack_id)
        self.updated(stack_id, {"D": detector(single_detector("stat", stat="Average"))})
        self.assertNotEqual(before, self.physical(stack_id))
        found = [d for d in self.detectors() if d[0] == "stat"]
        self.assertEqual([("stat", "Average")], found)

    def test_clean_up_of_a_replacement_deletes_the_model_behind_both(self) -> None:
        stack_id = self.created({"D": detector(single_detector("spiky"))})
        self.updated(stack_id, {"D": self.spiky("spiky")})
        self.assertNotIn(("spiky", "Sum"), self.detectors())

    def test_replacement_that_is_retained_keeps_the_model(self) -> None:
        kept = {"UpdateReplacePolicy": "Retain", "DeletionPolicy": "Delete"}
        stack_id = self.created({"D": detector(single_detector("kept"), **kept)})
        self.updated(stack_id, {"D": self.spiky("kept", **kept)})
        self.assertIn(("kept", "Sum"), self.detectors())
        self.assertIn(("D", "DELETE_SKIPPED", ""), self.events(stack_id))
        self.cfn.delete_stack(StackName=stack_id)
        self.assertNotIn(("kept", "Sum"), self.detectors())

    def test_what_was_retained_can_be_taken_over(self) -> None:
        kept = {"DeletionPolicy": "Retain"}
        stack_id = self.created({"D": detector(single_detector("left"), **kept)})
        self.cfn.delete_stack(StackName=stack_id)
        self.assertIn(("left", "Sum"), self.detectors())
        self.created({"D": detector(single_detector("left"))})

    def test_metric_math(self) -> None:
        math = {
            "MetricMathAnomalyDetector": {
                "MetricDataQueries": [
                    {
                        "Id": "m1",
                        "MetricStat": anomaly()["Metrics"][0]["MetricStat"],
                        "ReturnData": False,
                    },
                    {"Id": "e1", "Expression": "m1 * 2"},
                ]
            }
        }
        self.created({"D": detector(math)})
        kinds = ["METRIC_MATH"]
        found = self.cw.describe_anomaly_detectors(AnomalyDetectorTypes=kinds)
        self.assertEqual(1, len(found["AnomalyDetectors"]))


class Dashboards(StackCase):
    """AWS::CloudWatch::Dashboard."""

    def names(self) -> list[str]:
        return [d["DashboardName"] for d in self.cw.list_dashboards()["DashboardEntries"]]

    def test_life(self) -> None:
        mine = dashboard()
        name = mine["DashboardName"]
        stack_id = self.created({"D": resource(DASHBOARD, mine)})
        self.assertEqual({"D": name}, self.physical(stack_id))
        changed = {**mine, "DashboardBody": json.dumps({"widgets": []})}
        self.updated(stack_id, {"D": resource(DASHBOARD, changed)})
        body = self.cw.get_dashboard(DashboardName=name)["DashboardBody"]
        self.assertEqual({"widgets": []}, json.loads(body))
        renamed = {**changed, "DashboardName": unique("renamed")}
        self.updated(stack_id, {"D": resource(DASHBOARD, renamed)})
        self.assertNotIn(name, self.names())
        self.assertIn(renamed["DashboardName"], self.names())
        self.cfn.delete_stack(StackName=stack_id)
        self.assertNotIn(renamed["DashboardName"], self.names())

    def test_global(self) -> None:
        mine = dashboard(Tags=[{"Key": "team", "Value": "x"}])
        self.created({"D": resource(DASHBOARD, mine)}, region=OTHER_REGION)
        self.assertIn(mine["DashboardName"], self.names())


class Order(StackCase):
    """Dependencies come first, and go last."""

    def order(self, stack_id: str, status: str) -> list[str]:
        wanted = ("A", "D", "E")
        return [e[0] for e in self.events(stack_id) if e[1] == status and e[0] in wanted]

    def test_depends_on(self) -> None:
        stack_id = self.created(
            {
                "A": alarm(anomaly("order"), DependsOn=["D", "E"]),
                "D": detector(single_detector("order"), DependsOn="E"),
                "E": alarm(static()),
            }
        )
        self.assertEqual(["E", "D", "A"], self.order(stack_id, "CREATE_COMPLETE"))
        self.cfn.delete_stack(StackName=stack_id)
        self.assertEqual(["A", "D", "E"], self.order(stack_id, "DELETE_COMPLETE"))

    def test_references_count_too(self) -> None:
        description = {"Fn::Sub": "after ${D.Id} in ${AWS::Region}"}
        stack_id = self.created(
            {
                "A": alarm(static(AlarmDescription=description)),
                "D": detector(single_detector("refs")),
            }
        )
        self.assertEqual(["D", "A"], self.order(stack_id, "CREATE_COMPLETE"))
        name = self.physical(stack_id)["A"]
        self.assertIn(f"in {REGION}", self.alarms()[name]["AlarmDescription"])

    def test_clean_up_takes_dependents_first(self) -> None:
        mine = alarm(anomaly("clean"), DependsOn="D")
        stack_id = self.created(
            {"A": mine, "D": detector(single_detector("clean")), "E": alarm(static())}
        )
        self.updated(stack_id, {"W": HANDLE})
        self.assertEqual(["E", "A", "D"], self.order(stack_id, "DELETE_COMPLETE"))


class Rollbacks(StackCase):
    """A failed operation leaves things as they were."""

    def test_create_leaves_nothing(self) -> None:
        before = (self.alarms(), self.detectors())
        stack_id = self.create(
            {
                "D": detector(single_detector("half")),
                "A": alarm(anomaly("half"), DependsOn="D"),
                "B": alarm(anomaly("half", Threshold=1), DependsOn="A"),
            }
        )
        self.assertEqual("ROLLBACK_COMPLETE", self.status(stack_id))
        self.assertEqual(before, (self.alarms(), self.detectors()))
        with self.assertRaisesRegex(ClientError, "ROLLBACK_COMPLETE state and can not"):
            self.update(stack_id, {"W": HANDLE})

    def test_delete_after_a_rollback_spares_what_others_made_since(self) -> None:
        mine = static()
        bad = alarm(anomaly(Threshold=1), DependsOn="A")
        failed = self.create({"A": alarm(mine), "B": bad})
        self.created({"A": alarm(mine)})
        self.cfn.delete_stack(StackName=failed)
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_create_without_rollback_stays(self) -> None:
        mine = static()
        bad = alarm(anomaly(Threshold=1), DependsOn="A")
        stack_id = self.create({"A": alarm(mine), "B": bad}, DisableRollback=True)
        self.assertEqual("CREATE_FAILED", self.status(stack_id))
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_update_puts_everything_back(self) -> None:
        one, two = anomaly("back1"), anomaly("back2")
        stack_id = self.created({"A": alarm(one), "B": alarm(two), "C": alarm(static())})
        before, physical = self.alarms(), self.physical(stack_id)
        wider = anomaly("back1", band="9", AlarmName=one["AlarmName"])
        self.update(
            stack_id,
            {
                "A": alarm(wider),
                "B": alarm({**two, "AlarmName": unique("renamed")}, DependsOn="A"),
                "N": alarm(static(), DependsOn="B"),
                "X": alarm(anomaly(Threshold=1), DependsOn="N"),
            },
        )
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.status(stack_id))
        self.assertEqual(physical, self.physical(stack_id))
        stamp = "AlarmConfigurationUpdatedTimestamp"
        strip = [{n: {**a, stamp: 0} for n, a in x.items()} for x in (before, self.alarms())]
        self.assertEqual(*strip)
        self.assertEqual("X", self.failures(stack_id)[0][0])

    def test_update_after_a_rollback(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        self.update(stack_id, {"A": alarm({**mine, "Threshold": 1})})
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.status(stack_id))
        self.updated(stack_id, {"A": alarm({**mine, "EvaluationPeriods": 4})})
        self.assertEqual(4, self.alarms()[mine["AlarmName"]]["EvaluationPeriods"])


class Stacks(StackCase):
    """The rest of what a stack does."""

    def test_placeholder_only(self) -> None:
        stack_id = self.created({"Placeholder": HANDLE})
        found = self.cfn.describe_stack_resources(StackName=stack_id)["StackResources"]
        self.assertEqual(
            [("Placeholder", HANDLE["Type"], "CREATE_COMPLETE")],
            [(r["LogicalResourceId"], r["ResourceType"], r["ResourceStatus"]) for r in found],
        )
        self.assertTrue(found[0]["PhysicalResourceId"])
        mine = anomaly()
        self.updated(stack_id, {"A": alarm(mine)})
        self.updated(stack_id, {"Placeholder": HANDLE})
        self.assertNotIn(mine["AlarmName"], self.alarms())

    def test_cdk_metadata(self) -> None:
        metadata = resource("AWS::CDK::Metadata", {"Analytics": "v2:deflate64:x"})
        stack_id = self.created({"CDKMetadata": metadata})
        self.assertIn("CDKMetadata", self.physical(stack_id))

    def test_resources_are_paged(self) -> None:
        stack_id = self.created({f"R{n}": HANDLE for n in range(150)})
        first = self.cfn.list_stack_resources(StackName=stack_id)
        self.assertEqual(100, len(first["StackResourceSummaries"]))
        self.assertEqual(150, len(self.physical(stack_id)))
        # As on AWS, this one stops at 100.
        found = self.cfn.describe_stack_resources(StackName=stack_id)["StackResources"]
        self.assertEqual(100, len(found))

    def test_events_are_paged_newest_first(self) -> None:
        stack_id = self.created({f"R{n}": HANDLE for n in range(150)})
        first = self.cfn.describe_stack_events(StackName=stack_id)["StackEvents"]
        self.assertEqual(100, len(first))
        self.assertEqual("AWS::CloudFormation::Stack", first[0]["ResourceType"])
        events = self.events(stack_id)
        self.assertEqual(302, len(events))
        self.assertEqual("CREATE_IN_PROGRESS", events[0][1])
        pages = self.cfn.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        stamps = [e["Timestamp"] for page in pages for e in page["StackEvents"]]
        self.assertEqual(sorted(set(stamps), reverse=True), stamps)

    def test_nothing_to_update(self) -> None:
        mine = alarm(anomaly())
        stack_id = self.created({"A": mine})
        with self.assertRaisesRegex(ClientError, "No updates are to be performed"):
            self.update(stack_id, {"A": mine})

    def test_name_is_taken(self) -> None:
        stack_id = self.created({"W": HANDLE})
        name = stack_id.split("/")[1]
        with self.assertRaises(ClientError) as caught:
            self.create({"W": HANDLE}, StackName=name)
        code = caught.exception.response["Error"]["Code"]
        self.assertEqual("AlreadyExistsException", code)

    def test_name_is_free_again(self) -> None:
        stack_id = self.created({"W": HANDLE})
        name = stack_id.split("/")[1]
        self.cfn.delete_stack(StackName=name)
        again = self.created({"W": HANDLE}, StackName=name)
        self.assertNotEqual(stack_id, again)
        self.assertEqual("DELETE_COMPLETE", self.status(stack_id))
        self.assertEqual("CREATE_COMPLETE", self.status(name))

    def test_regions_are_apart(self) -> None:
        stack_id = self.created({"W": HANDLE}, region=OTHER_REGION)
        self.assertIn(OTHER_REGION, stack_id)
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.status(stack_id.split("/")[1])

    def test_unknown_stack(self) -> None:
        with self.assertRaisesRegex(ClientError, "Stack with id nobody does not exist"):
            self.status("nobody")
        self.cfn.delete_stack(StackName="nobody")

    def test_termination_protection(self) -> None:
        stack_id = self.created({"W": HANDLE}, EnableTerminationProtection=True)
        with self.assertRaisesRegex(ClientError, "TerminationProtection"):
            self.cfn.delete_stack(StackName=stack_id)
        self.cfn.update_termination_protection(
            StackName=stack_id, EnableTerminationProtection=False
        )
        self.cfn.delete_stack(StackName=stack_id)

    def test_functions(self) -> None:
        sections = {
            "Parameters": {"Env": {"Type": "String", "Default": "prod"}},
            "Conditions": {"Prod": {"Fn::Equals": [{"Ref": "Env"}, "prod"]}},
            "Mappings": {"M": {"prod": {"periods": 3}}},
        }
        mine = static(
            AlarmDescription={"Fn::If": ["Prod", "is prod", {"Ref": "AWS::NoValue"}]},
            EvaluationPeriods={"Fn::FindInMap": ["M", {"Ref": "Env"}, "periods"]},
            AlarmActions=[
                {"Fn::If": ["Prod", {"Ref": "AWS::NoValue"}, "arn:aws:sns:x"]},
                {"Fn::Join": [":", ["arn:aws:sns", {"Ref": "AWS::Region"}, ACCOUNT, "t"]]},
            ],
        )
        resources = {"A": alarm(mine), "B": {**alarm(static()), "Condition": "Prod"}}
        stack_id = self.created(resources, sections=sections)
        found = self.alarms()[mine["AlarmName"]]
        self.assertEqual("is prod", found["AlarmDescription"])
        self.assertEqual(3, found["EvaluationPeriods"])
        self.assertEqual([f"arn:aws:sns:{REGION}:{ACCOUNT}:t"], found["AlarmActions"])
        parameters = [{"ParameterKey": "Env", "ParameterValue": "dev"}]
        self.updated(
            stack_id,
            resources={
                "A": alarm({**mine, "AlarmActions": [], "EvaluationPeriods": 1}),
                "B": resources["B"],
            },
            sections=sections,
            Parameters=parameters,
        )
        self.assertEqual(["A"], list(self.physical(stack_id)))
        self.assertNotIn("AlarmDescription", self.alarms()[mine["AlarmName"]])

    def test_yaml(self) -> None:
        name = unique("yaml")
        text = f"""
            AWSTemplateFormatVersion: 2010-09-09
            Resources:
              A:
                Type: AWS::CloudWatch::Alarm
                Properties:
                  AlarmName: !Sub "{name}-${{AWS::Region}}"
                  ComparisonOperator: GreaterThanThreshold
                  EvaluationPeriods: 1
                  Namespace: AWS/KMS
                  MetricName: SuccessfulRequest
                  Period: 300
                  Statistic: Sum
                  Threshold: 1
        """
        stack_id = self.cfn.create_stack(StackName=unique("stack"), TemplateBody=text)["StackId"]
        self.addCleanup(self.cfn.delete_stack, StackName=stack_id)
        self.assertIn(f"{name}-{REGION}", self.alarms())


class ChangeSets(StackCase):
    """Change sets say what would be done, and do it."""

    def change_set(self, stack: str, kind: str, resources: dict[str, Any]) -> dict[str, Any]:
        made = self.cfn.create_change_set(
            StackName=stack,
            ChangeSetName="the-change-set",
            ChangeSetType=kind,
            TemplateBody=json.dumps({"Resources": resources}),
        )
        self.addCleanup(self.cfn.delete_stack, StackName=made["StackId"])
        return self.cfn.describe_change_set(ChangeSetName=made["Id"])

    def execute(self, change_set: dict[str, Any]) -> None:
        self.cfn.execute_change_set(ChangeSetName=change_set["ChangeSetId"])

    def test_create(self) -> None:
        mine = anomaly()
        found = self.change_set(unique("stack"), "CREATE", {"A": alarm(mine)})
        self.assertEqual("CREATE_COMPLETE", found["Status"])
        self.assertEqual("REVIEW_IN_PROGRESS", self.status(found["StackId"]))
        self.assertEqual("Add", found["Changes"][0]["ResourceChange"]["Action"])
        self.assertNotIn(mine["AlarmName"], self.alarms())
        self.execute(found)
        self.assertEqual("CREATE_COMPLETE", self.status(found["StackId"]))
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_update(self) -> None:
        one, two, three, four = (static() for _ in range(4))
        stack_id = self.created(
            {"A": alarm(one), "B": alarm(two), "C": alarm(three), "D": alarm(four)}
        )
        found = self.change_set(
            stack_id,
            "UPDATE",
            {
                "A": alarm({**one, "Threshold": 5}),
                "B": alarm({**two, "AlarmName": unique("renamed")}),
                "D": alarm(four),
                "E": alarm(static()),
            },
        )
        changes = [c["ResourceChange"] for c in found["Changes"]]
        self.assertEqual(
            {
                "A": ("Modify", "False"),
                "B": ("Modify", "True"),
                "C": ("Remove", None),
                "E": ("Add", None),
            },
            {c["LogicalResourceId"]: (c["Action"], c.get("Replacement")) for c in changes},
        )
        self.execute(found)
        self.assertEqual("UPDATE_COMPLETE", self.status(stack_id))
        self.assertEqual(["A", "B", "D", "E"], sorted(self.physical(stack_id)))

    def test_without_changes(self) -> None:
        mine = alarm(anomaly())
        stack_id = self.created({"A": mine})
        found = self.change_set(stack_id, "UPDATE", {"A": mine})
        self.assertEqual("FAILED", found["Status"])
        self.assertIn("didn't contain changes", found["StatusReason"])
        with self.assertRaises(ClientError) as caught:
            self.execute(found)
        code = caught.exception.response["Error"]["Code"]
        self.assertEqual("InvalidChangeSetStatus", code)

    def test_failure_shows_in_the_stack(self) -> None:
        found = self.change_set(unique("stack"), "CREATE", {"A": alarm(anomaly(Threshold=1))})
        self.execute(found)
        self.assertEqual("ROLLBACK_COMPLETE", self.status(found["StackId"]))
        self.assertIn("Threshold", self.failures(found["StackId"])[0][2])

    def test_wrong_kind(self) -> None:
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.change_set(unique("stack"), "UPDATE", {"W": HANDLE})
        stack_id = self.created({"W": HANDLE})
        with self.assertRaisesRegex(ClientError, "already exists"):
            self.change_set(stack_id, "CREATE", {"W": HANDLE})

    def test_only_a_policy_changes(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine)})
        retained = alarm(mine, DeletionPolicy="Retain")
        found = self.change_set(stack_id, "UPDATE", {"A": retained})
        change = found["Changes"][0]["ResourceChange"]
        self.assertEqual(["DeletionPolicy"], change["Scope"])
        self.execute(found)
        self.cfn.delete_stack(StackName=stack_id)
        self.assertIn(mine["AlarmName"], self.alarms())
        client("cloudwatch").delete_alarms(AlarmNames=[mine["AlarmName"]])
