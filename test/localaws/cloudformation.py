"""The CloudFormation API, in front of engine.py and in the place of moto's.

What this mends in moto 5.2.1, beside all that engine.py and template.py mend:
- DeleteChangeSet of one that does not exist is an UnboundLocalError; AWS succeeds.
- DescribeChangeSet of one that does not exist is a ValidationError; the CDK CLI
  waits for ChangeSetNotFound.
- UsePreviousValue of a defaulted SSM parameter is a KeyError.
- Change sets are looked up by name alone, and the CDK CLI gives those of all
  stacks the same name.
- DescribeStackResources, DescribeStackResource and ListStackResources fail or
  answer with blanks as soon as a resource was skipped.
- A template is only found in S3 when its URL contains "localhost".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote, urlparse

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.utilities.utils import get_partition
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response as HttpResponse

import providers
import shapes
import template as templates
from engine import (
    NO_CHANGES,
    ChangeSet,
    CloudFormationBackend,
    Request,
    Resource,
    Stack,
    cloudformation_backends,
)
from template import Refusal, ValidationError

EVENTS_PAGE = 100
LOOPBACK = ("localhost", "127.0.0.1")


class CloudFormationApi(BaseResponse):
    """One call. The names of the methods are those of the actions."""

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    @property
    def backend(self) -> CloudFormationBackend:
        return cloudformation_backends[self.current_account][self.region]

    def call_action(self) -> Any:
        with self.backend.lock:
            try:
                return super().call_action()
            except NotImplementedError as error:  # a 500, which clients try again
                refusal = Refusal("NotImplemented", f"the local AWS: {error}")
                return self.serialized(ActionResult(refusal))

    def _checked(self) -> dict[str, Any]:
        shape = shapes.input_shape("cloudformation", self._get_action())
        params = self._get_params()
        found = shapes.problems(params, shape)
        if found:
            raise ValidationError(f"{len(found)} validation error(s) detected: {' '.join(found)}")
        return params

    # ------------------------------------------------------------ request

    def _request(self, params: dict[str, Any], stack: Stack | None) -> Request:
        """What the caller wants a stack to become."""
        previous = stack.request if stack else None
        body, url = params.get("TemplateBody"), params.get("TemplateURL")
        if params.get("UsePreviousTemplate"):
            if body or url or previous is None:
                raise ValidationError(
                    "UsePreviousTemplate goes with a stack that has a template, and "
                    "with neither TemplateBody nor TemplateURL."
                )
            text = previous.text
        elif bool(body) == bool(url):
            raise ValidationError(
                "Either Template URL or Template Body must be specified, and not both."
            )
        else:
            text = body or self._fetch(url)
            templates.check_size(text, inline=bool(body))
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])}
        if "Tags" not in params and previous:
            tags = previous.tags
        return Request(
            text,
            self._parameters(params, previous),
            tags,
            params.get("Capabilities", []),
            params.get("RoleARN") or (previous.role if previous else None),
            params.get("NotificationARNs"),
        )

    def _parameters(self, params: dict[str, Any], previous: Request | None) -> dict[str, str]:
        found = {}
        for item in params.get("Parameters", []):
            key = item["ParameterKey"]
            if not item.get("UsePreviousValue"):
                found[key] = item.get("ParameterValue", "")
            elif previous is None or key not in (previous.template.get("Parameters") or {}):
                raise ValidationError(
                    f"Invalid input for parameter key {key}. Cannot specify "
                    "usePreviousValue as true for a parameter key not in the previous "
                    "template"
                )
            elif key in previous.parameters:
                found[key] = previous.parameters[key]
            # else its default held, and holds again
        return found

    def _fetch(self, url: str) -> str:
        """The template at an S3 URL, with its bucket in the host or in the path."""
        from moto.s3.models import s3_backends

        parts = urlparse(url)
        host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
        if host in LOOPBACK or host.startswith(("s3.", "s3-")):
            bucket, _, key = path.partition("/")
        else:
            bucket, key = host.split(".")[0], path
            for marker in (".s3.", ".s3-"):
                if marker in host:
                    bucket = host.partition(marker)[0]
        partition = get_partition(self.region)
        try:
            found = s3_backends[self.current_account][partition].get_object(bucket, key)
        except Exception as error:  # S3 errors are HTTP exceptions
            raise ValidationError(f"S3 error: {error}: {url}") from None
        if found is None:
            raise ValidationError(f"S3 error: The specified key does not exist: {url}")
        return found.value.decode()

    def _stack(self, name: str | None) -> Stack:
        stack = self.backend.stack(name or "")
        if stack is None:
            raise ValidationError(f"Stack with id {name} does not exist")
        return stack

    # ------------------------------------------------------------- stacks

    def create_stack(self) -> ActionResult:
        params = self._checked()
        name = params["StackName"]
        if name in self.backend.stacks:
            raise Refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        stack = Stack(self.backend, name)
        request = self._request(params, None)
        stack.check(request)
        stack.protected = bool(params.get("EnableTerminationProtection"))
        self.backend.stacks[name] = stack
        stack.create(request, rollback=_rolls_back(params))
        if stack.status == "ROLLBACK_COMPLETE" and params.get("OnFailure") == "DELETE":
            self._delete(stack, [])
        return ActionResult({"StackId": stack.id})

    def update_stack(self) -> ActionResult:
        params = self._checked()
        stack = self._live(params["StackName"])
        request = self._request(params, stack)
        self._check_updatable(stack)
        stack.check(request)
        if not stack.differs(request):
            raise ValidationError("No updates are to be performed.")
        stack.update(request, rollback=_rolls_back(params))
        return ActionResult({"StackId": stack.id})

    def _live(self, name: str) -> Stack:
        stack = self.backend.stack(name)
        if stack is None or stack.deleted:
            raise ValidationError(f"Stack [{name}] does not exist")
        return stack

    def _check_updatable(self, stack: Stack) -> None:
        fine = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        if stack.status not in fine:
            raise ValidationError(
                f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            )

    def delete_stack(self) -> ActionResult:
        params = self._checked()
        stack = self.backend.stack(params["StackName"])
        if stack and not stack.deleted:
            if stack.protected:
                raise ValidationError(
                    f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            self._delete(stack, params.get("RetainResources", []))
        return EmptyResult()

    def _delete(self, stack: Stack, retain: list[str]) -> None:
        stack.delete(retain)
        if stack.deleted:
            del self.backend.stacks[stack.name]
            self.backend.deleted[stack.id] = stack

    def describe_stacks(self) -> ActionResult:
        name = self._checked().get("StackName")
        stacks = [self._stack(name)] if name else list(self.backend.stacks.values())
        return ActionResult({"Stacks": [_stack_view(stack) for stack in stacks]})

    def list_stacks(self) -> ActionResult:
        wanted = self._checked().get("StackStatusFilter")
        stacks = [*self.backend.stacks.values(), *self.backend.deleted.values()]
        return ActionResult(
            {
                "StackSummaries": [
                    {**_stack_view(s), "TemplateDescription": _description(s)}
                    for s in stacks
                    if not wanted or s.status in wanted
                ]
            }
        )

    def describe_stack_events(self) -> ActionResult:
        params = self._checked()
        name = params["StackName"]
        stack = self.backend.stack(name)
        if stack is None:
            raise ValidationError(f"Stack [{name}] does not exist")
        # The token counts from the oldest event, so that new ones do not shift it.
        end = int(params["NextToken"]) if "NextToken" in params else len(stack.events)
        start = max(0, end - EVENTS_PAGE)
        return ActionResult(
            {
                "StackEvents": stack.events[start:end][::-1],
                "NextToken": str(start) if start else None,
            }
        )

    def describe_events(self) -> ActionResult:
        params = self._checked()
        stack = self.backend.stack(params.get("StackName", ""))
        change_set = params.get("ChangeSetName")
        if stack is None or change_set:
            return ActionResult({"OperationEvents": []})
        failed = params.get("Filters", {}).get("FailedEvents")
        events = [
            {**event, "EventType": "STACK_EVENT"}
            for event in reversed(stack.events)
            if not failed or event["ResourceStatus"].endswith("_FAILED")
        ]
        return ActionResult({"OperationEvents": events})

    def get_template(self) -> ActionResult:
        params = self._checked()
        stack = self._stack(params.get("StackName"))
        text = stack.request.text if stack.request else ""
        return ActionResult({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]})

    def get_template_summary(self) -> ActionResult:
        params = self._checked()
        if "StackName" in params:
            request = self._stack(params["StackName"]).request
            if request is None:
                raise ValidationError("The stack is in REVIEW_IN_PROGRESS")
            template = request.template
        else:
            template = self._request({**params, "Parameters": []}, None).template
        return ActionResult(_summary(template))

    def validate_template(self) -> ActionResult:
        template = self._request(self._checked(), None).template
        templates.check(template, providers.supported)
        return ActionResult(
            {
                "Description": template.get("Description"),
                "Capabilities": templates.needed_capabilities(template)[:1],
                "Parameters": [
                    {
                        "ParameterKey": name,
                        "DefaultValue": parameter.get("Default"),
                        "NoEcho": parameter.get("NoEcho", False),
                        "Description": parameter.get("Description"),
                    }
                    for name, parameter in (template.get("Parameters") or {}).items()
                ],
            }
        )

    def update_termination_protection(self) -> ActionResult:
        params = self._checked()
        stack = self._live(params["StackName"])
        stack.protected = params["EnableTerminationProtection"]
        return ActionResult({"StackId": stack.id})

    def list_exports(self) -> ActionResult:
        return ActionResult(
            {
                "Exports": [
                    {
                        "ExportingStackId": stack.id,
                        "Name": output["ExportName"],
                        "Value": output["OutputValue"],
                    }
                    for stack in self.backend.stacks.values()
                    for output in stack.outputs
                    if "ExportName" in output
                ]
            }
        )

    # ---------------------------------------------------------- resources

    def describe_stack_resource(self) -> ActionResult:
        params = self._checked()
        stack = self._stack(params["StackName"])
        name = params["LogicalResourceId"]
        if name not in stack.resources:
            raise ValidationError(f"Resource {name} does not exist for stack {stack.name}")
        return ActionResult({"StackResourceDetail": _resource_view(stack, stack.resources[name])})

    def describe_stack_resources(self) -> ActionResult:
        params = self._checked()
        physical = params.get("PhysicalResourceId")
        if "StackName" in params:
            stack = self._stack(params["StackName"])
        else:
            stacks = self.backend.stacks.values()
            owners = (
                s for s in stacks if physical in (r.physical_id for r in s.resources.values())
            )
            stack = next(owners, None)
            if stack is None:
                raise ValidationError(f"Stack for {physical} does not exist")
        logical = params.get("LogicalResourceId")
        found = [
            _resource_view(stack, resource)
            for name, resource in stack.resources.items()
            if logical in (None, name)
        ]
        return ActionResult({"StackResources": found[:100]})

    def list_stack_resources(self) -> ActionResult:
        params = self._checked()
        stack = self._stack(params["StackName"])
        found = [_resource_view(stack, r) for r in stack.resources.values()]
        start = int(params.get("NextToken", 0))
        end = start + 100
        return ActionResult(
            {
                "StackResourceSummaries": found[start:end],
                "NextToken": str(end) if end < len(found) else None,
            }
        )

    # -------------------------------------------------------- change sets

    def create_change_set(self) -> ActionResult:
        params = self._checked()
        name, stack_name = params["ChangeSetName"], params["StackName"]
        kind = params.get("ChangeSetType", "UPDATE")
        # ImportExistingResources only matters when something exists already, and then
        # the creation is refused; cdk bootstrap always asks for it.
        if kind == "IMPORT":
            raise ValidationError("the local AWS cannot import resources")
        stack = self.backend.stack(stack_name)
        if stack and stack.deleted:
            stack = None
        if kind == "UPDATE":
            stack = self._live(stack_name)
            self._check_updatable(stack)
        elif stack and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(
                f"Stack [{stack_name}] already exists and cannot be created again with "
                f"the changeSet [{name}]."
            )
        request = self._request(params, stack)
        target = stack or Stack(self.backend, stack_name)
        target.check(request)
        if name in target.change_sets:
            raise Refusal("AlreadyExistsException", f"ChangeSet {name} cannot be created again")
        if stack is None:
            self.backend.stacks[target.name] = target
            target.become("REVIEW_IN_PROGRESS", "User Initiated")
        change_set = ChangeSet(target, name, kind, request)
        change_set.changes = target.changes(request)
        if kind == "UPDATE" and not target.differs(request):
            change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
            change_set.reason = NO_CHANGES
        target.change_sets[name] = change_set
        return ActionResult({"Id": change_set.id, "StackId": target.id})

    def _change_set(self) -> ChangeSet:
        params = self._checked()
        stack, name = params.get("StackName"), params["ChangeSetName"]
        found = self.backend.change_set(stack, name)
        if found is None:
            raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found

    def describe_change_set(self) -> ActionResult:
        return ActionResult(_change_set_view(self._change_set()))

    def list_change_sets(self) -> ActionResult:
        stack = self._stack(self._checked()["StackName"])
        views = [_change_set_view(c) for c in stack.change_sets.values()]
        return ActionResult({"Summaries": views})

    def delete_change_set(self) -> ActionResult:
        params = self._checked()
        stack = params.get("StackName")
        if stack and self.backend.stack(stack) is None:
            raise ValidationError(f"Stack [{stack}] does not exist")
        found = self.backend.change_set(stack, params["ChangeSetName"])
        if found:
            del found.stack.change_sets[found.name]
        return EmptyResult()

    def execute_change_set(self) -> ActionResult:
        params = self._checked()
        change_set = self._change_set()
        if change_set.execution_status != "AVAILABLE":
            raise Refusal(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change_set.id}] cannot be executed in its current status "
                f"of [{change_set.status}]",
            )
        stack = change_set.stack
        # Executing one change set makes all those of the stack obsolete.
        stack.change_sets.clear()
        run = stack.create if change_set.kind == "CREATE" else stack.update
        run(change_set.request, rollback=_rolls_back(params))
        return EmptyResult()


def _rolls_back(params: dict[str, Any]) -> bool:
    return not params.get("DisableRollback") and params.get("OnFailure") != "DO_NOTHING"


def _description(stack: Stack) -> str | None:
    return stack.request.template.get("Description") if stack.request else None


def _stack_view(stack: Stack) -> dict[str, Any]:
    request = stack.request
    declared = (request.template.get("Parameters") or {}) if request else {}
    parameters = []
    for name, declaration in declared.items():
        given = request.parameters.get(name, declaration.get("Default"))
        value = "****" if declaration.get("NoEcho") else str(given)
        parameter = {"ParameterKey": name, "ParameterValue": value}
        if declaration.get("Type", "").startswith("AWS::SSM::"):
            parameter["ResolvedValue"] = stack.values.get(name)
        parameters.append(parameter)
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": _description(stack),
        "Parameters": parameters,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": False,
        "NotificationARNs": request.notifications if request else [],
        "Capabilities": request.capabilities if request else [],
        "Outputs": stack.outputs,
        "RoleARN": request.role if request else None,
        "Tags": [{"Key": k, "Value": v} for k, v in stack.tags.items()],
        "EnableTerminationProtection": stack.protected,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def _resource_view(stack: Stack, resource: Resource) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.kind,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "LastUpdatedTimestamp": resource.updated,
        "Timestamp": resource.updated,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def _change_set_view(change_set: ChangeSet) -> dict[str, Any]:
    request = change_set.request
    return {
        "ChangeSetId": change_set.id,
        "ChangeSetName": change_set.name,
        "StackId": change_set.stack.id,
        "StackName": change_set.stack.name,
        "Parameters": [
            {"ParameterKey": k, "ParameterValue": v} for k, v in request.parameters.items()
        ],
        "Tags": [{"Key": k, "Value": v} for k, v in request.tags.items()],
        "Capabilities": request.capabilities,
        "CreationTime": change_set.created,
        "Status": change_set.status,
        "ExecutionStatus": change_set.execution_status,
        "StatusReason": change_set.reason,
        "Changes": change_set.changes,
    }


def _summary(template: dict[str, Any]) -> dict[str, Any]:
    resources = template.get("Resources") or {}
    return {
        "Description": template.get("Description"),
        "Version": template.get("AWSTemplateFormatVersion"),
        "ResourceTypes": sorted({r["Type"] for r in resources.values()}),
        "Parameters": [
            {
                "ParameterKey": name,
                "ParameterType": parameter.get("Type", "String"),
                "DefaultValue": parameter.get("Default"),
                "NoEcho": parameter.get("NoEcho", False),
            }
            for name, parameter in (template.get("Parameters") or {}).items()
        ],
    }


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The API as a WSGI application."""
    request = HttpRequest(environ)
    # Templates come in forms; werkzeug would refuse one above 500 kB by default.
    request.max_form_memory_size = None
    status, headers, body = CloudFormationApi.dispatch(request, request.url, request.headers)
    headers.pop("status", None)
    response = HttpResponse(body, status=status, headers=headers)
    return response(environ, start_response)
