"""What a run was, as one plain structure that all three reports are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drills.recording.record import Event
from reports import cleaning, writes
from reports.columns import Requests
from reports.happenings import Clock, FaultUse, Mark, Sighting
from reports.phases import Phase
from reports.postmortem import Frame


@dataclass(frozen=True)
class OverTrials:
    """One measure over all trials. ``interval`` holds the median with ``confidence``; an open end is None.

    Trials without a value stay in ``values`` as None. ``note`` says why there is no interval.
    """

    values: tuple[float | None, ...]
    censored: tuple[bool, ...]
    median: float | None
    median_censored: bool
    worst: float | None
    range: tuple[float, float] | None
    interval: tuple[float | None, float | None] | None
    confidence: float | None
    note: str


@dataclass(frozen=True)
class Measured:
    """One measure of the verdict document with its objective; ``value`` None: it was not observed."""

    name: str
    value: float | None
    unit: str
    resolution: float | None
    interval: tuple[float, float] | None
    possible: tuple[float, float] | None
    censored: bool
    objective: dict[str, Any]
    baseline: float | None
    outcome: str
    reason: str
    evidence: dict[str, Any]
    over_trials: OverTrials | None = None

    @property
    def base(self) -> str:
        """The measure without its phase: ``p99_ms`` of ``p99_ms@after``."""
        return self.name.partition("@")[0]


@dataclass(frozen=True)
class Activity:
    """One step as Chaos Toolkit's journal has it."""

    name: str
    kind: str
    status: str
    seconds: float | None


@dataclass(frozen=True)
class Trial:
    number: int
    variant: str
    outcome: str
    reasons: list[str]
    measures: list[Measured]
    clock: Clock
    requests: Requests
    marks: list[Mark]
    phases: list[Phase]
    sightings: list[Sighting]
    writes: writes.Account
    journal: list[Activity]
    journal_status: str
    events: list[Event]

    def measure(self, name: str) -> Measured | None:
        return next((m for m in self.measures if m.name == name), None)

    @property
    def effect(self) -> tuple[bool | None, str]:
        """Whether every fault was seen to have an effect (None: nobody looked), with the evidence."""
        return _all_held(self.sightings, "Effect of")

    @property
    def healing(self) -> tuple[bool | None, str]:
        return _all_held(self.sightings, "Healing of")


def _all_held(sightings: list[Sighting], start: str) -> tuple[bool | None, str]:
    own = [s for s in sightings if s.what.startswith(start)]
    if not own:
        return None, "nothing was recorded"
    shown = "; ".join(f"{s.what} at {s.t_s:.2f} s: {s.evidence}" for s in own)
    return all(s.held for s in own), cleaning.text(shown)


@dataclass(frozen=True)
class Facts:
    run: str
    title: str
    file: str
    drill_sha256: str
    drill_yaml: str
    outcome: str
    judged: bool
    reasons: list[str]
    measures: list[Measured]
    trials: list[Trial]
    faults: list[FaultUse]
    meta: dict[str, Any]
    baseline: dict[str, Any]
    deployed: dict[str, Any]
    service: dict[str, Any]
    """The drill's own description of a service that recdr did not deploy; {} for one that it did."""
    judged_on: str
    stopped: str
    prompt_s: float = 0.4
    """An answer slower than this is slow, by the drill."""
    postmortem: Frame = field(default_factory=Frame)
    missing: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    """Of a run that was not judged: how far it came, in sentences."""
    has_events: bool = True
    """Whether there is an event log: without it nothing can be said about what did not happen."""
    has_requests: bool = True

    @property
    def objectives(self) -> list[Measured]:
        return [m for m in self.measures if m.objective]

    @property
    def others(self) -> list[Measured]:
        """Measures of the whole time after the fault that nothing was asked of."""
        return [m for m in self.measures if not m.objective and m.name == m.base]

    @property
    def replication(self) -> str:
        """How the stores replicate; empty where nobody said."""
        topology = cleaning.mapping(self.meta.get("topology"))
        return cleaning.text(self.deployed.get("replication") or topology.get("replication"))

    @property
    def model(self) -> dict[str, Any]:
        """The model's own facts; the deployment's, where ``meta.json`` has none."""
        model = dict(cleaning.mapping(self.meta.get("model")))
        for key in ("data_source", "synthetic"):
            if key not in model and key in self.deployed:
                model[key] = self.deployed[key]
        return model

    @property
    def synthetic(self) -> bool:
        return self.model.get("synthetic") is True or self.model.get("data_source") == "synthetic"

    @property
    def simulated(self) -> list[FaultUse]:
        return [use for use in self.faults if use.kind.lower().startswith("simulat")]
