"""Samples, gathered by the metric that they belong to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from reports import wall
from reports.facts import Facts
from reports.metrics.names import HELP, UNITS

Labels = tuple[tuple[str, str], ...]
Tell = Callable[..., None]


@dataclass(frozen=True)
class Sample:
    """``at_s``: seconds since 1970, None where the run does not say. ``run``: the id of the run it is of."""

    labels: Labels
    value: float
    at_s: float | None
    drill: str
    run: str


@dataclass
class Families:
    """The samples by family; a family's name ends with its unit."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def of(self, facts: Facts) -> Tell:
        """``tell(family, value, **labels)``: add a sample of this run; None, and what is no number, is left out.

        ``unit`` converts the value to the base unit, which is added to the family's name.
        """
        end = wall.end_ns(facts)
        at_s = None if end is None else end / 1e9
        drill = facts.file

        def tell(family: str, value: float | None, *, unit: str | None = None, **labels: object) -> None:
            if value is None or not math.isfinite(value):
                return
            if unit is not None:
                base, factor = UNITS.get(unit, ("other", 1.0))
                family, value = f"{family}_{base}", value / factor
                labels |= {"unit": unit} if base == "other" else {}
            said = {"drill": drill, **{name: str(label) for name, label in labels.items() if label not in (None, "")}}
            digits = 12 if abs(value) < 1e6 else 16  # what a conversion or a difference adds is not told
            sample = Sample(tuple(said.items()), float(f"{value:.{digits}g}"), at_s, drill, facts.run)
            self.samples.setdefault(family, []).append(sample)

        return tell

    def names(self) -> list[str]:
        """The families that have samples, in the order of ``HELP`` and then of their units."""
        order = list(HELP)
        return sorted(self.samples, key=lambda name: (order.index(stem(name)), name))


def stem(family: str) -> str:
    """The key of a family in ``HELP``: its name, without the unit where that depends on the measure."""
    if family in HELP:
        return family
    return next(family.removesuffix(f"_{unit}") for unit in _bases() if family.endswith(f"_{unit}"))


def unit_of(family: str) -> str:
    """The unit that a family's name ends with; empty for one without."""
    return next((unit for unit in _bases() if family.endswith(f"_{unit}") and unit != "other"), "")


def _bases() -> list[str]:
    """The base units, those that end like another one first."""
    return sorted({base for base, _ in UNITS.values()} | {"other"}, key=len, reverse=True)
