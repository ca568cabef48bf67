"""The rules of a drill file as a JSON Schema, for completion and checking in editors.

``python -m drills.spec.schema`` prints it; a test holds ``drills/drill.schema.json`` against it. An editor
knows less than recdr: what depends on two places of a file (variables, node names) only ``load`` checks.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any, Literal, get_args, get_origin, get_type_hints

from drills.spec.arguments import LAYERS, REGIONS, SIGNALS
from drills.spec.document import EXTENSION
from drills.spec.method import FUNCTIONS
from drills.spec.model import PHASES, HookArgument, Settings
from drills.spec.notify import notify_schema
from drills.spec.objectives import DEFAULT_PHASE, allowed_keys, bound_rule
from drills.spec.registries import FAULT_PACKAGE, MeasureRule, faults, measures
from drills.spec.rules import Choice, Number, Setting, settings
from drills.spec.service_schema import hook, service_schema

Schema = dict[str, Any]

_VARIABLE = {"type": "string", "pattern": r"\$\{\w+\}|\$\w+"}


def schema() -> Schema:
    """The whole schema."""
    activities = {"type": "array", "items": {"$ref": "#/$defs/activity"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "recdr drill",
        "description": "A Chaos Toolkit experiment with a recdr extension.",
        "type": "object",
        "required": ["title", "description", "method", "extensions"],
        "not": {"required": ["dry"]},
        "properties": {
            "title": _text("What must hold, in one sentence."),
            "description": _text("What is broken and what is expected."),
            "tags": {"type": "array", "items": _text("A word to find the drill by.")},
            "contributions": {"type": "object", "additionalProperties": _text("How much, say high.")},
            "configuration": {"type": "object", "description": "Values for ${name}; variants replace them."},
            "steady-state-hypothesis": {
                "type": "object",
                "required": ["title"],
                "properties": {"title": _text("What holds before and after."), "probes": activities},
            },
            "method": {**activities, "minItems": 1, "description": "What is done to the service, in order."},
            "rollbacks": {**activities, "description": "What recdr injected it heals anyway."},
            "extensions": {
                "type": "array",
                "items": {"if": _named(EXTENSION), "then": {"$ref": "#/$defs/recdr"}},
                "contains": _named(EXTENSION),
                "maxContains": 1,
            },
        },
        "$defs": {"recdr": _recdr(), "activity": _activity()},
    }


def _text(help_: str) -> Schema:
    return {"type": "string", "pattern": r"\S", "description": help_}


def _named(name: str) -> Schema:
    return {"type": "object", "properties": {"name": {"const": name}}, "required": ["name"]}


def _closed(properties: Schema, required: list[str], help_: str = "") -> Schema:
    """A mapping that allows no other keys."""
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        found["required"] = required
    return {"description": help_, **found} if help_ else found


def _recdr() -> Schema:
    properties = {"name": {"const": EXTENSION}, **_properties(Settings)}
    properties["service"] = service_schema()
    variant = {"name": _text("Name in the report."), "configuration": {"type": "object"}}
    properties["variants"] = {
        "type": "array",
        "minItems": 1,
        "description": "Ways to run the drill, one a trial in turn.",
        "items": _closed(variant, ["name", "configuration"]),
    }
    properties["notify"] = notify_schema()
    properties["objectives"] = {
        **_closed({name: _objective(measure) for name, measure in measures().items()}, []),
        "minProperties": 1,
        "description": "Bounds that the drill is judged by.",
    }
    external = {"properties": {"target": {"const": "external"}}, "required": ["target"]}
    return {
        **_closed(properties, ["name", "objectives"], "Settings of recdr."),
        "if": external,
        "then": {"required": ["service"], "not": {"required": ["topology"]}},
        "else": {"not": {"required": ["service"]}},
    }


def _properties(cls: type[Any]) -> Schema:
    return {setting.name: _setting(setting) for setting in settings(cls)}


def _setting(setting: Setting) -> Schema:
    if isinstance(setting.rule, Number | Choice):
        found = _rule(setting.rule)
        if setting.default is not None:
            found["default"] = setting.default
        return {"description": setting.help, **found}
    required = [inner.name for inner in settings(setting.rule) if inner.required]
    return _closed(_properties(setting.rule), required, setting.help)


def _rule(rule: Number | Choice) -> Schema:
    if isinstance(rule, Choice):
        return {"enum": list(rule.options)}
    bounds = {"minimum": rule.at_least, "exclusiveMinimum": rule.above, "maximum": rule.at_most}
    kind = "integer" if rule.whole else "number"
    return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def _objective(measure: MeasureRule) -> Schema:
    keys = allowed_keys(measure)
    bounds = {key: _rule(bound_rule(measure, key)) for key in keys if key != "phase"}
    properties: Schema = dict(bounds)
    if measure.phase:
        properties["phase"] = {"enum": list(PHASES), "default": DEFAULT_PHASE}
    good = [key for key in bounds if key.startswith("min" if measure.higher_is_better else "max")]
    found = _closed(properties, [], f"{measure.meaning} (unit: {measure.unit})")
    return {**found, "anyOf": [{"required": [key]} for key in good]}


def _activity() -> Schema:
    pause = {"anyOf": [{"type": "number", "minimum": 0}, _VARIABLE]}
    return {
        "type": "object",
        "not": {"required": ["dry"]},
        "properties": {
            "type": {"enum": ["action", "probe"]},
            "name": _text("Name in the journal and in the report."),
            "pauses": _closed({"before": pause, "after": pause}, [], "Seconds to wait."),
            "background": {"type": "boolean"},
            "provider": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": ["python", "process", "http"]}},
                "allOf": [_fault(name, fault) for name, fault in faults().items()],
            },
        },
    }


def _fault(name: str, fault: type[Any]) -> Schema:
    """What a provider that names this fault must look like."""
    module = {"const": f"{FAULT_PACKAGE}.{name}"}
    fields = dataclasses.fields(fault)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    hints = get_type_hints(fault)
    arguments = _closed({field.name: _argument(field.name, hints[field.name]) for field in fields}, required)
    then: Schema = {"properties": {"func": {"enum": list(FUNCTIONS)}, "arguments": arguments}}
    then["required"] = ["func", *(["arguments"] if required else [])]
    return {"if": {"properties": {"module": module}, "required": ["module"]}, "then": then}


def _argument(name: str, hint: Any) -> Schema:
    options = {"region": REGIONS, "layer": LAYERS, "signal": SIGNALS}.get(name, ())
    if get_origin(hint) is Literal:
        options = get_args(hint)
    if options:
        return {"anyOf": [{"enum": list(options)}, _VARIABLE]}
    if any(isinstance(kind, type) and issubclass(kind, HookArgument) for kind in (hint, *get_args(hint))):
        return hook()
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {"anyOf": [{"type": kinds[hint]}, _VARIABLE]} if hint in kinds else {}


def text() -> str:
    """The schema as the text of ``drills/drill.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
