"""What stands in the way of a verdict: faults without effect, heals unconfirmed, trials cut short."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drills.measures.frozen import frozen
from drills.measures.model import Settings
from drills.measures.schedule import PROBER_STREAMS
from drills.measures.uses import Use, fault_key, uses
from drills.naming import shown
from drills.recording.record import Event
from drills.recording.timeline import Timeline

STOPS = ("abort", "interrupted", "guard.watchdog")


_BEFELL = {"gone": "killed", "stalled": "stopped or held up for longer than guard.lease_s"}


@dataclass(frozen=True)
class Problems:
    """Plain sentences. ``invalid``: the trial did not do what the drill asks; ``doubts``: only in part."""

    invalid: tuple[str, ...]
    doubts: tuple[str, ...]
    cut_short: bool


def of_trial(timeline: Timeline, settings: Settings | None = None) -> Problems:
    """The problems of the trial that ``timeline`` holds (``Timeline.of_trial``)."""
    events = _of_the_trial(timeline)
    cut, settings = tuple(_cut_short(events)), settings or Settings()
    return Problems(
        invalid=tuple(dict.fromkeys(_invalid(events, timeline))),
        doubts=tuple(dict.fromkeys((*cut, *_unsteady(events), *frozen(timeline, settings)))),
        cut_short=bool(cut),
    )


def faults(timeline: Timeline) -> list[dict[str, object]]:
    """Each injected fault with what was seen of it, in order of injection."""
    return [
        {
            "fault": use.injected.data.get("fault"),
            "arguments": use.injected.data.get("arguments", {}),
            "fidelity": use.injected.data.get("fidelity"),
            "effect_observed": use.effect_observed,
            "effect": use.effect.data.get("evidence") if use.effect else None,
            "heal_confirmed": use.heal_confirmed,
            "heal": use.confirmed.data.get("evidence") if use.confirmed else None,
        }
        for use in uses(_of_the_trial(timeline))
    ]


def stops(events: Iterable[Event]) -> Iterator[str]:
    """A sentence for each time that somebody or the guard stopped what was going on."""
    for event in _of_kind(events, "abort"):
        yield f"It was aborted: {str(event.data.get('reason', 'no reason given')).rstrip('.')}."
    for event in _of_kind(events, "interrupted"):
        yield f"It was interrupted by {event.data.get('signal', 'a signal')}."
    for event in _of_kind(events, "guard.watchdog"):
        yield f"Its watchdog healed it, for recdr was {_BEFELL.get(str(event.data.get('process')), 'gone')}."
    for event in _of_kind(events, "guard.lease_expired"):
        yield f"The lab healed itself: recdr was not heard from within guard.lease_s ({event.data.get('seconds')} s)."


def _of_the_trial(timeline: Timeline) -> list[Event]:
    """The trial's events in time order, with what stopped the whole run in the middle of it."""
    own = [e for e in timeline.events if e.trial is not None]
    started = min((e.t for e in own if e.kind == "trial.started"), default=0)
    ended = max((e.t for e in own if e.kind == "trial.ended"), default=math.inf)
    of_run = [e for e in timeline.events if e.trial is None and e.kind in STOPS and started <= e.t <= ended]
    return sorted([*own, *of_run], key=lambda e: e.t)


def _invalid(events: list[Event], timeline: Timeline) -> Iterator[str]:
    used = uses(events)
    for intent in _of_kind(events, "fault.intent"):
        if _follow_up(events, intent, "fault.injected") is None:
            yield f"The fault {_named(intent)} was about to be injected, but never reported to be in force."
    if not used:
        yield "No fault was injected, so the drill's question was not asked."
    yield from _not_as_planned(events, len(used))
    for use in used:
        if use.effect is None:
            yield f"Nobody looked whether the fault {_named(use.injected)} took effect."
        elif not use.effect_observed:
            seen = str(use.effect.data.get("evidence") or "nothing was seen of it").rstrip(".")
            yield f"The fault {_named(use.injected)} was injected but had no observable effect: {seen}."
    yield from _unhealed(used)
    if not timeline.requests.stream.equals(*PROBER_STREAMS).any():
        yield "No probe was recorded, so nothing is known about what clients saw."


def _not_as_planned(events: list[Event], injected: int) -> Iterator[str]:
    """What chaoslib calls completed all the same: faults left out, failed steps, a bad start."""
    planned = next((e.data.get("planned") for e in _of_kind(events, "trial.started")), None)
    if isinstance(planned, int) and 0 < injected < planned:
        yield f"Only {injected} of the drill's {planned} faults were injected."
    for step in _of_kind(events, "step.ended"):
        if step.data.get("status") == "failed":
            yield f"The step {step.data.get('name')} failed: {str(step.data.get('error') or 'no reason').rstrip('.')}."
    for checked in _of_kind(events, "steady.checked"):
        if checked.data.get("when") == "before" and checked.data.get("met") is not True:
            yield "The steady state was not met before the fault: something was wrong already."


def _unhealed(used: list[Use]) -> Iterator[str]:
    for use in used:
        if not use.heal_confirmed:
            seen = str(use.confirmed.data.get("evidence") or "") if use.confirmed else "nobody looked"
            yield f"It was not confirmed that the fault {_named(use.injected)} was healed: {seen}".rstrip(".: ") + "."


def _unsteady(events: list[Event]) -> Iterator[str]:
    for checked in _of_kind(events, "steady.checked"):
        if checked.data.get("when") == "after" and checked.data.get("met") is not True:
            yield "The steady state was not met again at the end."


def _cut_short(events: list[Event]) -> Iterator[str]:
    yield from stops(events)
    if not _of_kind(events, "trial.ended"):
        yield "The trial has no end on record: recdr was stopped in the middle of it."


def _follow_up(events: Iterable[Event], first: Event, kind: str) -> Event | None:
    """The first event of ``kind`` about the same fault at or after ``first``; None where there is none."""
    same = (e for e in events if e.kind == kind and e.t >= first.t and fault_key(e) == fault_key(first))
    return next(same, None)


def _of_kind(events: Iterable[Event], kind: str) -> list[Event]:
    return [e for e in events if e.kind == kind]


def _named(event: Event) -> str:
    """A fault with its arguments as a reader of the drill knows it: ``region_loss (region: primary)``."""
    arguments = event.data.get("arguments")
    given = shown(arguments) if isinstance(arguments, dict) else ""
    return f"{event.data.get('fault')} ({given})" if given else str(event.data.get("fault"))
