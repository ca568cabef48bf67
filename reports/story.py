"""The verdict for somebody who was not there: what broke, how long users were hurt, what was lost, what stayed good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drills.naming import shown
from reports import cleaning, wording
from reports.facts import Facts, Measured, Trial
from reports.findings.finding import (
    certain,
    heal_begun,
    injections,
    judged_in,
    listed,
    measure,
    moment,
    question_asked,
    worst_trial,
)
from reports.findings.recommendations import stayed_good
from reports.findings.stretches import disturbed, verb_of

_MOST_FAULTS = 3
_FEW = 2
_MOST_STRETCHES = 2


def sentence(facts: Facts) -> str:
    """The verdict in a few sentences: the objectives first, then what happened, as far as it was observed."""
    judged = facts.objectives
    if not facts.judged:
        return facts.stopped or "The run was not judged, so nothing can be said about the service."
    if facts.outcome == "PASS":
        met = f"all {len(judged)} objectives were" if len(judged) != 1 else "the one objective was"
        return f"{met[0].upper()}{met[1:]} met. {told(facts)}".strip()
    if facts.outcome == "FAIL":
        missed = [m for m in judged if m.outcome == "FAIL"]
        if not missed:
            return _stop(facts.reasons[0]) if facts.reasons else "The drill failed; no reason was recorded."
        named = "; ".join(
            f"{wording.label(m.name).lower()}: {wording.measured(m)} (allowed {wording.objective(m)})"
            for m in missed[:3]
        )
        more = f"; and {len(missed) - 3} more" if len(missed) > 3 else ""
        was = "was" if len(missed) == 1 else "were"
        of = f"{len(missed)} of {len(judged)} objective{'s' * (len(judged) != 1)}"
        return f"{of} {was} missed: {named}{more}. {told(facts, missed[:3])}".strip()
    why = facts.reasons[0] if facts.reasons else "no reason was recorded"
    seen = told(facts) if question_asked(facts) else ""
    return f"{'No verdict' if seen else 'This drill shows nothing either way'}: {_stop(why)} {seen}".strip()


def told(facts: Facts, said: Sequence[Measured] = ()) -> str:
    """What broke, how long users were hurt, what was lost and whether recommendations stayed good.

    What is ``said`` already is not repeated.
    """
    trial, known = worst_trial(facts), {m.base for m in said}
    lost = "" if "rpo_events" in known else _lost(facts)
    good = "" if any(name.startswith("recall_at_") for name in known) else stayed_good(facts)
    parts = [broke(trial) if trial else "", hurt(facts), lost, good]
    return " ".join(f"{part[0].upper()}{_stop(part[1:])}" for part in parts if part)


def broke(trial: Trial) -> str:
    """What the trial broke, and for how long, in one clause; empty where nothing was injected."""
    faults = list(dict.fromkeys(_fault(event.data) for event in injections(trial)))
    if not faults:
        return ""
    named = [*faults[:_MOST_FAULTS], *[f"{len(faults) - _MOST_FAULTS} more faults"][: len(faults) > _MOST_FAULTS]]
    healed = moment(trial, "healed")
    undone = (
        f"; {'that' if len(faults) == 1 else 'all of it'} was undone after {healed:.1f} s"
        if healed and healed > 0
        else ""
    )
    return f"on purpose, {listed(named)}{undone}"


def _fault(data: Mapping[str, Any]) -> str:
    """A fault with its arguments as a clause in the past; one that is not known here by its name."""
    name = cleaning.text(data.get("fault") or "something")
    raw = cleaning.mapping(cleaning.tree(data.get("arguments")))
    said = _CLAUSES.get(name)
    try:
        return said.format_map(_Words(raw)) if said else _unknown(name, raw)
    except (KeyError, ValueError):
        return _unknown(name, raw)


def _unknown(name: str, arguments: Mapping[str, Any]) -> str:
    given = cleaning.text(shown(arguments))
    if name == "custom" and given:
        return f"this was done: {given}"
    return f"the fault {name} was in force{f' ({given})' if given else ''}"


class _Words(dict[str, Any]):
    """A fault's arguments as clauses ask for them; raises KeyError for one that was not given."""

    def __missing__(self, key: str) -> str:
        if key == "nodes":
            return _nodes(self)
        if key in {"places_a", "places_b"}:
            return listed([place.strip() for place in str(self[key[-1]]).split(",")])
        if key == "way":
            return "" if self.get("direction", "both") == "both" else " one way only"
        raise KeyError(key)


def _nodes(given: Mapping[str, Any]) -> str:
    if node := given.get("node"):
        return str(node)
    count = given.get("count", 1)
    region = given["region"]
    return f"one node of {region}" if count == 1 else f"{count} nodes of {region}"


_CLAUSES = {
    "region_loss": "the whole {region} region was lost",
    "node_kill": "{nodes} was killed",
    "node_pause": "{nodes} hung",
    "node_slow": "{node} got too little processor time",
    "partition": "the network was cut{way} ({places_a} from {places_b})",
    "edge_cut": "clients were cut off from the {region} region",
    "link": "the network was made worse ({places_a} to {places_b})",
    "store_kill": "the store of {region} was killed",
    "store_pause": "the store of {region} hung",
    "replication_stop": "the standby's store was cut off from replication",
    "disk_full": "the disk of the store of {region} was full",
    "load_surge": "the load was {factor} times the usual",
    "capacity": "{region} had to serve all reads alone",
    "gpu_loss": "the accelerator of {nodes} failed",
    "gpu_slow": "the accelerator of {nodes} was slowed down",
    "model_corrupt": "a damaged model was rolled out to {nodes}",
    "model_stale": "an older model was rolled out to {nodes}",
    "noop": "nothing was broken (the fault noop)",
}


def hurt(facts: Facts) -> str:
    """How long reads and writes were disturbed, in one clause; empty where neither was measured."""
    known = [measure(facts, f"rto_{kind}_s") for kind in ("read", "write")]
    many = len(facts.trials)
    over = f"in the {facts.judged_on} of {many} trials, " if many > 1 else ""
    if all(m is not None and m.value == 0 and certain(m) for m in known):
        return "neither reads nor writes were disturbed"
    return over + "; ".join(said for kind in ("read", "write") if (said := _hurt(facts, kind)))


def _hurt(facts: Facts, kind: str) -> str:
    m = measure(facts, f"rto_{kind}_s")
    if m is None:
        return ""
    if m.value is None and m.possible is None:
        return f"how long {kind}s were disturbed is not known"
    if m.value is None or not certain(m):
        return f"{kind}s were disturbed for {wording.measured(m)}"
    if not m.value:
        return _undisturbed(facts, kind)
    if m.censored:
        return f"{kind}s had not recovered {wording.figure(m.value, 's', m.resolution)} after the fault"
    trial = judged_in(facts, m)
    apart = _apart(facts, trial, m, kind) if trial else ""
    return apart or f"{kind}s {verb_of(m, trial)} for {wording.measured(m)}"


def _undisturbed(facts: Facts, kind: str) -> str:
    """Where the probes never had to recover: whether other clients' requests failed all the same."""
    write = kind == "write"
    after = [t.requests.where((t.requests.write == write) & (t.requests.due >= t.clock.zero)) for t in facts.trials]
    felt = any(disturbed(trial, write=write, prompt_s=facts.prompt_s) for trial in facts.trials)
    failed, sent = sum(int(r.failed.sum()) for r in after), sum(int(r.sent.sum()) for r in after)
    if not felt or failed < _FEW:
        return f"no disturbance of {kind}s was seen"
    share = f"{100 * failed / sent:.2g} %"
    return f"{kind}s never stopped working for long, but {failed:,} of {sent:,} ({share}) failed from the fault on"


def _apart(facts: Facts, trial: Trial, m: Measured, kind: str) -> str:
    """A recovery that was interrupted, told as it was felt; empty for one disturbance that began with the fault."""
    found = [
        s for s in disturbed(trial, write=kind == "write", prompt_s=facts.prompt_s) if s.start_s <= (m.value or 0) + 1
    ]
    if not found or (len(found) == 1 and found[0].start_s < 1) or len(injections(trial)) > 1:
        return ""
    how = verb_of(m, trial)
    if len(found) > _MOST_STRETCHES:
        return f"{kind}s {how} again and again until {wording.measured(m)} after the fault"
    heal = heal_begun(trial)
    healing = f" (healing began at {heal:.1f} s)" if heal is not None and found[-1].start_s >= heal - 0.5 else ""
    return f"{kind}s {how} {listed([s.said for s in found])} after the fault{healing}"


def _lost(facts: Facts) -> str:
    m = measure(facts, "rpo_events")
    if m is None:
        return ""
    if m.value is None or not certain(m):
        return "what was lost is not known"
    if not m.value:
        return "no acknowledged event was lost"
    return f"{wording.measured(m)} acknowledged {'event was' if m.value == 1 else 'events were'} lost"


def _stop(said: str) -> str:
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."
