"""What users write: drill files. The only reader of drill YAML.

document.py      YAML with line numbers
rules.py         what one setting may be
model.py         Drill and its parts, with every default and bound
objectives.py    bounds on measures
service.py       a service that recdr did not deploy: audience.py its users and items
notify.py        who is told of what came of it
method.py        activities; arguments.py the arguments of recdr's faults
inline.py        secrets that stand in a drill file, to be warned of
load.py          a path in, a Drill or a SpecError out
places.py        the line of each objective
schema.py        the same rules as a JSON Schema for editors
"""

from drills.spec.inline import inline_secrets
from drills.spec.load import load
from drills.spec.model import (
    AbortIf,
    Drill,
    FaultUse,
    Guard,
    Hook,
    HookArgument,
    Load,
    Mix,
    Notify,
    Objective,
    ProbeRates,
    Recovery,
    Region,
    ServiceSettings,
    Settings,
    Topology,
    Variant,
)
from drills.spec.places import objective_lines
from drills.spec.shipped import SCHEMA, find, shipped

__all__ = [
    "SCHEMA",
    "AbortIf",
    "Drill",
    "FaultUse",
    "Guard",
    "Hook",
    "HookArgument",
    "Load",
    "Mix",
    "Notify",
    "Objective",
    "ProbeRates",
    "Recovery",
    "Region",
    "ServiceSettings",
    "Settings",
    "Topology",
    "Variant",
    "find",
    "inline_secrets",
    "load",
    "objective_lines",
    "shipped",
]
