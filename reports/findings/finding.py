"""What a finding is, and what all of them need to know of a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drills.recording.record import Event
from reports import wording
from reports.facts import Facts, Measured, Trial

THIN = 0.2
"""A margin below this share of what a bound allows is thin."""


class Severity(Enum):
    """How much a finding matters, the greatest first; the value is what readers see."""

    MISSED = "Objective missed"
    OPEN = "Leaves the verdict open"
    UNASKED = "Harm that no objective asks about"
    CLOSE = "Close to its bound"
    DOUBT = "Makes figures doubtful"
    KNOW = "Good to know"
    WELL = "Went well"

    @property
    def rank(self) -> int:
        """0 for the greatest."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Figure:
    """A figure that a finding rests on, and the part of the page that holds it (its id)."""

    said: str
    anchor: str


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing: ``title`` is a whole sentence, ``text`` explains it, ``action`` is what to do about it.

    ``measures`` are those of the run that it speaks of, by name.
    """

    severity: Severity
    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    action: str = ""
    measures: tuple[str, ...] = ()


def measure(facts: Facts, name: str) -> Measured | None:
    """The run's figure of that name; one that an objective asks for comes first, whatever phase it asks about."""
    same = [m for m in facts.measures if m.base == name]
    return next((m for m in same if m.objective), None) or next((m for m in same if m.name == name), None)


def judged_in(facts: Facts, m: Measured) -> Trial | None:
    """The first trial that has the run's own figure of ``m``; None where none does."""
    own = ((trial, trial.measure(m.name)) for trial in facts.trials)
    alike = (trial for trial, x in own if x and (x.value, x.censored, x.outcome) == (m.value, m.censored, m.outcome))
    return next(alike, None)


def worst_trial(facts: Facts) -> Trial | None:
    """The first trial of the worst outcome; None without trials."""
    rank = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    return min(facts.trials, key=lambda trial: (rank[trial.outcome], trial.number), default=None)


def certain(m: Measured | None) -> bool:
    """Whether ``m`` has one observed value: not a range, not unknown."""
    return m is not None and m.value is not None and not (m.possible and m.possible[0] < m.possible[1])


def severity_of(m: Measured, *, harm: bool = False) -> Severity:
    """How much ``m`` matters by its objective; ``harm`` without any objective is worth asking about."""
    if m.outcome == "FAIL":
        return Severity.MISSED
    if m.outcome == "UNKNOWN":
        return Severity.OPEN
    if not m.objective:
        return Severity.UNASKED if harm else Severity.KNOW
    left = share_left(m)
    return Severity.CLOSE if left is not None and left < THIN else Severity.KNOW


def share_left(m: Measured) -> float | None:
    """The share (0 to 1) of what the tightest bound allows that is left; None where nothing can be said of a share.

    Of a greatest value all from 0 up to it is allowed, of a least share all that is missing to 1, of a least multiple
    of the baseline all that is missing to the baseline; between two bounds all that lies between them. A bound of 0
    leaves no share.
    """
    if m.value is None or not certain(m) or m.censored:
        return None
    low, high = _limits(m)
    if low is not None and high is not None:
        return min(high - m.value, m.value - low) / (high - low) if high > low else None
    if high is not None:
        return (high - m.value) / high if high > 0 else None
    best = m.baseline if "min_ratio" in m.objective else 1.0 if m.unit == "ratio" else None
    return (m.value - low) / (best - low) if low is not None and best is not None and best > low else None


def _limits(m: Measured) -> tuple[float | None, float | None]:
    """The highest least and the lowest greatest value that are allowed, in the measure's unit."""
    known = wording.limits(m)
    least, most = ([limit for side, limit in known if side == wanted] for wanted in ("min", "max"))
    return max(least, default=None), min(most, default=None)


def question_asked(facts: Facts) -> bool:
    """Whether every trial broke something, and was seen to: else nobody knows what the fault did."""
    return bool(facts.trials) and all(injections(t) and t.effect[0] is True for t in facts.trials)


def figure_of(m: Measured) -> Figure:
    """A measure with what it is allowed to be, as the page's first table has it."""
    allowed = f", allowed {wording.objective(m)}" if m.objective else ""
    return Figure(f"{wording.label(m.name)}: {wording.measured(m)}{allowed}", "objectives")


def injections(trial: Trial) -> list[Event]:
    """The trial's injections in time order."""
    return [event for event in trial.events if event.kind == "fault.injected"]


def moment(trial: Trial, key: str) -> float | None:
    """Seconds from the fault to a mark of the timeline; None where it was not observed."""
    return next((mark.t_s for mark in trial.marks if mark.key == key), None)


def heal_begun(trial: Trial) -> float | None:
    """Seconds from the fault until its healing began, as near as the record says; None where it was not healed."""
    begun = moment(trial, "heal")
    return moment(trial, "healed") if begun is None else begun


def part_of(facts: Facts, trial: Trial) -> str:
    """`` (trial 3)`` where there are several."""
    return f" (trial {trial.number})" if len(facts.trials) > 1 else ""


def listed(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
