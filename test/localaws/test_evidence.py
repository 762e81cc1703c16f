"""What a stack of evidence needs: rules, log groups, queues, and what is delivered."""

from __future__ import annotations

import json
from typing import Any

from support import ACCOUNT, REGION, StackCase, client, resource, unique

API_CALL = "AWS API Call via CloudTrail"
STATE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


def transformer(template: str, **paths: str) -> dict[str, Any]:
    return {"InputTemplate": template, "InputPathsMap": paths}


WHOLE = transformer(
    r'{"timestamp":<time>,"message":"{\"code\":\"<code>\",\"none\":\"<none>\",\"key\":\"<key>\"}"}',
    time="$.time",
    code="$.detail.errorCode",
    none="$.detail.nothing",
    key="$.detail.resources[1].ARN",
)


class Evidence(StackCase):
    """Rules that write to a log group."""

    def setUp(self) -> None:
        super().setUp()
        self.name = unique("evidence")
        self.group = f"/aws/events/{self.name}"
        self.rule_arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{self.name}"

    def resources(self, **changes: Any) -> dict[str, Any]:
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        target = {
            "Id": "T",
            "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{self.group}",
            "DeadLetterConfig": {"Arn": queue},
            "InputTransformer": WHOLE,
            **changes.pop("target", {}),
        }
        rule = {
            "Name": self.name,
            "State": STATE,
            "EventPattern": {"source": ["aws.kms"], "detail": {"errorCode": ["Bad"]}},
            "Targets": [target],
            **changes.pop("rule", {}),
        }
        policy = {
            "PolicyName": self.name,
            "PolicyDocument": self.policy(
                f"{target['Arn']}:*",
                (changes.pop("streams", "logs:CreateLogStream"), changes.pop("streams_of", None)),
                (changes.pop("events", "logs:PutLogEvents"), changes.pop("source", self.rule_arn)),
            ),
        }
        send = json.loads(self.policy(queue, ("sqs:SendMessage", self.rule_arn)))
        group = {"LogGroupName": self.group, "RetentionInDays": 400, **changes.pop("group", {})}
        return {
            "G": resource("AWS::Logs::LogGroup", group, **changes),
            "P": resource("AWS::Logs::ResourcePolicy", policy),
            "Q": resource("AWS::SQS::Queue", {"QueueName": self.name, "SqsManagedSseEnabled": True}),
            "S": resource("AWS::SQS::QueuePolicy", {"Queues": [{"Ref": "Q"}], "PolicyDocument": send}),
            "R": resource("AWS::Events::Rule", rule, DependsOn=["G", "P", "S"]),
        }

    def policy(self, what: str, *allowed: tuple[str, str | None]) -> str:
        statements = []
        for action, source in allowed:
            statement: dict[str, Any] = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": action,
                "Resource": what,
            }
            if source:
                statement["Condition"] = {"ArnEquals": {"aws:SourceArn": [source]}}
            statements.append(statement)
        return json.dumps({"Version": "2012-10-17", "Statement": statements})

    def put(self, **detail: Any) -> None:
        event = {"errorCode": "Bad", "readOnly": True, "resources": [{}, {"ARN": "k2"}], **detail}
        entry = {"Source": "aws.kms", "DetailType": API_CALL, "Detail": json.dumps(event)}
        client("events").put_events(Entries=[entry])

    def kept(self) -> list[dict[str, Any]]:
        found = client("logs").filter_log_events(logGroupName=self.group)["events"]
        return [json.loads(event["message"]) for event in found]

    def letters(self) -> list[str]:
        sqs = client("sqs")
        url = sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
        found = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        return [
            m["MessageAttributes"]["ERROR_CODE"]["StringValue"] for m in found.get("Messages", [])
        ]

    def test_delivery(self) -> None:
        self.created(self.resources())
        self.put()
        self.put(errorCode="Good")
        self.assertEqual([{"code": "Bad", "none": "", "key": "k2"}], self.kept())
        self.assertEqual([], self.letters())

    def test_read_only_calls_need_their_state(self) -> None:
        stack_id = self.created(self.resources(rule={"State": "ENABLED"}))
        self.put()
        self.assertEqual([], self.kept())
        self.put(readOnly=False)
        self.assertEqual(1, len(self.kept()))
        self.updated(stack_id, self.resources(rule={"State": "DISABLED"}))
        self.put(readOnly=False)
        self.assertEqual(1, len(self.kept()))

    def test_a_rule_that_no_policy_names_ends_in_the_queue(self) -> None:
        self.created(self.resources(source=self.rule_arn + "-other"))
        self.put()
        self.assertEqual([], self.kept())
        self.assertEqual(["NO_PERMISSIONS"], self.letters())

    def test_no_stream_is_made_for_a_rule(self) -> None:
        self.created(self.resources(streams_of=self.rule_arn))
        self.put()
        self.assertEqual([], self.kept())
        self.assertEqual(["NO_PERMISSIONS"], self.letters())

    def test_a_value_that_breaks_the_json(self) -> None:
        # Not escaped, as the guide says: the message is still a text, but no JSON.
        self.created(self.resources())
        self.put(resources=[{}, {"ARN": 'a"b'}])
        self.assertEqual(["INVALID_JSON"], self.letters())

    def test_the_group_outlives_its_stack(self) -> None:
        stack_id = self.created(self.resources(DeletionPolicy="RetainExceptOnCreate"))
        self.put()
        self.cfn.delete_stack(StackName=stack_id)
        self.assertEqual(1, len(self.kept()))
        client("logs").delete_log_group(logGroupName=self.group)

    def test_update_in_place(self) -> None:
        stack_id = self.created(self.resources())
        self.put()
        self.updated(stack_id, self.resources(group={"RetentionInDays": 731}))
        groups = client("logs").describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        self.assertEqual([731], [g["retentionInDays"] for g in groups])
        self.assertEqual(1, len(self.kept()))

    def test_metric_filter(self) -> None:
        client("logs").create_log_group(logGroupName=self.group)
        self.addCleanup(client("logs").delete_log_group, logGroupName=self.group)
        metric = {"MetricNamespace": "N", "MetricName": "m", "MetricValue": "1"}
        properties = {
            "FilterName": self.name,
            "LogGroupName": self.group,
            "FilterPattern": '{ $.a = "b" }',
            "MetricTransformations": [metric],
        }
        stack_id = self.created({"F": resource("AWS::Logs::MetricFilter", properties)})
        filters = client("logs").describe_metric_filters(logGroupName=self.group)["metricFilters"]
        self.assertEqual([self.name], [f["filterName"] for f in filters])
        self.cfn.delete_stack(StackName=stack_id)
        filters = client("logs").describe_metric_filters(logGroupName=self.group)["metricFilters"]
        self.assertEqual([], filters)

    def test_refusals(self) -> None:
        message = '{"timestamp":<time>,"message":%s}'
        for resources, reason in [
            (self.resources(group={"RetentionInDays": 401}), "401 is not a valid enum value"),
            (self.resources(group={"Retention": 1}), "extraneous key [Retention]"),
            (self.resources(group={"LogGroupName": "a b"}), "does not match pattern"),
            (self.resources(events="logs:DeleteLogGroup"), "are not supported here"),
            (self.resources(rule={"State": "ON"}), "'ON' is not a valid enum value"),
            (self.resources(rule={"Pattern": {}}), "extraneous key [Pattern]"),
            (self.resources(target={"RoleArn": "arn:aws:iam::1:role/r"}), "takes no RoleArn"),
            (self.template(message % "<time>"), ""),
            (self.template(message % '{"a":<time>}'), "the message of a log group is a text"),
            (self.template('{"message":"<time>"}'), "a log group takes only"),
            (self.template("<time>}"), "not valid JSON"),
        ]:
            with self.subTest(reason=reason):
                stack_id = self.create(resources)
                wanted = "ROLLBACK_COMPLETE" if reason else "CREATE_COMPLETE"
                self.assertEqual(wanted, self.status(stack_id), self.failures(stack_id))
                if reason:
                    self.assertIn(reason, self.failures(stack_id)[0][2])
                self.cfn.delete_stack(StackName=stack_id)
        wrong = {"LogGroupName": "/no/such", "FilterPattern": "", "MetricTransformations": []}
        stack_id = self.create({"F": resource("AWS::Logs::MetricFilter", wrong)})
        self.assertEqual("ROLLBACK_COMPLETE", self.status(stack_id))

    def template(self, text: str) -> dict[str, Any]:
        return self.resources(target={"InputTransformer": transformer(text, time="$.time")})
