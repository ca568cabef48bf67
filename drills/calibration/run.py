"""A calibration from beginning to end: outages in rounds, the figures, and the document that reports refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drills.calibration import FILE, SCHEMA_VERSION, figures, trials
from drills.calibration.figures import Figure
from drills.calibration.session import PROBER, RATES, START_S, TIMEOUT_S, Session, seconds_of
from drills.calibration.shapes import Shape, every_shape
from drills.calibration.trials import Trial
from drills.errors import UsageError
from drills.load.readback import CATCH_UP_S
from drills.measures import Settings
from drills.recording import rundir

REPETITIONS = 3
LATE_NS = 1_000_000
"""A server that comes to an edge of its script later than this has not kept it: the outage is repeated."""
MOST_REPEATS = 5
"""How often a repetition is tried again."""

Progress = Callable[[str, float, float], None]
"""Takes what is being done, the seconds that took so far by the plan, and those of the whole plan."""


@dataclass(frozen=True)
class Plan:
    """What is to be calibrated. ``argv``: the prober's command, for a test of a prober that lies."""

    shapes: tuple[Shape, ...]
    repetitions: int = REPETITIONS
    quick: bool = False
    seed: int = 0
    argv: tuple[str, ...] = PROBER

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        disagree = any(stretch.manner in ("loses", "doubles") for shape in self.shapes for stretch in shape.script)
        wait_s = CATCH_UP_S if disagree else 1.0
        return START_S + wait_s + self.repetitions * sum(seconds_of(shape) for shape in self.shapes)


def plan(names: Iterable[str] = (), *, repetitions: int | None = None, quick: bool = False, seed: int = 0) -> Plan:
    """The plan for the named shapes (all without a name); raises UsageError for a name that is none."""
    known = {shape.name: shape for shape in every_shape()}
    known |= {shape.name: shape for shape in every_shape(quick=True)}
    if wrong := [name for name in names if name not in known]:
        raise UsageError(f"no shape is called {wrong[0]}: choose from {', '.join(known)}")
    chosen = [known[name] for name in names] or every_shape(quick=quick)
    count = (1 if quick else REPETITIONS) if repetitions is None else repetitions
    return Plan(tuple(chosen), count, quick, seed)


def calibrate(plan: Plan, folder: Path, progress: Progress) -> dict[str, Any]:
    """Perform the plan and return the calibration document; the session's record stays in ``folder``.

    Shapes take turns, so that a host that is busy for a while disturbs all of them alike. Raises TargetError where
    the prober or the server fails.
    """
    session = Session(folder, plan.seed, plan.argv)
    repeated: list[dict[str, Any]] = []
    done_s = START_S
    with session.running():
        for repetition in range(plan.repetitions):
            for shape in plan.shapes:
                progress(f"{shape.name}: {shape.meaning} ({repetition + 1}/{plan.repetitions})", done_s, plan.seconds)
                repeated += _perform(session, shape, repetition + 1)
                done_s += seconds_of(shape)
        progress("reading back what was stored", done_s, plan.seconds)
    progress("holding the record against the books", plan.seconds, plan.seconds)
    return _document(plan, trials.of_session(session), repeated)


def _perform(session: Session, shape: Shape, repetition: int) -> list[dict[str, Any]]:
    """One repetition, again where the server did not keep its script; what was repeated and why."""
    late = []
    for _ in range(1 + MOST_REPEATS):
        performed = session.perform(shape)
        if performed.edges.late_ns <= LATE_NS:
            break
        late.append({"shape": shape.name, "repetition": repetition, "late_ms": performed.edges.late_ns / 1e6})
    return late


def _document(plan: Plan, performed: list[Trial], repeated: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [trial for trial in performed if trial.performed.edges.late_ns <= LATE_NS]
    found = [figure for trial in kept for figure in figures.of_trial(trial)]
    missing = [shape for shape in plan.shapes if _count(kept, shape) < plan.repetitions]
    outcome, reasons = _judge(found, missing, plan.repetitions)
    lateness = [r.t_sent - r.t_scheduled for trial in performed for r in trial.requests]
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": outcome,
        "reasons": reasons,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": rundir.host_facts(),
        "versions": rundir.versions(),
        "settings": {
            "repetitions": plan.repetitions,
            "quick": plan.quick,
            "seed": plan.seed,
            "shapes": {shape.name: {"meaning": shape.meaning, "note": shape.note} for shape in plan.shapes},
            "rates": RATES,
            "timeout_s": TIMEOUT_S,
            "measures": asdict(Settings()),
        },
        "lateness_ms": {
            "p50": figures.percentile_ms(lateness, 0.50),
            "p99": figures.percentile_ms(lateness, 0.99),
            "worst": figures.percentile_ms(lateness, 1.0),
            "probes": len(lateness),
        },
        "repeated": repeated,
        "measures": figures.over_shapes(found),
        "summary": figures.summary(found),
        "figures": [asdict(figure) | {"error": figure.error, "within": figure.within} for figure in found],
    }


def _count(performed: list[Trial], shape: Shape) -> int:
    return sum(trial.performed.shape.name == shape.name for trial in performed)


def _judge(found: list[Figure], missing: list[Shape], repetitions: int) -> tuple[str, list[str]]:
    """PASS, FAIL or UNKNOWN, with a sentence for every row that is not within its bound."""
    reasons = [_sentence(row) for row in figures.summary(found) if row["outcome"] == "FAIL"]
    if reasons:
        return "FAIL", reasons
    reasons = [_sentence(row) for row in figures.summary(found) if row["outcome"] == "UNKNOWN"]
    reasons += [
        f"{shape.name}: the host was too busy for the server to keep its script in all of {repetitions} repetitions."
        for shape in missing
    ]
    return ("UNKNOWN" if reasons else "PASS"), reasons


def _sentence(row: dict[str, Any]) -> str:
    error = "not observed" if row["worst_error"] is None else f"off by {row['worst_error']:+.4g} at worst"
    allowed = f"{row['bound']:g} {row['unit']} are allowed" if row["bound"] else "it must be exact"
    excuse = ", which the host being busy explains" if row["outcome"] == "UNKNOWN" else ""
    return (
        f"{row['shape']}: {row['measure']} was outside its bound in {row['outside']} of {row['n']} repetitions, "
        f"{error} ({allowed}){excuse}."
    )


def save(document: dict[str, Any], home: Path) -> Path:
    """Write the document where ``drills.calibration.load`` finds it."""
    home.mkdir(parents=True, exist_ok=True)
    rundir.write_json(home / FILE, document)
    return home / FILE
