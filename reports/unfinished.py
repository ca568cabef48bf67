"""What is known of a run that was never judged: how far it came, what was broken, who healed it, what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drills import undo
from drills.naming import shown
from drills.recording.record import Event
from reports import cleaning, wording
from reports.columns import NS, Requests

_BEFELL = {"gone": "recdr was killed", "stalled": "recdr was stopped or held up"}


def known(run_dir: Path, events: list[Event], requests: Requests, meta: dict[str, Any]) -> list[str]:
    """Sentences in the order of time; what has none was not recorded. Raises nothing, whatever lies there."""
    return [cleaning.text(said) for said in _said(run_dir, events, requests, meta)]


def _said(run_dir: Path, events: list[Event], requests: Requests, meta: dict[str, Any]) -> Iterator[str]:
    if events:
        yield _progress(events, meta)
    yield from _faults(events)
    yield from _left_broken(run_dir)
    for event in events:
        if event.kind == "guard.watchdog":
            healed = "; ".join(map(str, cleaning.sequence(event.data.get("healed")))) or "nothing was broken"
            befell = _BEFELL.get(str(event.data.get("process")), "recdr was gone")
            yield f"Its watchdog saw that {befell}, and healed: {healed}."
    if len(requests):
        seconds = (int(requests.done.max()) - int(requests.due.min())) / NS
        failed = wording.count(int(requests.failed.sum()), "failure")
        yield f"{wording.count(len(requests), 'request')} of {seconds:.1f} s were recorded, {failed} among them."
    if events:
        seconds = (events[-1].t - events[0].t) / NS
        yield f"The last that was written down is the event “{events[-1].kind}”, {seconds:.1f} s after the first."


def _progress(events: list[Event], meta: dict[str, Any]) -> str:
    """How far it came."""
    kinds = {event.kind for event in events}
    if "target.deployed" not in kinds:
        return "Nothing is on record as deployed."
    begun = {event.trial for event in events if event.kind == "trial.started"}
    ended = {event.trial for event in events if event.kind == "trial.ended"}
    if not begun:
        baseline = "a baseline was recorded" if "baseline.recorded" in kinds else "no baseline was recorded yet"
        return f"The target was deployed and {baseline}; no trial had begun."
    planned = meta.get("trials")
    trials = (
        f"{len(begun)} of {planned} planned trials" if isinstance(planned, int) else wording.count(len(begun), "trial")
    )
    return f"{trials} began, {len(begun & ended)} came to the end."


def _faults(events: list[Event]) -> Iterator[str]:
    """Each fault that was in force, and whether its healing was seen."""
    for event in events:
        if event.kind != "fault.injected":
            continue
        after = [e for e in events if e.t >= event.t and _same(e, event)]
        effect = next((e.data.get("observed") for e in after if e.kind == "fault.effect"), None)
        healed = any(e.kind == "heal.confirmed" and e.data.get("confirmed") is True for e in after)
        seen = {True: "its effect was seen", None: "nobody looked for its effect yet"}.get(effect, "no effect was seen")
        yield f"{_named(event)} was in force; {seen}; its healing {'was seen' if healed else 'was never seen'}."


def _same(one: Event, other: Event) -> bool:
    return all(one.data.get(name) == other.data.get(name) for name in ("fault", "arguments"))


def _named(event: Event) -> str:
    arguments = shown(cleaning.mapping(event.data.get("arguments")))
    trial = f" in trial {event.trial}" if event.trial is not None else ""
    return f"The fault {event.data.get('fault')} ({arguments}){trial}"


def _left_broken(run_dir: Path) -> Iterator[str]:
    """What the undo log holds that was never confirmed as healed."""
    try:
        named = [intent.told for intent in undo.unhealed(run_dir)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        yield "intent.jsonl cannot be read, so it is not known whether something is still broken."
        return
    if named:
        heal = f"'recdr drill heal {run_dir.name}' heals it"
        yield f"By the undo log this may still be broken: {', '.join(named)}. {heal}."
