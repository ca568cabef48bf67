"""Two runs of one drill against each other: which measures got worse, which better, and what cannot be told.

Pure: two ``verdict.json`` documents in, findings out. docs/measuring.md ("Comparing two runs") says why this test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from statistics import median
from typing import Any

from drills import errors, ranks
from drills.measures import definition

ALPHA = 0.05
"""At most this share of comparisons of equal runs claims any difference at all."""
LEAST_DELTA = 0.33
"""A smaller Cliff's delta is a small effect (Romano et al., 2006), whatever its p."""
LEAST_CHANGE = {"ratio": 0.005}
"""The relative change that matters, by unit; a tenth where none is named."""
HEADLINES = ("rto_read_s", "rto_write_s", "rpo_events", "recall_at_20", "availability", "p99_ms")
"""What is tested where neither drill states an objective."""


class Finding(StrEnum):
    """What a comparison says of one measure."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    NO_EVIDENCE = "no evidence"
    CANNOT_TELL = "cannot tell"
    NOT_TESTED = "not tested"


_WORDS = {
    Finding.REGRESSION: "B is worse than A.",
    Finding.IMPROVEMENT: "B is better than A.",
    Finding.NO_EVIDENCE: "No evidence that B differs from A.",
    Finding.CANNOT_TELL: "It cannot be told whether B is worse than A.",
}


@dataclass(frozen=True)
class Sample:
    """A measure in the trials of one run; None where a trial did not observe it. Invalid trials are left out."""

    values: tuple[float | None, ...]
    censored: tuple[bool, ...]
    variants: tuple[str | None, ...]
    resolution: float = 0.0

    @property
    def observed(self) -> list[float]:
        """The values that were observed; a censored one as its lower bound."""
        return [value for value in self.values if value is not None]

    def middle(self, up: bool) -> tuple[float | None, bool]:
        """The median of what was observed (of two middle ones the worse) and whether it is censored."""
        known = zip(self.values, self.censored, strict=True)
        order = sorted((c, -v if up else v, v) for v, c in known if v is not None)
        return (order[len(order) // 2][2], order[len(order) // 2][0]) if order else (None, False)


@dataclass(frozen=True)
class Compared:
    """One measure of both runs. ``change`` is the typical difference of B from A, in shares of A's median.

    ``p_adjusted`` counts how many measures are tested; ``delta`` is Cliff's, above 0 where B's values
    are greater.
    """

    name: str
    unit: str
    a: Sample
    b: Sample
    finding: Finding
    why: str
    p: float | None = None
    p_adjusted: float | None = None
    delta: float | None = None
    change: float | None = None

    @property
    def changed(self) -> str:
        """``change`` in words; empty where there is none."""
        if self.change is None:
            return ""
        if math.isinf(self.change):
            return "beyond"
        return f"{self.change:+.0%}" if abs(self.change) >= 0.1 else f"{self.change:+.1%}"


@dataclass(frozen=True)
class Comparison:
    """All measures of two runs; ``needed``: how many trials each run needs before anything can be told."""

    measures: tuple[Compared, ...]
    needed: int

    @property
    def finding(self) -> Finding:
        """The worst: a regression, then what cannot be told; an improvement only if nothing else was found."""
        found = {m.finding for m in self.measures} - {Finding.NOT_TESTED}
        for finding in (Finding.REGRESSION, Finding.CANNOT_TELL, Finding.IMPROVEMENT, Finding.NO_EVIDENCE):
            if finding in found:
                return finding
        return Finding.CANNOT_TELL

    @property
    def sentence(self) -> str:
        """The finding in a sentence."""
        return _WORDS[self.finding]

    @property
    def exit_code(self) -> int:
        """0 no regression, 1 a regression, 3 it cannot be told."""
        codes = {Finding.REGRESSION: errors.EXIT_FAIL, Finding.CANNOT_TELL: errors.EXIT_UNKNOWN}
        return codes.get(self.finding, errors.EXIT_PASS)


def compare(a: Mapping[str, Any], b: Mapping[str, Any], wanted: Sequence[str] = ()) -> Comparison:
    """Compare run B with run A by their verdicts.

    ``wanted`` names the measures to test; without it those that an objective of either run asks for. The more are
    tested, the stronger the evidence that each needs. Raises UsageError for a measure that neither run has.
    """
    names = list(dict.fromkeys([*a["measures"], *b["measures"]]))
    if unheard := [name for name in wanted if name not in names]:
        raise errors.UsageError(f"--measure {unheard[0]}: neither run has it; measures: {', '.join(names)}")
    tested = list(wanted) or objectives_of(a, b) or [name for name in HEADLINES if name in names]
    needed = trials_needed(len(tested))
    pairs = {name: (sample(a, name), sample(b, name)) for name in names}
    tests = {name: _ranked(*pairs[name], higher_is_better(name)) for name in tested if name in pairs}
    adjusted = dict(zip(tests, ranks.holm([test.p for test in tests.values()]), strict=True))
    found = []
    for name in names:
        unit = str((a["measures"].get(name) or b["measures"].get(name) or {}).get("unit") or "")
        blank = Compared(name, unit, *pairs[name], finding=Finding.NOT_TESTED, why="no objective asks for it")
        judged = _judge(blank, tests[name], adjusted[name], len(tested), needed) if name in tests else blank
        found.append(judged)
    return Comparison(tuple(found), needed)


def objectives_of(*verdicts: Mapping[str, Any]) -> list[str]:
    """The measures that an objective asks for in any of the verdicts."""
    return list(dict.fromkeys(n for v in verdicts for n, m in v["measures"].items() if m and m.get("objective")))


def trials_needed(tested: int, alpha: float = ALPHA) -> int:
    """How many trials each of two runs needs before the clearest difference could be shown in ``tested`` measures."""
    return next(n for n in count(1) if ranks.least_p([(n, n)]) <= alpha / max(1, tested))


def sample(verdict: Mapping[str, Any], name: str) -> Sample:
    """The values of one measure in a run's valid trials."""
    trials = [trial for trial in verdict["trials"] if trial.get("valid", True)]
    entries = [trial["measures"].get(name) or {} for trial in trials]
    return Sample(
        values=tuple(entry.get("value") for entry in entries),
        censored=tuple(bool(entry.get("censored")) for entry in entries),
        variants=tuple(trial.get("variant") for trial in trials),
        resolution=max((float(entry.get("resolution") or 0.0) for entry in entries), default=0.0),
    )


def higher_is_better(name: str) -> bool:
    """Whether a higher value of the measure is a better one."""
    known = definition(name.partition("@")[0])
    return known is not None and known.higher_is_better


def _ranked(a: Sample, b: Sample, up: bool) -> ranks.Ranked:
    """How B ranks against A, greater is worse.

    What was not observed is read both ways, and the weaker evidence taken.
    """
    missing = None in (*a.values, *b.values)
    readings = [
        ranks.mann_whitney(_strata(_values(a, up, worst), _values(b, up, not worst), a, b))
        for worst in ((True, False) if missing else (True,))
    ]
    if len({reading.delta > 0 for reading in readings}) > 1:
        return ranks.Ranked(1.0, 0.0)
    return max(readings, key=lambda reading: reading.p)


def _values(one: Sample, up: bool, unseen_is_worst: bool) -> list[ranks.Value]:
    unseen = (2, 0.0) if unseen_is_worst else (-1, 0.0)
    return [
        unseen if value is None else (1, 0.0) if censored else (0, -value if up else value)
        for value, censored in zip(one.values, one.censored, strict=True)
    ]


def _strata(x: list[ranks.Value], y: list[ranks.Value], a: Sample, b: Sample) -> list[ranks.Stratum]:
    """The values by variant: trials that break other things are not compared with each other."""
    return [
        (
            [value for value, variant in zip(x, a.variants, strict=True) if variant == kind],
            [value for value, variant in zip(y, b.variants, strict=True) if variant == kind],
        )
        for kind in dict.fromkeys([*a.variants, *b.variants])
    ]


def _judge(blank: Compared, test: ranks.Ranked, p: float, tested: int, needed: int) -> Compared:
    """The finding on a measure whose adjusted p is ``p``."""
    up = higher_is_better(blank.name)
    shift = _shift(blank.a, blank.b, up)
    change = _relative(shift, blank.a)
    signed = None if change is None else -change if up else change
    known = replace(blank, p=test.p, p_adjusted=p, delta=-test.delta if up else test.delta, change=signed)
    finding, why = _finding(known, shift, tested, needed)
    return replace(known, finding=finding, why=why)


def _finding(m: Compared, shift: float | None, tested: int, needed: int) -> tuple[Finding, str]:
    """What the test and the size of the difference allow to say, and why; ``shift`` is towards worse."""
    if shift is None or m.change is None or m.delta is None or m.p_adjusted is None:
        return Finding.CANNOT_TELL, "no trial of the one or the other run observed it"
    sizes = [(len(x), len(y)) for x, y in _strata(_values(m.a, False, True), _values(m.b, False, True), m.a, m.b)]
    if ranks.least_p(sizes) > ALPHA / tested:
        count_a, count_b = len(m.a.values), len(m.b.values)
        return Finding.CANNOT_TELL, f"too few trials ({count_a} and {count_b}): {needed} in each are needed"
    if m.p_adjusted > ALPHA:
        missing = sum(value is None for value in (*m.a.values, *m.b.values))
        if missing:
            return Finding.CANNOT_TELL, f"{missing} trials did not observe it, and they decide"
        return Finding.NO_EVIDENCE, f"no more than chance can do (p {m.p_adjusted:.2g})"
    least, resolution = LEAST_CHANGE.get(m.unit, 0.1), max(m.a.resolution, m.b.resolution)
    if abs(m.delta) < LEAST_DELTA or abs(m.change) < least or abs(shift) <= resolution:
        return Finding.NO_EVIDENCE, f"a difference, but too small to matter (below {least:.1%}, or the resolution)"
    finding = Finding.REGRESSION if shift > 0 else Finding.IMPROVEMENT
    return finding, f"p {m.p_adjusted:.2g}, Cliff's delta {m.delta:+.2f}"


def _shift(a: Sample, b: Sample, up: bool) -> float | None:
    """The typical difference of B from A towards worse: the median over all pairs (Hodges and Lehmann, 1963).

    A censored value is infinitely worse than an observed one. None where a run observed nothing.
    """
    sides = [
        [
            (-value if up else value, censored, kind)
            for value, censored, kind in zip(one.values, one.censored, one.variants, strict=True)
            if value is not None
        ]
        for one in (a, b)
    ]
    differences = sorted(
        0.0 if c and d else math.inf if d else -math.inf if c else y - x
        for x, c, kind in sides[0]
        for y, d, other in sides[1]
        if kind == other
    )
    if not differences:
        return None
    low, high = differences[(len(differences) - 1) // 2], differences[len(differences) // 2]
    return min(low, high, key=abs) if math.isinf(low) or math.isinf(high) else (low + high) / 2


def _relative(shift: float | None, a: Sample) -> float | None:
    if shift is None or not a.observed:
        return None
    if shift == 0:
        return 0.0
    usual = median(a.observed)
    return shift / abs(usual) if usual else math.copysign(math.inf, shift)


def to_document(comparison: Comparison, runs: Iterable[str], warnings: Iterable[str]) -> dict[str, Any]:
    """The comparison as plain values for ``--json``; infinite changes are null."""
    return {
        "finding": str(comparison.finding),
        "runs": list(runs),
        "warnings": list(warnings),
        "alpha": ALPHA,
        "trials_needed": comparison.needed,
        "measures": {m.name: _entry(m) for m in comparison.measures},
    }


def _entry(m: Compared) -> dict[str, Any]:
    change = None if m.change is None or math.isinf(m.change) else m.change
    return {
        "finding": str(m.finding),
        "why": m.why,
        "unit": m.unit,
        "a": _side(m.a, higher_is_better(m.name)),
        "b": _side(m.b, higher_is_better(m.name)),
        "p": m.p,
        "p_adjusted": m.p_adjusted,
        "cliffs_delta": m.delta,
        "change": change,
    }


def _side(one: Sample, up: bool) -> dict[str, Any]:
    middle, censored = one.middle(up)
    return {"values": one.values, "censored": one.censored, "median": middle, "median_censored": censored}
