"""What a run ran on, as flat lines: host, accelerator, target, versions, seeds, the configuration's timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports import cleaning
from reports.facts import Facts


@dataclass(frozen=True)
class Row:
    """One line of a two-column table."""

    name: str
    value: str


def of_run(facts: Facts) -> dict[str, list[Row]]:
    """The lines of each part that was recorded, by the part's name."""
    meta = facts.meta
    parts = {
        "Host": meta.get("host"),
        "Accelerator": meta.get("accelerator"),
        "Target": {k: v for k, v in cleaning.mapping(meta.get("target")).items() if k != "reference"},
        "Topology": meta.get("topology"),
        "Seeds": meta.get("seeds"),
        "Versions": meta.get("versions"),
    }
    groups = {name: rows(value if isinstance(value, dict) else {name.lower(): value}) for name, value in parts.items()}
    deployed = {k: v for k, v in facts.deployed.items() if k not in {"model", "data_source", "synthetic", "timers"}}
    groups["Deployed"] = rows(deployed)
    groups["Timers of the configuration"] = _timers(cleaning.mapping(facts.deployed.get("timers")))
    groups["Service"] = rows(cleaning.mapping(meta.get("service")))
    return {name: found for name, found in groups.items() if found}


def rows(data: dict[str, Any], prefix: str = "") -> list[Row]:
    """Nested settings as flat lines, ``a.b`` for what lies in ``a``."""
    out = []
    for key, value in data.items():
        name = f"{prefix}{cleaning.text(key)}".replace("_", " ")
        if isinstance(value, dict):
            out += rows(value, f"{prefix}{cleaning.text(key)} · ")
        elif isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            out.append(Row(name, ", ".join(cleaning.text(item) for item in value)))
        elif value is not None and value != "":
            out.append(Row(name, _plain(value)))
    return out


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return cleaning.text(value)


def _timers(raw: dict[str, Any]) -> list[Row]:
    """Each timer with its unit; what does not end in ``_s`` is a count."""
    timed = {cleaning.text(name): value for name, raw_ in raw.items() if (value := cleaning.number(raw_)) is not None}
    return [
        Row(name.removesuffix("_s").replace("_", " "), f"{value:g}{' s' if name.endswith('_s') else ''}")
        for name, value in timed.items()
    ]
