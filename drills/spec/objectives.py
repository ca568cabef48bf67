"""The ``objectives`` of a drill: bounds that can be met, can be missed, and are in the measure's own unit."""

from __future__ import annotations

from drills.spec import registries
from drills.spec.document import Document, Where
from drills.spec.model import PHASES, Objective, ServiceSettings, Settings
from drills.spec.registries import MeasureRule
from drills.spec.rules import Choice, Number, choice, close_to, mapping, nearest, number, only_keys

BOUNDS = ("min", "max", "min_ratio", "max_ratio")
DEFAULT_PHASE = "post_fault"
PROBED_BY = {
    "rto_read_s": "reads_per_s",
    "rto_write_s": "writes_per_s",
    "rto_quality_s": "quality_per_s",
    "recall_at_20": "quality_per_s",
    "overlap_at_20": "quality_per_s",
}
"""Measures that cannot exist without a probe, and that probe's setting."""


def read_objectives(
    doc: Document, where: Where, settings: Settings, service: ServiceSettings | None = None
) -> dict[str, Objective]:
    """The objectives at ``where``, by measure; raises SpecError for one that cannot be judged or met."""
    known = registries.measures()
    written = mapping(doc, where)
    if not written:
        problem = "there is no objective, so there is nothing to judge"
        raise doc.error(where, problem, "For example: rto_read_s: {max: 2}")
    found = {}
    for name in written:
        place = (*where, name)
        if name not in known:
            raise doc.error(place, "nobody measures this.", _nearest_measure(name, known))
        found[name] = _objective(doc, place, name, known[name])
        _check_reach(doc, place, found[name], known[name], settings)
        if service is not None:
            _check_shown(doc, place, name, service)
    return found


def _nearest_measure(name: str, known: dict[str, MeasureRule]) -> str:
    beginning = [measure for measure in known if measure.startswith(f"{name}_")]
    if beginning:
        return f"Did you mean {' or '.join(map(repr, beginning))}?"
    if close_to(name, known):
        return nearest(name, known)
    return f"Measures: {', '.join(known)}."


def bound_rule(measure: MeasureRule, bound: str) -> Number:
    """What the number of one bound may be, in the measure's unit or, for a ratio, in times the baseline."""
    if bound == "min_ratio":
        return Number("ratio", above=0, at_most=1)
    if bound == "max_ratio":
        return Number("times the baseline", above=0, at_most=1000)
    if measure.unit == "ratio":
        return Number("ratio", at_least=0, at_most=1)
    return Number(measure.unit, at_least=0, whole=measure.unit in ("events", "requests"))


def allowed_keys(measure: MeasureRule) -> list[str]:
    """The keys an objective on this measure may have."""
    return ["min", "max", *(BOUNDS[2:] if measure.ratio else ()), *(["phase"] if measure.phase else ())]


def _objective(doc: Document, where: Where, name: str, measure: MeasureRule) -> Objective:
    value = doc.value(where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        bound = "min" if measure.higher_is_better else "max"
        raise doc.error(where, "an objective says which way it bounds.", f"Write {{{bound}: {value}}}.")
    written = mapping(doc, where)
    _refuse_what_it_lacks(doc, where, name, measure)
    only_keys(doc, where, allowed_keys(measure))
    bounds = {key: number(bound_rule(measure, key), doc, (*where, key)) for key in BOUNDS if key in written}
    _check_direction(doc, where, name, measure, bounds)
    phase = DEFAULT_PHASE if measure.phase else None
    if "phase" in written:
        phase = choice(Choice(PHASES), doc, (*where, "phase"))
    return Objective(name, **bounds, phase=phase)


def _refuse_what_it_lacks(doc: Document, where: Where, name: str, measure: MeasureRule) -> None:
    """Keys that are right for other measures deserve a reason, not a guess at a misspelling."""
    written = doc.value(where)
    if "phase" in written and not measure.phase:
        problem = f"{name} belongs to the whole trial and has no phases"
        raise doc.error((*where, "phase"), problem, "Leave it out.")
    for key in BOUNDS[2:]:
        if key in written and not measure.ratio:
            problem = f"{name} has no baseline: with nothing broken there is nothing to compare it to"
            raise doc.error((*where, key), problem, f"Use {key.removesuffix('_ratio')}.")


def _check_direction(
    doc: Document, where: Where, name: str, measure: MeasureRule, bounds: dict[str, float | int]
) -> None:
    if not bounds:
        keys = [key for key in allowed_keys(measure) if key != "phase"]
        raise doc.error(where, "this objective bounds nothing", f"Give {' or '.join(keys)}.")
    for low, high in (("min", "max"), ("min_ratio", "max_ratio")):
        if low in bounds and high in bounds and bounds[low] > bounds[high]:
            problem = f"no value is at least {bounds[low]:g} and at most {bounds[high]:g}"
            raise doc.error((*where, low), problem, f"{low} must not exceed {high}.")
    good, bad = ("min", "max") if measure.higher_is_better else ("max", "min")
    for suffix in ("", "_ratio"):
        if bad + suffix in bounds and not any(key.startswith(good) for key in bounds):
            better = "higher" if measure.higher_is_better else "lower"
            problem = f"{better} is better for {name}, so this is met only when the service did badly"
            raise doc.error((*where, bad + suffix), problem, f"Use {good}{suffix}.")


def _check_reach(doc: Document, where: Where, objective: Objective, measure: MeasureRule, settings: Settings) -> None:
    longest = settings.guard.max_duration_s
    if measure.unit == "s" and objective.max is not None and objective.max >= longest:
        problem = f"{objective.max:g} seconds cannot be exceeded: a trial ends after {longest:g}"
        remedy = f"If milliseconds were meant, write {objective.max / 1000:g}."
        raise doc.error((*where, "max"), problem, remedy)
    probe = PROBED_BY.get(objective.measure)
    if probe is not None and getattr(settings.probes, probe) == 0:
        problem = f"nothing measures this while probes.{probe} is 0"
        raise doc.error(where, problem, f"Set probes.{probe} or drop the objective.")


def _check_shown(doc: Document, where: Where, name: str, service: ServiceSettings) -> None:
    """Refuse an objective that this service cannot show: it would be UNKNOWN in every run."""
    asked = service.service
    there = {
        "write": asked.write is not None,
        "read_back": asked.read_back is not None,
        "regions": bool(service.regions),
        "regions.standby": "standby" in service.regions,
        "regions.primary": "primary" in service.regions,
        "region": bool(asked.region_header or asked.region_json),
        # the file itself is not there when a run is judged again
        "held_out": "held_out" in doc.value((*where[:-2], "service")),
    }
    for need in SHOWN_BY.get(name, ()):
        if not there[need]:
            problem = f"the service cannot show this: it has no {need!r}"
            raise doc.error(where, problem, f"Add service.{need} ({_ADD[need]}) or drop the objective.")
    if name == "duplicated_events" and asked.read_back is not None and not asked.read_back.shows_repeats:
        problem = "the service cannot show this: 'read_back' looks events up by id, which does not tell how often"
        remedy = 'List the events, or let read_back.ids select every copy ("$.events[*].id"), or drop the objective.'
        raise doc.error(where, problem, remedy)


_READ_BACK = ("write", "read_back", "regions", "regions.primary", "regions.standby")
SHOWN_BY = {
    "rto_write_s": ("write",),
    "failed_writes": ("write",),
    "rpo_events": _READ_BACK,
    "rpo_s": _READ_BACK,
    "duplicated_events": _READ_BACK,
    "stale_events": _READ_BACK,
    "split_brain_events": ("write", "region"),
    "rto_quality_s": ("held_out",),
    "recall_at_20": ("held_out",),
}
"""What a service must have for a measure to exist; a read, which every service has, shows the others."""
_ADD = {
    "write": "how an event is stored",
    "read_back": "how stored events are read",
    "regions": "where each region is reached past the edge",
    "regions.primary": "what is lost only there shows nowhere else",
    "regions.standby": "what is lost only there shows nowhere else",
    "region": "how an answer says which region it came from",
    "held_out": "the right answers of some users",
}
