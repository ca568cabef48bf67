"""What people see of a suite: which of how many drills runs, what came of each, and one table at the end."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drills.cli.terminal import ERR, STYLES, Lines, Screen, complain
from drills.spec import Drill
from drills.suite import Entry, Suite
from drills.trial import Observer
from reports.suites import figure

HEADINGS = {
    "rto_read_s": "read\nRTO",
    "rto_write_s": "write\nRTO",
    "rpo_events": "lost\nevents",
    "recall_at_20": "recall\n@20",
    "p99_ms@after": "p99\nafter",
}
REASON_CHARACTERS = 300


@dataclass
class OnScreen:
    """On a terminal: the live view of the drill that runs, below one line for each that is over."""

    console: Console = ERR

    @contextmanager
    def preparing(self) -> Iterator[Observer]:
        with Screen("preparing", self.console) as screen:
            yield screen

    @contextmanager
    def drill(self, number: int, total: int, drill: Drill) -> Iterator[Observer]:
        with Screen(f"drill {number} of {total}: {drill.path.name}: {drill.title}", self.console) as screen:
            yield screen

    def ended(self, entry: Entry) -> None:
        with contextlib.suppress(OSError):
            self.console.print(_line(entry), soft_wrap=True)


@dataclass
class InLines:
    """Elsewhere: one line an event, and one when a drill begins and ends; the clock is that of the whole suite."""

    console: Console = ERR
    lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        self.lines = Lines(self.console)

    @contextmanager
    def preparing(self) -> Iterator[Observer]:
        yield self.lines

    @contextmanager
    def drill(self, number: int, total: int, drill: Drill) -> Iterator[Observer]:
        self.lines.progress(f"drill {number} of {total}: {drill.path.name}: {drill.title}")
        yield self.lines

    def ended(self, entry: Entry) -> None:
        self.lines.progress(_line(entry).plain)


def watcher(as_json: bool) -> OnScreen | InLines:
    """Who watches a suite here."""
    return OnScreen() if ERR.is_terminal and not as_json else InLines()


def show_suite(suite: Suite, as_json: bool) -> None:
    """Show what came of the suite."""
    if as_json:
        with contextlib.suppress(OSError):  # nobody reads any more: the exit code still says what was found
            sys.stdout.write(json.dumps(suite.to_document(), indent=1) + "\n")
            sys.stdout.flush()
    else:
        print_suite(suite)
    if suite.stopped and suite.exit_code:
        complain(suite.stopped)


def print_suite(suite: Suite, console: Console = ERR) -> None:
    """One row a drill; below, why each that is not PASS is not, and where everything lies."""
    console.print(suite_table(suite.entries))
    for entry in suite.entries:
        if entry.outcome != "PASS" and entry.reasons:
            console.print(_reason(entry), soft_wrap=True)
    for lab in suite.labs:
        if lab.gave_up:
            text = f"lab {lab.lab} could not be brought back and was given up: {lab.gave_up}"
            console.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)
    if suite.stopped and not suite.exit_code:
        console.print(Text(f"ended early: {suite.stopped}", "yellow"), soft_wrap=True)
    counts = ", ".join(f"{number} {name}" for name, number in suite.counts().items() if number)
    labs = f"{len(suite.labs)} lab{'' if len(suite.labs) == 1 else 's'}"
    outcome = (suite.outcome, STYLES[suite.outcome])
    console.print(Text.assemble(outcome, f"  {counts}; {suite.seconds / 60:.1f} minutes, {labs}"))
    console.print(f"summary: {suite.folder / 'summary.md'}", soft_wrap=True)


def suite_table(entries: list[Entry]) -> Table:
    """The drills with their outcomes and the figures that most objectives are about; ``?``: not observed."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("drill", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    for heading in HEADINGS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for entry in entries:
        outcome = entry.outcome or entry.state
        figures = (figure(entry.figures.get(name, {})).replace("not observed", "?") for name in HEADINGS)
        seconds = "" if entry.seconds is None else f"{entry.seconds:.0f} s"
        table.add_row(entry.drill, Text(outcome, STYLES.get(outcome, "dim")), *figures, seconds)
    return table


def _line(entry: Entry) -> Text:
    outcome = entry.outcome or entry.state
    took = "" if entry.seconds is None else f" in {entry.seconds:.0f} s"
    why = f": {_first(entry)}" if entry.reasons and entry.outcome != "PASS" else ""
    return Text.assemble((outcome, STYLES.get(outcome, "dim")), f"  {entry.drill}{took}{why}")


def _reason(entry: Entry) -> Text:
    more = f" (and {len(entry.reasons) - 1} more: {entry.run})" if len(entry.reasons) > 1 else ""
    outcome = entry.outcome or entry.state
    return Text.assemble((outcome, STYLES.get(outcome, "dim")), f"  {entry.drill}: {_first(entry)}{more}")


def _first(entry: Entry) -> str:
    words = " ".join(entry.reasons[0].split())
    return words if len(words) <= REASON_CHARACTERS else f"{words[:REASON_CHARACTERS]}..."
