"""Measures, bounds and verdicts in the words that all three reports use."""

from __future__ import annotations

import math
from datetime import datetime

from reports import cleaning
from reports.facts import Facts, Measured, Trial

LABELS = {
    "rto_read_s": "Reads disturbed",
    "rto_write_s": "Writes disturbed",
    "rto_quality_s": "Recommendations worse",
    "rpo_events": "Acknowledged events lost",
    "rpo_s": "Age of the oldest lost event",
    "duplicated_events": "Events stored twice",
    "split_brain_events": "Events acknowledged by two regions at once",
    "availability": "Requests answered",
    "failed_reads": "Failed reads",
    "failed_writes": "Failed writes",
    "p50_ms": "Latency, median",
    "p99_ms": "Latency, 99th percentile",
    "throughput_rps": "Answers a second",
    "lateness_p99_ms": "recdr's own lateness in asking, 99th percentile",
    "stale_events": "Acknowledged events that a region got late",
}
PHASES = {
    "before": "before the fault",
    "during": "during the fault",
    "after": "after healing",
    "post_fault": "from the fault on",
}
REPLICATION = {
    "async": "an event is acknowledged before the other region has it: a region that is lost may take events with it",
    "semisync": "an event is acknowledged once both regions have it, or one is provably alone",
    "sync": "an event is acknowledged only once both regions have it, so writes stop while one is lost",
}
MEANING = {
    "PASS": "every objective was met and every figure behind it was observed",
    "FAIL": "at least one objective was missed",
    "UNKNOWN": "something that the verdict needs was not observed",
}
_COUNTS = {"events", "requests", "reads", "writes"}


def label(name: str) -> str:
    """What a measure is called; ``p99_ms@after`` names its phase too."""
    name, _, phase = name.partition("@")
    if phase:
        return f"{label(name)}, {PHASES.get(phase, phase)}"
    if name in LABELS:
        return LABELS[name]
    kind, _, k = name.rpartition("_at_")
    kinds = {"recall": "Recall", "ndcg": "NDCG", "overlap": "List overlap"}
    return f"{kinds[kind]}@{k}" if kind in kinds else name


def figure(value: float | None, unit: str, resolution: float | None = None) -> str:
    """``value`` with its unit: as many digits as ``resolution`` allows, else about three."""
    if value is None:
        return "not observed"
    if resolution and resolution < 1 and unit not in _COUNTS and unit != "ratio":
        exact = f"{value:,.{min(math.ceil(-math.log10(resolution)), 6)}f}"
        if float(exact.replace(",", "")) or not value:  # never round something to nothing
            return f"{exact} {unit}".rstrip()
    if unit in _COUNTS:
        return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
    if unit == "ratio":
        return _share(value)
    return f"{_significant(value)} {unit}".rstrip()


def _share(value: float) -> str:
    """A ratio; near 1 with as many digits as it takes not to round a failure away."""
    for digits in (3, 4, 5, 6):
        if value >= 1 or value == 0 or f"{value:.{digits}f}" != f"{1:.{digits}f}":
            return f"{value:.{digits}f}"
    return f"{value:.9f}"


def _significant(value: float) -> str:
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 20 else 2 if abs(value) >= 1 else 3
    shown = f"{value:,.{digits}f}"
    shown = shown if float(shown.replace(",", "")) else f"{value:.2g}"
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def measured(m: Measured) -> str:
    """The value as reported: a censored one is a lower bound and says so."""
    shown = figure(m.value, m.unit, m.resolution)
    if m.possible is not None and m.possible[0] < m.possible[1]:
        if math.isinf(m.possible[1]):
            return f"≥ {figure(m.possible[0], m.unit, m.resolution)}"
        return _between(m.possible, m)
    return f"≥ {shown}" if m.censored and m.value is not None else shown


def precision(m: Measured) -> str:
    """How exact the figure is, in its own unit; empty where nothing was said."""
    parts = []
    if m.interval is not None:
        parts.append(_between(m.interval, m))
    if m.resolution and m.unit == "ratio":
        parts.append(f"resolution {m.resolution:.2g}")
    elif m.resolution and m.unit not in _COUNTS:
        parts.append(f"resolution {figure(m.resolution, m.unit)}")
    if m.possible is not None:
        parts = ["not all was recorded: anything in between is possible"]
    return ", ".join(parts)


def _between(ends: tuple[float, float], m: Measured) -> str:
    low, high = (figure(end, m.unit, m.resolution) for end in ends)
    return f"{low.removesuffix(m.unit).rstrip()} to {high}"


def raw(m: Measured) -> str:
    """The same percentile counted from the moment of sending; empty where it was not taken."""
    value = cleaning.number(m.evidence.get("raw_ms"))
    return "" if value is None else f"raw {figure(value, m.unit, m.resolution)}"


def spread(m: Measured) -> str:
    """The measure over all trials; empty where there was one."""
    over = m.over_trials
    if over is None or (over.median is None and over.range is None):
        return ""
    parts = [f"median {median(m)}"] if over.median is not None else []
    if said := median_interval(m):
        parts.append(f"with {said}")
    parts += [] if over.range is None else [f"range {_between(over.range, m)}"]
    return f"over {len(over.values)} trials: {', '.join(parts)}" if over.values else f"over trials: {', '.join(parts)}"


def median(m: Measured) -> str:
    over = m.over_trials
    if over is None or over.median is None:
        return "not known"
    return f"{'≥ ' if over.median_censored else ''}{figure(over.median, m.unit, m.resolution)}"


def worst(m: Measured) -> str:
    """The worst of all trials, a lower bound where that one was censored."""
    over = m.over_trials
    if over is None or over.worst is None:
        return "not known"
    censored = any(c and v == over.worst for v, c in zip(over.values, over.censored, strict=True))
    return f"{'≥ ' if censored else ''}{figure(over.worst, m.unit, m.resolution)}"


def median_interval(m: Measured) -> str:
    """What holds the median with which confidence, whatever the distribution; empty where there is none."""
    over = m.over_trials
    if over is None or over.interval is None:
        return ""
    low, high = over.interval
    if low is not None and high is not None:
        said = _between((low, high), m)
    else:
        said = f"{'≥' if high is None else '≤'} {figure(low if high is None else high, m.unit, m.resolution)}"
    return said if over.confidence is None else f"{said} ({100 * over.confidence:.1f}\u00a0%)"


def bounds(m: Measured) -> list[tuple[str, float, float, str]]:
    """Each bound as (direction ``max`` or ``min``, limit in the measure's unit, limit as written, kind)."""
    out = []
    for key, raw in m.objective.items():
        direction, _, ratio = key.partition("_")
        if direction not in {"max", "min"} or isinstance(raw, bool) or not isinstance(raw, int | float):
            continue
        if ratio == "ratio":
            limit = raw * m.baseline if m.baseline is not None else float("nan")
            out.append((direction, limit, float(raw), "ratio"))
        elif not ratio:
            out.append((direction, float(raw), float(raw), ""))
    return out


def limits(m: Measured) -> list[tuple[str, float]]:
    """Each bound as ``max`` or ``min`` and its limit in the measure's unit; one without its baseline is left out."""
    return [(direction, limit) for direction, limit, _, _ in bounds(m) if math.isfinite(limit)]


def objective(m: Measured) -> str:
    """The bound in words, with the phase it holds for and what a ratio comes to."""
    ratio = next((limit for _, limit, _, kind in bounds(m) if kind == "ratio" and m.baseline is not None), None)
    return bound(m) if ratio is None else f"{bound(m)} (= {figure(ratio, m.unit)})"


def bound(m: Measured) -> str:
    """The bound in words that stay the same from run to run."""
    parts = []
    for direction, limit, written, kind in bounds(m):
        words = "at most" if direction == "max" else "at least"
        parts.append(f"{words} {written:g} × baseline" if kind == "ratio" else f"{words} {figure(limit, m.unit)}")
    phase = m.objective.get("phase")
    if isinstance(phase, str):
        parts.append(PHASES.get(phase, phase))
    return ", ".join(parts)


def room(m: Measured) -> float | None:
    """The way to the tightest bound in the measure's unit, negative beyond it; None where either is unknown."""
    if m.value is None or (m.possible is not None and m.outcome == "UNKNOWN"):
        return None
    left = [limit - m.value if direction == "max" else m.value - limit for direction, limit, _, _ in bounds(m)]
    if not left or any(math.isnan(one) for one in left):  # no baseline to hold it against
        return None
    return min(left)


def margin(m: Measured) -> str:
    """How far the value is from its tightest bound; empty where either is unknown."""
    tightest = room(m)
    if tightest is None or m.value is None:
        return ""
    if tightest == 0:
        return "at the bound"
    if tightest > 0:
        return f"{figure(tightest, m.unit, m.resolution)} to spare"
    missed_above = any(limit < m.value for direction, limit, _, _ in bounds(m) if direction == "max")
    more = " or more" if m.censored else ""
    return f"{figure(-tightest, m.unit, m.resolution)}{more} {'over' if missed_above else 'short'}"


def sentence(facts: Facts) -> str:
    """The verdict in a few sentences, as a reader who was not there needs it."""
    from reports import story  # noqa: PLC0415 - it is told in this module's words

    return story.sentence(facts)


def seconds(value: float | None) -> str:
    return "" if value is None else "0.00 s" if abs(value) < 0.005 else f"{value:+.2f} s"


def signed(seconds: float) -> str:
    """Whole seconds with their sign, as a typographer sets it."""
    return f"{seconds:+.0f}".replace("-", "−") if round(seconds) else "0"


def moment(started_at: object) -> str:
    """An ISO time as people write it; what is not one stays as it is."""
    said = str(started_at)
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return said
    zone = at.strftime("%z")
    return f"{at:%Y-%m-%d %H:%M:%S}" + (" UTC" if zone == "+0000" else f" {zone}" if zone else "")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def trial_name(trial: Trial) -> str:
    return f"Trial {trial.number}" + (f": {trial.variant}" if trial.variant else "")
