"""What there is to tell of a drill: its outcome, what it was before, and whether something is still broken."""

from __future__ import annotations

from dataclasses import dataclass

from drills import history, undo
from drills.recording.rundir import RunDir
from drills.spec import Drill
from reports import reading, wording
from reports.facts import Facts, Measured

MOST_REASONS = 5


@dataclass(frozen=True)
class Happened:
    """``before`` is the outcome of the drill's run before this one, None where there was none that was judged.

    ``path`` and ``drill`` are the drill file's path and name. ``unhealed``: faults that were never seen healed.
    ``report``: the report's path, None where there is none.
    """

    path: str
    drill: str
    title: str
    outcome: str
    sentence: str
    run: str | None = None
    before: str | None = None
    figures: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    unhealed: tuple[str, ...] = ()
    report: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the drill's run before came to another verdict."""
        return self.before is not None and self.before != self.outcome

    def concerns(self, wanted: tuple[str, ...] | None) -> bool:
        """Whether somebody is told who wants to be told of ``wanted``; what is not healed nobody may miss."""
        if wanted is None:
            return False
        return bool(self.unhealed) or self.outcome.lower() in wanted or (self.changed and "changed" in wanted)


def of_run(run: RunDir, path: str, *, error: str | None = None) -> Happened:
    """What a run came to; ``error`` is what ended it early. Reads the run's directory, as reports do."""
    facts = reading.read(run.path)
    row = history.before(run.path)
    report = run.path / "report.html"
    sentence = error or wording.sentence(facts)
    return Happened(
        path=path,
        drill=facts.file,
        title=facts.title,
        outcome=facts.outcome if facts.judged else "UNKNOWN",
        sentence=sentence,
        run=run.id,
        before=row.outcome if row else None,
        figures=tuple(_figure(m) for m in facts.objectives),
        reasons=_reasons(facts, sentence),
        unhealed=tuple(one.told for one in undo.unhealed(run.path)),
        report=str(report) if report.is_file() and facts.judged else None,
    )


def of_nothing(drill: Drill, error: str) -> Happened:
    """What there is to tell of a drill that left no run."""
    return Happened(str(drill.path), drill.path.name, drill.title, "UNKNOWN", error)


def _figure(m: Measured) -> str:
    return f"{m.outcome}  {wording.label(m.name)}: {wording.measured(m)} (allowed {wording.objective(m)})"


def _reasons(facts: Facts, sentence: str) -> tuple[str, ...]:
    """Why it is not PASS, without what the sentence says already."""
    if facts.outcome == "PASS":
        return ()
    reasons = [reason for reason in facts.reasons if reason.rstrip(".") not in sentence]
    more = len(reasons) - MOST_REASONS
    return (*reasons[:MOST_REASONS], *([f"and {more} more, in the report"] if more > 0 else []))
