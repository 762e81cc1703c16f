"""Stacks and change sets, with CloudFormation's own semantics.

moto 5.2.1 has a stack engine, but one that never fails: it skips unknown
resources, has no rollback, no resource events, no replacement and no retention
on update, and it mixes up the change sets of different stacks. This engine
takes its place; cloudformation.py is the API in front of it.

An operation runs to its end inside the call that starts it, so nobody waits for
a poll: the first look at the stack finds its final state. Operations of one
account and region run one after the other.
"""

from __future__ import annotations

import copy
import datetime
import json
import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import ServiceException

import providers
import template as templates
from providers import HandlerError
from template import NO_VALUE, Refusal, Scope, ValidationError

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information "
    "to create a change set."
)
STACK_TYPE = "AWS::CloudFormation::Stack"
SSM_TYPE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")


class Resource:
    """A resource that exists, as its stack knows it."""

    def __init__(self, logical_id: str, definition: dict[str, Any]):
        self.logical_id = logical_id
        self.definition = definition
        self.kind = definition["Type"]
        self.properties: dict[str, Any] = {}
        self.physical_id = ""
        self.handle: Any = None
        self.status = ""
        self.reason: str | None = None
        self.updated = now()

    @property
    def provider(self) -> providers.Provider:
        found = providers.provider(self.kind)
        assert found is not None, self.kind
        return found

    @property
    def retained(self) -> bool:
        """Whether it stays behind when it is deleted."""
        policy = self.definition.get("DeletionPolicy")
        return policy in ("Retain", "RetainExceptOnCreate")

    @property
    def gone(self) -> bool:
        """Whether its stack has deleted it, or let go of it."""
        return self.status in ("DELETE_COMPLETE", "DELETE_SKIPPED")

    def copy(self) -> Resource:
        return copy.copy(self)


class Failure(Exception):
    """A resource that could not be created, updated or deleted."""

    def __init__(self, logical_id: str, verb: str):
        super().__init__(f"The following resource(s) failed to {verb}: [{logical_id}]. ")


class ChangeSet:
    """What would be done to a stack."""

    def __init__(self, stack: Stack, name: str, kind: str, request: Request):
        self.stack = stack
        self.name = name
        self.kind = kind
        self.request = request
        self.created = stack.clock()
        self.id = (
            f"arn:{stack.partition}:cloudformation:{stack.region}:{stack.account}:"
            f"changeSet/{name}/{uuid.uuid4()}"
        )
        self.changes: list[dict[str, Any]] = []
        self.status = "CREATE_COMPLETE"
        self.execution_status = "AVAILABLE"
        self.reason: str | None = None


class Request:
    """What a stack shall become: template, parameters, tags."""

    def __init__(
        self,
        text: str,
        parameters: dict[str, str],
        tags: dict[str, str],
        capabilities: list[str],
        role: str | None = None,
        notifications: list[str] | None = None,
    ):
        self.text = text
        self.template = templates.read(text)
        self.parameters = parameters
        self.tags = tags
        self.capabilities = capabilities
        self.role = role
        self.notifications = notifications or []


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Stack:
    """One stack: its resources, its events and its change sets."""

    def __init__(self, backend: CloudFormationBackend, name: str):
        self.backend = backend
        self.account = backend.account_id
        self.region = backend.region_name
        self.partition = backend.partition
        self.name = name
        self.id = (
            f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:"
            f"stack/{name}/{uuid.uuid4()}"
        )
        self.status = ""
        self.reason: str | None = None
        self.created = now()
        self.updated: datetime.datetime | None = None
        self.deleted: datetime.datetime | None = None
        self.protected = False
        self.request: Request | None = None
        self.values: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.resources: dict[str, Resource] = {}
        self.outputs: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.change_sets: dict[str, ChangeSet] = {}

    # ------------------------------------------------------------ events

    def clock(self) -> datetime.datetime:
        """The time, always later than that of the last event."""
        moment = now()
        if self.events:
            after = self.events[-1]["Timestamp"] + datetime.timedelta(milliseconds=1)
            moment = max(moment, after)
        return moment

    def event(
        self, logical: str, physical: str, kind: str, status: str, reason: str | None
    ) -> None:
        """Adds an event to the stack's history."""
        self.events.append(
            {
                "StackId": self.id,
                "StackName": self.name,
                "EventId": str(uuid.uuid4()),
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceType": kind,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": self.clock(),
            }
        )

    def become(self, status: str, reason: str | None = None) -> None:
        """Puts the stack in a state."""
        self.status, self.reason = status, reason
        self.event(self.name, self.id, STACK_TYPE, status, reason)

    def mark(self, resource: Resource, status: str, reason: str | None = None) -> None:
        """Puts a resource in a state."""
        resource.status, resource.reason, resource.updated = status, reason, now()
        self.event(resource.logical_id, resource.physical_id, resource.kind, status, reason)

    # --------------------------------------------------------- resolving

    def scope(self, request: Request, lookup: Callable[[str], Resource | None]) -> Scope:
        """A scope for the template of the request; lookup finds resources."""

        def ref(name: str) -> Any:
            found = lookup(name)
            return found.physical_id if found else UNKNOWN

        def get_att(name: str, attribute: str) -> Any:
            found = lookup(name)
            if found is None:
                return UNKNOWN
            try:
                return found.provider.attribute(found, attribute)
            except HandlerError as error:
                raise ValidationError(f"Template error: {name}: {error}") from None

        return Scope(
            request.template,
            {**self.pseudo(), **self.parameters(request)},
            ref,
            get_att,
            self.backend.imported,
            self.region,
        )

    def pseudo(self) -> dict[str, Any]:
        return {
            "AWS::AccountId": self.account,
            "AWS::NotificationARNs": self.request.notifications if self.request else [],
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackId": self.id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def parameters(self, request: Request) -> dict[str, Any]:
        """The values of the template's parameters."""
        declared = request.template.get("Parameters") or {}
        unknown = sorted(set(request.parameters) - set(declared))
        if unknown:
            raise ValidationError(
                f"Parameters: [{', '.join(unknown)}] do not exist in the template"
            )
        missing = sorted(
            n for n, p in declared.items() if n not in request.parameters and "Default" not in p
        )
        if missing:
            raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
        return {
            name: self._parameter(
                name, declaration, request.parameters.get(name, declaration.get("Default"))
            )
            for name, declaration in declared.items()
        }

    def _parameter(self, name: str, declaration: dict[str, Any], value: Any) -> Any:
        kind = declaration.get("Type", "String")
        text = str(value)
        allowed = declaration.get("AllowedValues")
        if allowed and text not in [str(item) for item in allowed]:
            raise ValidationError(f"Parameter '{name}' must be one of AllowedValues {allowed}")
        pattern = declaration.get("AllowedPattern")
        if pattern and not re.fullmatch(pattern, text):
            raise ValidationError(f"Parameter {name} failed to satisfy constraint: {pattern}")
        stored = SSM_TYPE.fullmatch(kind)
        if stored:
            text, kind = self.backend.ssm_value(text), stored.group(1)
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [item.strip() for item in text.split(",")]
        if kind == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise ValidationError(f"Parameter '{name}' must be a number.")
        return text

    def check(self, request: Request) -> None:
        """Refuses a request as CloudFormation does before it begins."""
        templates.check(request.template, providers.supported)
        needed = templates.needed_capabilities(request.template)
        if needed and not set(needed) & set(request.capabilities):
            raise Refusal(
                "InsufficientCapabilitiesException",
                f"Requires capabilities : [{needed[0]}]",
            )
        templates.check_rules(request.template, self.scope(request, lambda name: None))
        if request.role:
            self.backend.check_role(request.role)

    def wanted(self, request: Request) -> dict[str, dict[str, Any]]:
        """The resources of the template whose conditions hold."""
        scope = self.scope(request, lambda name: None)
        return {
            name: resource
            for name, resource in request.template["Resources"].items()
            if "Condition" not in resource or scope.condition(resource["Condition"])
        }

    # -------------------------------------------------------- change sets

    def changes(self, request: Request) -> list[dict[str, Any]]:
        """What the request would change, as a change set tells it."""
        wanted = self.wanted(request)
        scope = self.scope(request, self.resources.get)
        found = []
        for name, definition in wanted.items():
            change = self._change(name, definition, scope, request)
            if change:
                found.append(change)
        for name, old in self.resources.items():
            if name not in wanted:
                found.append(
                    {
                        **_change("Remove", name, old.kind, old.physical_id),
                        "PolicyAction": "Retain" if old.retained else "Delete",
                    }
                )
        return [{"Type": "Resource", "ResourceChange": change} for change in found]

    def _change(
        self, name: str, definition: dict[str, Any], scope: Scope, request: Request
    ) -> dict[str, Any] | None:
        old = self.resources.get(name)
        kind = definition["Type"]
        if old is None:
            return _change("Add", name, kind, None)
        properties = scope.resolve(definition.get("Properties") or {})
        changed = _different(old.properties, properties)
        attributes = [
            attribute
            for attribute in ("Metadata", "DeletionPolicy", "UpdateReplacePolicy")
            if old.definition.get(attribute) != definition.get(attribute)
        ]
        tags = old.provider.taggable and self.tags != request.tags
        if kind == old.kind and not changed and not attributes and not tags:
            return None
        replacing = old.provider.replaced_by(old.properties, properties)
        replaced = kind != old.kind or bool(replacing)
        change = _change("Modify", name, kind, old.physical_id)
        change["Replacement"] = "True" if replaced else "False"
        if replaced:
            retained = definition.get("UpdateReplacePolicy") == "Retain"
            change["PolicyAction"] = "ReplaceAndRetain" if retained else "ReplaceAndDelete"
        change["Scope"] = (
            (["Properties"] if changed else []) + attributes + (["Tags"] if tags else [])
        )
        change["Details"] = [
            {
                "Target": {
                    "Attribute": "Properties",
                    "Name": key,
                    "RequiresRecreation": "Always" if key in replacing else "Never",
                },
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
            for key in changed
        ] + [
            {
                "Target": {"Attribute": key, "RequiresRecreation": "Never"},
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
            for key in change["Scope"]
            if key != "Properties"
        ]
        return change

    def differs(self, request: Request) -> bool:
        """Whether the request would change anything at all."""
        if self.request is None or self.changes(request) or self.tags != request.tags:
            return True
        old, new = self.request.template, request.template
        return (old.get("Outputs") or {}) != (new.get("Outputs") or {})

    # --------------------------------------------------------- operations

    def create(self, request: Request, rollback: bool = True) -> None:
        """Creates everything, or leaves nothing behind."""
        self.become("CREATE_IN_PROGRESS", "User Initiated")
        self._accept(request)
        operation = Operation(self, request)
        try:
            operation.apply()
            self._finish(request)
        except Failure as failure:
            if not rollback:
                self.become("CREATE_FAILED", str(failure))
                return
            self.become("ROLLBACK_IN_PROGRESS", f"{failure}Rollback requested by user.")
            operation.delete(list(self.resources.values()), keep=False)
            self.become("ROLLBACK_COMPLETE")
            return
        self.become("CREATE_COMPLETE")

    def update(self, request: Request, rollback: bool = True) -> None:
        """Changes what differs, or puts everything back."""
        before = (self.request, self.tags, self.values)
        self.updated = now()
        self.become("UPDATE_IN_PROGRESS", "User Initiated")
        old_tags = self.tags
        self._accept(request)
        operation = Operation(self, request, retag=old_tags != self.tags)
        try:
            operation.apply()
            self._finish(request)
        except Failure as failure:
            if not rollback:
                self.become("UPDATE_FAILED", str(failure))
                return
            self.become("UPDATE_ROLLBACK_IN_PROGRESS", str(failure))
            self.request, self.tags, self.values = before
            operation.undo()
            self.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            operation.clean_up_new()
            self.become("UPDATE_ROLLBACK_COMPLETE")
            return
        self.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        operation.clean_up_old()
        self.become("UPDATE_COMPLETE")

    def delete(self, retain: list[str]) -> None:
        """Deletes everything but what is retained."""
        self.become("DELETE_IN_PROGRESS", "User Initiated")
        # What a rollback has deleted already may belong to another stack by now.
        present = {n: r for n, r in self.resources.items() if not r.gone}
        kept = [r for n, r in present.items() if n in retain]
        doomed = [r for n, r in present.items() if n not in retain]
        failed = Operation(self, self.request).delete(doomed, keep=True)
        for resource in kept:
            resource.provider.release(self, resource)
        if failed:
            self.become("DELETE_FAILED", f"The following resource(s) failed to delete: {failed}.")
            return
        self.resources.clear()
        self.outputs.clear()
        self.deleted = now()
        self.become("DELETE_COMPLETE")

    def _accept(self, request: Request) -> None:
        self.request, self.tags = request, request.tags
        self.values = self.parameters(request)

    def _finish(self, request: Request) -> None:
        """Works out the outputs, which fail the operation when they cannot be."""
        scope = self.scope(request, self.resources.get)
        outputs = []
        try:
            for name, output in (request.template.get("Outputs") or {}).items():
                if "Condition" in output and not scope.condition(output["Condition"]):
                    continue
                entry = {
                    "OutputKey": name,
                    "OutputValue": _output_text(scope.resolve(output["Value"])),
                    "Description": output.get("Description"),
                }
                if "Export" in output:
                    entry["ExportName"] = scope.resolve(output["Export"]["Name"])
                    self.backend.check_export(self, entry["ExportName"])
                outputs.append(entry)
        except ServiceException as error:
            self.event(self.name, self.id, STACK_TYPE, self.status, error.message)
            raise Failure(f"Outputs: {error.message}", "resolve") from None
        self.outputs = outputs


def _change(action: str, name: str, kind: str, physical: str | None) -> dict[str, Any]:
    return {
        "Action": action,
        "LogicalResourceId": name,
        "PhysicalResourceId": physical,
        "ResourceType": kind,
    }


def _different(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))


def _output_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Operation:
    """One run over the resources of a stack, and how to take it back."""

    def __init__(self, stack: Stack, request: Request | None, retag: bool = False):
        self.stack = stack
        self.request = request
        self.retag = retag
        self.before = dict(stack.resources)
        self.updated: list[tuple[Resource, Resource]] = []  # (as it was, as it is)
        self.made: list[Resource] = []
        self.replaced: list[tuple[Resource, Resource]] = []  # (old, new)

    def apply(self) -> None:
        """Creates, updates and replaces, in the order of the dependencies."""
        stack, request = self.stack, self.request
        assert request is not None
        wanted = stack.wanted(request)
        scope = stack.scope(request, lambda name: self._existing(name, wanted))
        for name in templates.order(wanted):
            definition = wanted[name]
            old = self.before.get(name)
            try:
                properties = scope.resolve(definition.get("Properties") or {})
                assert properties is not NO_VALUE
            except ServiceException as error:
                self._fail(Resource(name, definition), "CREATE", error.message, old)
            if old is None:
                self._create(name, definition, properties, None)
            elif old.kind != definition["Type"] or old.provider.replaced_by(
                old.properties, properties
            ):
                self._create(name, definition, properties, old)
            elif self._unchanged(old, definition, properties):
                old.definition = definition
            else:
                self._update(old, definition, properties)

    def _existing(self, name: str, wanted: dict[str, Any]) -> Resource | None:
        """A resource that the template may refer to by now."""
        if name not in wanted:
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{name}] in "
                "the Resources block of the template"
            )
        return self.stack.resources.get(name)

    def _unchanged(
        self, old: Resource, definition: dict[str, Any], properties: dict[str, Any]
    ) -> bool:
        return (
            old.properties == properties
            and old.definition.get("Metadata") == definition.get("Metadata")
            and not (self.retag and old.provider.taggable)
        )

    def _create(
        self,
        name: str,
        definition: dict[str, Any],
        properties: dict[str, Any],
        old: Resource | None,
    ) -> None:
        stack = self.stack
        resource = Resource(name, definition)
        resource.properties = properties
        verb = "UPDATE" if old else "CREATE"
        reason = (
            "Requested update requires the creation of a new physical resource; hence creating one."
            if old
            else None
        )
        if old:
            resource.physical_id = old.physical_id
        stack.mark(resource, f"{verb}_IN_PROGRESS", reason)
        try:
            self._check(resource, properties)
            made = resource.provider.create(stack, name, properties)
        except Exception as error:  # whatever moto raises fails the resource
            self._fail(resource, verb, _reason(error), old)
        resource.physical_id, resource.handle = made
        self.made.append(resource)
        if old:
            self.replaced.append((old, resource))
        stack.resources[name] = resource
        stack.mark(resource, f"{verb}_COMPLETE")

    def _update(
        self, old: Resource, definition: dict[str, Any], properties: dict[str, Any]
    ) -> None:
        was = old.copy()
        self.stack.mark(old, "UPDATE_IN_PROGRESS")
        try:
            self._check(old, properties)
            made = old.provider.update(self.stack, old, properties)
        except Exception as error:  # whatever moto raises fails the resource
            self._fail(old, "UPDATE", _reason(error), old)
        old.physical_id, old.handle = made
        old.properties, old.definition = properties, definition
        self.updated.append((was, old))
        self.stack.mark(old, "UPDATE_COMPLETE")

    def _check(self, resource: Resource, properties: dict[str, Any]) -> None:
        found = resource.provider.check(properties, self.stack)
        if found:
            raise HandlerError(
                f"Properties validation failed for resource {resource.logical_id} with "
                f"message: {'; '.join(found)}"
            )

    def _fail(self, resource: Resource, verb: str, reason: str, old: Resource | None) -> None:
        verb = "UPDATE" if old else verb
        self.stack.mark(resource, f"{verb}_FAILED", reason)
        raise Failure(resource.logical_id, verb.lower()) from None

    def undo(self) -> None:
        """Puts back what was updated or replaced; clean_up_new does the rest."""
        stack = self.stack
        for was, resource in reversed(self.updated):
            stack.mark(resource, "UPDATE_IN_PROGRESS")
            try:
                made = resource.provider.update(stack, resource, was.properties)
            except Exception as error:  # as above
                stack.mark(resource, "UPDATE_FAILED", _reason(error))
                continue
            resource.physical_id, resource.handle = made
            resource.properties, resource.definition = was.properties, was.definition
            stack.mark(resource, "UPDATE_COMPLETE")
        for old, _ in self.replaced:
            stack.mark(old, "UPDATE_COMPLETE")

    def clean_up_new(self) -> None:
        """Deletes what a failed update had made."""
        self.delete(self.made, keep=False)
        self.stack.resources = self.before

    def clean_up_old(self) -> None:
        """Deletes what a finished update has replaced or removed."""
        assert self.request is not None
        gone = [
            resource
            for name, resource in self.before.items()
            if name not in self.stack.wanted(self.request)
        ]
        replaced = []
        for old, new in self.replaced:
            if new.definition.get("UpdateReplacePolicy") == "Retain":
                self._retain(old)
            else:
                replaced.append(old)
        removed = []
        for resource in gone:
            del self.stack.resources[resource.logical_id]
            if resource.retained:
                self._retain(resource)
            else:
                removed.append(resource)
        self.delete(removed + replaced, keep=False)

    def _retain(self, resource: Resource) -> None:
        resource.provider.release(self.stack, resource)
        self.stack.mark(resource, "DELETE_SKIPPED")

    def delete(self, doomed: list[Resource], keep: bool) -> list[str]:
        """Deletes resources, dependents first; returns those that would not go.

        keep honours DeletionPolicy, as the deletion of a stack does. What a failed
        operation has made itself is only retained by Retain, not by
        RetainExceptOnCreate; for what was replaced, UpdateReplacePolicy has decided.
        """
        by_name = {resource.logical_id: resource for resource in doomed}
        definitions = {name: resource.definition for name, resource in by_name.items()}
        failed = []
        for name in reversed(templates.order(definitions)):
            resource = by_name[name]
            if keep and resource.retained:
                self._retain(resource)
                continue
            if (
                not keep
                and resource in self.made
                and resource.definition.get("DeletionPolicy") == "Retain"
            ):
                self._retain(resource)
                continue
            self.stack.mark(resource, "DELETE_IN_PROGRESS")
            try:
                resource.provider.delete(self.stack, resource)
            except Exception as error:  # whatever moto raises
                self.stack.mark(resource, "DELETE_FAILED", _reason(error))
                failed.append(name)
                continue
            self.stack.mark(resource, "DELETE_COMPLETE")
        return failed


def _reason(error: Exception) -> str:
    if isinstance(error, ServiceException):
        return f"{error.message} ({error.code})"
    return str(error) or type(error).__name__


# --------------------------------------------------------------- backend


class CloudFormationBackend(BaseBackend):
    """The stacks of one account and region."""

    def __init__(self, region_name: str, account_id: str):
        super().__init__(region_name, account_id)
        self.lock = threading.RLock()
        self.stacks: dict[str, Stack] = {}  # by name; those that exist
        self.deleted: dict[str, Stack] = {}  # by ID

    def stack(self, name_or_id: str) -> Stack | None:
        """The stack of a name, or of an ID, which finds deleted ones too."""
        for stack in self.stacks.values():
            if name_or_id in (stack.name, stack.id):
                return stack
        return self.deleted.get(name_or_id)

    def imported(self, name: str) -> Any:
        """The value of an export."""
        for stack in self.stacks.values():
            for output in stack.outputs:
                if output.get("ExportName") == name:
                    return output["OutputValue"]
        raise ValidationError(f"No export named {name} found.")

    def check_export(self, owner: Stack, name: str) -> None:
        """Refuses a name that another stack exports."""
        for stack in self.stacks.values():
            if stack is not owner and any(o.get("ExportName") == name for o in stack.outputs):
                raise ValidationError(
                    f"Export with name {name} is already exported by stack {stack.name}"
                )

    def ssm_value(self, name: str) -> str:
        """The value of an SSM parameter, such as the version of the bootstrap."""
        from moto.ssm.models import ssm_backends

        found = ssm_backends[self.account_id][self.region_name].get_parameter(name)
        if found is None:
            raise ValidationError(
                f"Unable to fetch parameters [{name}] from parameter store for this account."
            )
        return found.value

    def check_role(self, arn: str) -> None:
        """Refuses an execution role that does not exist."""
        from moto.iam.models import iam_backends

        roles = iam_backends[self.account_id][self.partition].roles.values()
        if arn not in (role.arn for role in roles):
            raise ValidationError(f"Role {arn} is invalid or cannot be assumed")

    def change_set(self, stack_name: str | None, name_or_id: str) -> ChangeSet | None:
        """A change set, by its ID or by its name and stack."""
        for stack in self.stacks.values():
            if stack_name and stack_name not in (stack.name, stack.id):
                continue
            for change_set in stack.change_sets.values():
                if name_or_id in (change_set.name, change_set.id):
                    return change_set
        return None


cloudformation_backends = BackendDict(CloudFormationBackend, "cloudformation")
