"""One test for each bug of moto 5.2.1 that would break a deployment with the CDK."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from support import StackCase, alarm, anomaly, client, detector, resource, unique

HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
CLI_NAME = "cdk-deploy-change-set"


class MotoBugs(StackCase):
    """The names say what moto does wrong."""

    def change_set(self, stack: str, kind: str, template: dict[str, Any], **more: Any) -> str:
        made = self.cfn.create_change_set(
            StackName=stack,
            ChangeSetName=CLI_NAME,
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            **more,
        )
        self.addCleanup(self.cfn.delete_stack, StackName=made["StackId"])
        return made["Id"]

    def test_1_resource_types_are_skipped_in_silence(self) -> None:
        client("s3").create_bucket(
            Bucket="bugs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.addCleanup(client("s3").delete_bucket, Bucket="bugs")
        policy = {"Version": "2012-10-17", "Statement": []}
        mine = anomaly()
        resources = {
            "Alarm": alarm(mine),
            "Detector": detector(),
            "Metadata": resource("AWS::CDK::Metadata", {"Analytics": "x"}),
            "Policy": resource(
                "AWS::S3::BucketPolicy", {"Bucket": "bugs", "PolicyDocument": policy}
            ),
            "Handle": HANDLE,
        }
        stack_id = self.created(resources)
        self.assertEqual(sorted(resources), sorted(self.physical(stack_id)))
        self.assertIn(mine["AlarmName"], self.alarms())
        self.assertIn(("k1", "Sum"), self.detectors())

    def test_2_delete_of_a_change_set_that_is_not_there(self) -> None:
        stack_id = self.created({"W": HANDLE})
        self.cfn.delete_change_set(StackName=stack_id, ChangeSetName=CLI_NAME)

    def test_3_describe_of_a_change_set_that_is_not_there(self) -> None:
        stack_id = self.created({"W": HANDLE})
        with self.assertRaises(self.cfn.exceptions.ChangeSetNotFoundException) as caught:
            self.cfn.describe_change_set(StackName=stack_id, ChangeSetName=CLI_NAME)
        self.assertEqual("ChangeSetNotFound", caught.exception.response["Error"]["Code"])

    def test_4_previous_value_of_a_defaulted_ssm_parameter(self) -> None:
        name = f"/{unique('version')}"
        client("ssm").put_parameter(Name=name, Value="33", Type="String")
        self.addCleanup(client("ssm").delete_parameter, Name=name)
        kind = "AWS::SSM::Parameter::Value<String>"
        parameters = {"BootstrapVersion": {"Type": kind, "Default": name}}
        sections = {"Parameters": parameters}
        stack_id = self.created({"W": HANDLE}, sections=sections)
        previous = [{"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}]
        resources = {"W": HANDLE, "V": HANDLE}
        self.updated(stack_id, resources, sections=sections, Parameters=previous)
        found = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["Parameters"]
        self.assertEqual("33", found[0]["ResolvedValue"])

    def test_5_a_removed_resource_is_never_forgotten(self) -> None:
        mine = anomaly()
        with_it, without = {"W": HANDLE, "A": alarm(mine)}, {"W": HANDLE}
        stack_id = self.created(with_it)
        self.updated(stack_id, without)
        self.assertNotIn(mine["AlarmName"], self.alarms())
        self.updated(stack_id, with_it)
        self.assertIn(mine["AlarmName"], self.alarms())

    def test_6_change_sets_of_one_name_are_mixed_up(self) -> None:
        one, two = unique("stack"), unique("stack")
        alarms = {one: anomaly(), two: anomaly()}
        for stack, mine in alarms.items():
            self.change_set(stack, "CREATE", {"Resources": {"A": alarm(mine)}})
        for stack in alarms:
            found = self.cfn.describe_change_set(StackName=stack, ChangeSetName=CLI_NAME)
            self.assertEqual(stack, found["StackName"])
        for stack, mine in alarms.items():
            self.cfn.execute_change_set(StackName=stack, ChangeSetName=CLI_NAME)
            self.assertIn(mine["AlarmName"], self.alarms())
            # The CLI waits until the executed one is gone before it makes the next.
            with self.assertRaises(self.cfn.exceptions.ChangeSetNotFoundException):
                self.cfn.describe_change_set(StackName=stack, ChangeSetName=CLI_NAME)

    def test_lists_of_resources_fail_or_have_blanks(self) -> None:
        mine = anomaly()
        stack_id = self.created({"A": alarm(mine), "W": HANDLE})
        wanted = {"A": mine["AlarmName"]}
        one = self.cfn.describe_stack_resource(StackName=stack_id, LogicalResourceId="A")
        detail = one["StackResourceDetail"]
        self.assertEqual(mine["AlarmName"], detail["PhysicalResourceId"])
        self.assertEqual("AWS::CloudWatch::Alarm", detail["ResourceType"])
        every = self.cfn.describe_stack_resources(StackName=stack_id)["StackResources"]
        self.assertEqual({"A", "W"}, {r["LogicalResourceId"] for r in every})
        self.assertEqual(wanted, {k: v for k, v in self.physical(stack_id).items() if k == "A"})
        with self.assertRaises(ClientError):
            self.cfn.describe_stack_resource(StackName=stack_id, LogicalResourceId="X")

    def test_output_of_a_skipped_resource_is_dropped_or_crashes(self) -> None:
        outputs = {"Arn": {"Value": {"Fn::GetAtt": ["A", "Arn"]}}}
        stack_id = self.created({"A": alarm()}, sections={"Outputs": outputs})
        found = self.cfn.describe_stacks(StackName=stack_id)["Stacks"][0]["Outputs"]
        self.assertIn(":alarm:", found[0]["OutputValue"])

    def test_template_url_without_localhost(self) -> None:
        s3 = client("s3")
        where = {"LocationConstraint": "eu-west-1"}
        s3.create_bucket(Bucket="bugs-urls", CreateBucketConfiguration=where)
        self.addCleanup(s3.delete_bucket, Bucket="bugs-urls")
        self.addCleanup(s3.delete_object, Bucket="bugs-urls", Key="t.json")
        body = json.dumps({"Resources": {"W": HANDLE}}).encode()
        s3.put_object(Bucket="bugs-urls", Key="t.json", Body=body)
        for url in (
            "http://127.0.0.1:1/bugs-urls/t.json",
            "http://localhost:1/bugs-urls/t.json",
            "http://bugs-urls.localhost:1/t.json",
            "https://s3.eu-west-1.amazonaws.com/bugs-urls/t.json",
            "https://bugs-urls.s3.eu-west-1.amazonaws.com/t.json",
        ):
            made = self.cfn.create_stack(StackName=unique("stack"), TemplateURL=url)
            self.addCleanup(self.cfn.delete_stack, StackName=made["StackId"])
            self.assertEqual("CREATE_COMPLETE", self.status(made["StackId"]), url)

    def test_aliases_have_no_dates(self) -> None:
        kms = client("kms")
        first, second = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
        name = f"alias/{unique('dated')}"
        kms.create_alias(AliasName=name, TargetKeyId=first)

        def dates() -> tuple[Any, Any]:
            found = [a for a in kms.list_aliases()["Aliases"] if a["AliasName"] == name]
            return found[0]["CreationDate"], found[0]["LastUpdatedDate"]

        created, updated = dates()
        self.assertEqual(created, updated)
        kms.update_alias(AliasName=name, TargetKeyId=second)
        self.assertEqual(created, dates()[0])
        self.assertGreater(dates()[1], updated)
