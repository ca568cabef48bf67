"""Whether two recorded runs can be compared at all: the same question, asked of the same thing in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drills import spec
from drills.baseline.conditions import conditions_of, differences, host_differences
from drills.errors import UsageError
from drills.recording import rundir
from drills.recording.rundir import RunDir


@dataclass(frozen=True)
class Problems:
    """Sentences: with ``refusals`` figures would mean nothing, with ``warnings`` they mean less."""

    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def problems(a: RunDir, b: RunDir) -> Problems:
    """What differs between two runs, by their ``meta.json`` and drill files; raises UsageError where one is no run."""
    metas = [rundir.read_meta(run) for run in (a, b)]
    drills = [_mapping(meta.get("drill")) for meta in metas]
    refusals, warnings = [], []
    if drills[0].get("file") != drills[1].get("file") and drills[0].get("title") != drills[1].get("title"):
        refusals.append(f"different drills: {drills[0].get('file')} and {drills[1].get('file')}")
    elif drills[0].get("sha256") != drills[1].get("sha256"):
        warnings.append("the drill file was changed in between")
    conditions = [_conditions(run, meta) for run, meta in zip((a, b), metas, strict=True)]
    for difference in differences(*conditions):
        other = difference.replace(" there,", " in A,").removesuffix("here") + "in B"
        (warnings if difference.startswith("identity") else refusals).append(other)
    hosts = [{**_mapping(meta.get("host")), "accelerator": meta.get("accelerator")} for meta in metas]
    warnings += [
        f"another kind of host: {found.replace(' there,', ' in A,').removesuffix('here')}in B"
        for found in host_differences(*hosts)
    ]
    return Problems(tuple(refusals), tuple(warnings))


def _conditions(run: RunDir, meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        drill = spec.load(run.drill, recorded=True)
    except UsageError as error:
        raise UsageError(f"the drill of {run.id} cannot be read: {error}") from error
    return conditions_of(drill, str(_mapping(meta.get("model")).get("version") or _service(meta)))


def _service(meta: Mapping[str, Any]) -> str:
    return str(_mapping(meta.get("service")).get("identity") or "unknown")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
