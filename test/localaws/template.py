"""CloudFormation templates: reading, checking and resolving them.

moto 5.2.1 skips what it does not know, resolves an unknown Ref to nothing,
keeps AWS::NoValue in lists and enforces none of the limits of a template. This
module refuses what CloudFormation would refuse.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import yaml
from moto.core.exceptions import ServiceException

MAX_RESOURCES = 500
MAX_INLINE = 51_200
MAX_URL = 1_000_000
MAX_OUTPUTS = MAX_PARAMETERS = MAX_MAPPINGS = 200
SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
ATTRIBUTES = {
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "CreationPolicy",
    "UpdatePolicy",
}
POLICIES = {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}
NO_VALUE = object()


class Refusal(ServiceException):
    """A request that AWS would refuse, with the code that it answers with.

    moto finds the service of an error from the module of its class, so errors
    must not be of a class that moto.core defines.
    """

    def __init__(self, code: str, message: str):
        super().__init__(code, message)


class ValidationError(Refusal):
    """CloudFormation's answer to a bad request."""

    def __init__(self, message: str):
        super().__init__("ValidationError", message)


# --------------------------------------------------------------- reading


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, where dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, exp) for tag, exp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_function(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "Fn::GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _short_function)


def read(text: str) -> dict[str, Any]:
    """The template of a text in JSON or YAML."""
    try:
        template = json.loads(text)
    except ValueError:
        try:
            template = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
        except yaml.YAMLError as error:
            raise ValidationError(f"Template format error: {error}") from None
    if not isinstance(template, dict):
        raise ValidationError("Template format error: unsupported structure.")
    return template


def check_size(text: str, inline: bool) -> None:
    """Refuses a template that is too large for the way it was sent."""
    size = len(text.encode())
    if inline and size > MAX_INLINE:
        raise ValidationError(
            "1 validation error detected: Value at 'templateBody' failed to satisfy "
            f"constraint: Member must have length less than or equal to {MAX_INLINE} "
            f"(found {size})"
        )
    if size > MAX_URL:
        raise ValidationError(f"Template may not exceed {MAX_URL} bytes in size (found {size}).")


# -------------------------------------------------------------- checking


def check(template: dict[str, Any], supported: Callable[[str], bool]) -> None:
    """Refuses a template that CloudFormation would not accept."""
    unknown = sorted(set(template) - SECTIONS)
    if unknown:
        raise _format_error(f"Invalid template property or properties {unknown}")
    if template.get("Transform") or template.get("Hooks"):
        raise _format_error("the local AWS has no Transform and no Hooks")
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise _format_error("At least one Resources member must be defined.")
    _limit("resources", resources, MAX_RESOURCES)
    _limit("outputs", template.get("Outputs") or {}, MAX_OUTPUTS)
    _limit("parameters", template.get("Parameters") or {}, MAX_PARAMETERS)
    _limit("mappings", template.get("Mappings") or {}, MAX_MAPPINGS)
    if len(template.get("Description", "").encode()) > 1024:
        raise _format_error("'Description' length is greater than 1024.")
    for name, resource in resources.items():
        _check_resource(name, resource)
    types = {resource["Type"] for resource in resources.values()}
    unrecognized = sorted(t for t in types if not supported(t))
    if unrecognized:
        raise _format_error(f"Unrecognized resource types: [{', '.join(unrecognized)}]")
    _check_references(template)


def _check_resource(name: str, resource: Any) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]{1,255}", name):
        raise _format_error(f"Resource name {name} is non alphanumeric.")
    if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
        raise _format_error(f"[/Resources/{name}] Every Resource must have a Type.")
    unknown = sorted(set(resource) - ATTRIBUTES)
    if unknown:
        raise _format_error(f"Invalid template resource property '{unknown[0]}'")
    for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
        policy = resource.get(attribute)
        if policy is not None and policy not in POLICIES:
            raise _format_error(f"Unrecognized {attribute} {policy} for resource {name}")


def _check_references(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    parameters = set(template.get("Parameters") or {})
    conditions = set(template.get("Conditions") or {})
    for block in ("Resources", "Outputs"):
        unresolved = sorted(
            name
            for name in references(template.get(block) or {})
            if name not in resources and name not in parameters and not name.startswith("AWS::")
        )
        if unresolved:
            raise _format_error(
                f"Unresolved resource dependencies [{', '.join(unresolved)}] in the "
                f"{block} block of the template"
            )
        for name, item in (template.get(block) or {}).items():
            condition = item.get("Condition") if isinstance(item, dict) else None
            if isinstance(condition, str) and condition not in conditions:
                raise _format_error(
                    f"Unresolved condition {condition} of {name} in the {block} block"
                )
    for name, resource in resources.items():
        missing = sorted(set(depends_on(resource)) - set(resources))
        if missing:
            raise _format_error(
                f"Unresolved resource dependencies [{', '.join(missing)}] in the "
                f"Resources block of the template ({name})"
            )
    order(resources)


def _limit(what: str, items: dict[str, Any], limit: int) -> None:
    if len(items) > limit:
        raise _format_error(
            f"Number of {what}, {len(items)}, is greater than maximum allowed, {limit}"
        )


def _format_error(message: str) -> ValidationError:
    return ValidationError(f"Template format error: {message}")


def needed_capabilities(template: dict[str, Any]) -> list[str]:
    """The capabilities without which CloudFormation refuses the template."""
    named = {
        "AWS::IAM::Role": "RoleName",
        "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
        "AWS::IAM::User": "UserName",
        "AWS::IAM::Group": "GroupName",
        "AWS::IAM::Policy": None,
    }
    iam = [r for r in template["Resources"].values() if r["Type"] in named]
    if not iam:
        return []
    if any(named[r["Type"]] in (r.get("Properties") or {}) for r in iam):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


# ---------------------------------------------------------- dependencies


def depends_on(resource: dict[str, Any]) -> list[str]:
    """The explicit dependencies of a resource."""
    value = resource.get("DependsOn", [])
    return [value] if isinstance(value, str) else value


def references(value: Any) -> set[str]:
    """Every name that Ref, Fn::GetAtt and Fn::Sub in the value refer to."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str) and len(value) == 1:
                found.add(item)
            elif key == "Fn::GetAtt" and len(value) == 1:
                found.add(_get_att(item)[0])
            elif key == "Fn::Sub" and len(value) == 1:
                found |= _sub_references(item)
            else:
                found |= references(item)
    return found


def _sub_references(item: Any) -> set[str]:
    text, names = item if isinstance(item, list) else (item, {})
    used = re.findall(r"\$\{([^!}][^}]*)\}", text)
    return {u.split(".")[0] for u in used if u not in names} | references(names)


def _get_att(item: Any) -> list[Any]:
    return item.split(".", 1) if isinstance(item, str) else item


def dependencies(resource: dict[str, Any], names: Iterable[str]) -> set[str]:
    """The resources, among names, that must exist before this one."""
    wanted = references(resource.get("Properties") or {}) | set(depends_on(resource))
    return wanted & set(names)


def order(resources: dict[str, Any]) -> list[str]:
    """The names of the resources, each after those that it depends on."""
    done: dict[str, None] = {}
    for first in resources:
        stack: list[tuple[str, list[str]]] = []
        if first not in done:
            stack.append((first, sorted(dependencies(resources[first], resources))))
        while stack:
            name, waiting = stack[-1]
            if waiting:
                following = waiting.pop(0)
                if following in (n for n, _ in stack):
                    circle = ", ".join(sorted(n for n, _ in stack))
                    raise ValidationError(f"Circular dependency between resources: [{circle}]")
                if following not in done:
                    stack.append((following, sorted(dependencies(resources[following], resources))))
            else:
                done[name] = None
                stack.pop()
    return list(done)


# ------------------------------------------------------------- resolving


class Scope:
    """Resolves the functions of one template.

    ref and get_att answer for resources; they may raise ValidationError.
    """

    def __init__(
        self,
        template: dict[str, Any],
        values: dict[str, Any],
        ref: Callable[[str], Any],
        get_att: Callable[[str, str], Any],
        imports: Callable[[str], Any],
        region: str,
    ):
        self.template = template
        self.values = values  # parameters and pseudo parameters
        self.ref = ref
        self.get_att = get_att
        self.imports = imports
        self.region = region
        self._conditions: dict[str, bool] = {}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            conditions = self.template.get("Conditions") or {}
            if name not in conditions:
                raise _format_error(f"Unresolved condition {name}")
            self._conditions[name] = self.truth(conditions[name])
        return self._conditions[name]

    def truth(self, value: Any) -> bool:
        """The value of a condition function."""
        if not isinstance(value, dict) or len(value) != 1:
            raise _format_error(f"Not a condition: {json.dumps(value)}")
        ((function, argument),) = value.items()
        if function == "Condition":
            return self.condition(argument)
        if function == "Fn::Equals":
            left, right = (self.resolve(item) for item in argument)
            return _text(left) == _text(right)
        if function == "Fn::Not":
            return not self.truth(argument[0])
        if function == "Fn::And":
            return all(self.truth(item) for item in argument)
        if function == "Fn::Or":
            return any(self.truth(item) for item in argument)
        if function == "Fn::Contains":  # of Rules
            items, wanted = self.resolve(argument[0]), self.resolve(argument[1])
            return wanted in items
        raise _format_error(f"Unknown condition function {function}")

    def resolve(self, value: Any) -> Any:
        """The value with every function in it replaced by what it yields."""
        if isinstance(value, list):
            items = (self.resolve(item) for item in value)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::If":
                name, yes, no = argument
                return self.resolve(yes if self.condition(name) else no)
            handler = self._FUNCTIONS.get(function)
            if handler:
                return handler(self, argument)
            if function.startswith("Fn::"):
                raise _format_error(f"the local AWS has no {function}")
        items = ((key, self.resolve(item)) for key, item in value.items())
        return {key: item for key, item in items if item is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        if name.startswith("AWS::"):
            raise _format_error(f"Unknown pseudo parameter {name}")
        return self.ref(name)

    def _join(self, argument: Any) -> str:
        return argument[0].join(_text(item) for item in self.resolve(argument[1]))

    def _sub(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = self.resolve(names)

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in names:
                return _text(names[name])
            if "." in name:
                return _text(self.get_att(*name.split(".", 1)))
            return _text(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replace, text)

    def _select(self, argument: Any) -> Any:
        index, items = int(self.resolve(argument[0])), self.resolve(argument[1])
        if not 0 <= index < len(items):
            raise _format_error(f"Fn::Select cannot select {index} of {len(items)} items")
        return items[index]

    def _split(self, argument: Any) -> list[str]:
        return self.resolve(argument[1]).split(argument[0])

    def _find_in_map(self, argument: Any) -> Any:
        path = [self.resolve(item) for item in argument]
        found: Any = self.template.get("Mappings") or {}
        for step in path:
            if not isinstance(found, dict) or step not in found:
                raise _format_error(f"Unable to get mapping for {'::'.join(map(str, path))}")
            found = found[step]
        return found

    def _azs(self, argument: Any) -> list[str]:
        region = self.resolve(argument) or self.region
        return [f"{region}{zone}" for zone in "abc"]

    _FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
        "Fn::GetAtt": lambda self, argument: self.get_att(*_get_att(argument)),
        "Fn::Join": _join,
        "Fn::Sub": _sub,
        "Fn::Select": _select,
        "Fn::Split": _split,
        "Fn::FindInMap": _find_in_map,
        "Fn::GetAZs": _azs,
        "Fn::ImportValue": lambda self, argument: self.imports(self.resolve(argument)),
        "Fn::Base64": lambda self, argument: base64.b64encode(
            self.resolve(argument).encode()
        ).decode(),
        "Fn::ToJsonString": lambda self, argument: json.dumps(self.resolve(argument)),
        "Fn::Length": lambda self, argument: len(self.resolve(argument)),
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is NO_VALUE:
        return ""
    return str(value)


def check_rules(template: dict[str, Any], scope: Scope) -> None:
    """Refuses parameters that break an assertion of the template's Rules."""
    for name, rule in (template.get("Rules") or {}).items():
        if "RuleCondition" in rule and not scope.truth(rule["RuleCondition"]):
            continue
        for assertion in rule.get("Assertions", []):
            if not scope.truth(assertion["Assert"]):
                reason = assertion.get("AssertDescription", "")
                raise ValidationError(f"Template constraint violated: {name}: {reason}")
