"""What people see while a drill runs: a live view on a terminal, one line an event elsewhere."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from drills import spec
from drills.naming import shown
from drills.privacy import redacted
from drills.recording.record import Event
from drills.spec import Drill
from drills.watch import Glance


# Everything for people goes to stderr; stdout is for what programs read. NO_COLOR and dumb terminals are honoured.
class Terminal(Console):
    """A console that shows no secrets, and whose reader may go away: what is being done goes on, unheard."""

    def on_broken_pipe(self) -> None:
        self.quiet = True

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return redacted(super()._render_buffer(buffer))

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:  # a closed terminal, or a log on a full disk
            if not self.stderr and error.errno == errno.ENOSPC:
                raise  # who reads stdout must not take half an answer for a whole one
            self.on_broken_pipe()


ERR = Terminal(stderr=True, highlight=False)
OUT = Terminal(highlight=False)
STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNKNOWN": "bold yellow"}
_KEEP = 9


def complain(message: str) -> None:
    """One error, printed once."""
    ERR.print(Text.assemble(("error: ", "bold red"), redacted(message)), soft_wrap=True)


def warn(message: str) -> None:
    """Something to put right that keeps nothing from going on."""
    ERR.print(Text.assemble(("warning: ", "yellow"), redacted(message)), soft_wrap=True)


def warn_of_secrets(drill: Drill) -> None:
    """One warning for each line of the drill file that holds a secret; what is recorded does not."""
    for message in spec.inline_secrets(drill.path):
        warn(message)


def words(event: Event) -> str | None:
    """An event as one short line for people; None for those that only the record needs."""
    data = event.data
    fault = data.get("fault")
    lines: dict[str, Callable[[], str]] = {
        "target.deployed": lambda: _deployed(data),
        "baseline.recorded": lambda: _baseline(data),
        "trial.started": lambda: f"trial {event.trial}" + (f" ({data['variant']})" if data.get("variant") else ""),
        "load.started": lambda: "users and probes are on",
        "load.stopped": lambda: "users and probes are off",
        "fault.injected": lambda: f"FAULT {fault} {_arguments(data)} ({data['fidelity']['kind']})",
        "fault.effect": lambda: ("effect seen: " if data["observed"] else "NO EFFECT seen: ") + data["evidence"],
        "fault.healed": lambda: f"healed {fault} {_arguments(data)}",
        "heal.confirmed": lambda: ("healing seen: " if data["confirmed"] else "HEALING NOT SEEN: ") + data["evidence"],
        "steady.checked": lambda: f"steady state {data['when']}: {'met' if data['met'] else 'NOT met'}",
        "abort": lambda: f"ABORTED: {data['reason']}",
        "interrupted": lambda: f"interrupted by {data['signal']}, healing",
        "guard.watchdog": lambda: "healed by the watchdog: " + ("; ".join(data["healed"]) or "nothing was broken"),
        "guard.lease_expired": lambda: "the lab healed itself: " + (", ".join(data["healed"]) or "nothing was broken"),
    }
    if event.kind == "step.ended" and data.get("error"):
        return f"step {data.get('name')} failed: {data['error']}"
    line = lines.get(event.kind)
    return line() if line else None


def _deployed(data: dict[str, Any]) -> str:
    if earlier := data.get("earlier_runs"):
        return f"the same lab as for {len(earlier)} drill(s) before, edge at {data.get('edge_url')}"
    cut_short = data.get("model_cut_short")
    model = f"; ITS MODEL'S TRAINING WAS CUT SHORT {cut_short}" if cut_short else ""
    return f"deployed in {data.get('deploy_seconds', '?')} s, edge at {data.get('edge_url')}{model}"


def _baseline(data: dict[str, Any]) -> str:
    if data["new"]:
        return "baseline recorded now; later runs are held against it"
    when = "earlier on this very lab" if data.get("same_deployment") else "earlier"
    text = f"baseline recorded {when}, by {data['recorded_in']}"
    if data.get("same_host") is not False:
        return text
    differs = "; ".join(data.get("host_differences", []))
    return f"{text}, ON ANOTHER KIND OF HOST ({differs}): latencies are held against each trial's own phase before"


def _arguments(data: dict[str, Any]) -> str:
    return shown(data.get("arguments", {}))


class Lines:
    """One line an event, for logs and pipes."""

    def __init__(self, console: Console = ERR) -> None:
        self._console = console
        self._begin = time.monotonic()
        self._last = ""

    def event(self, event: Event) -> None:
        if line := words(event):
            self._say(line)

    def glance(self, glance: Glance) -> None:
        """Rates change five times a second: too much for a log."""

    def progress(self, what: str, done: float | None = None, total: float | None = None) -> None:
        step = what.partition(":")[0] if total else what
        if step != self._last:
            self._last = step
            self._say(what)

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed must not keep anything from being healed
            self._console.print(f"{time.monotonic() - self._begin:7.1f} s  {escape(line)}", soft_wrap=True)


class Screen:
    """The live view: what recdr is doing, what the users see, who serves, what is broken."""

    def __init__(self, title: str, console: Console = ERR) -> None:
        self._title = title
        self._begin = time.monotonic()
        self._doing = "starting"
        self._share: tuple[float, float] | None = None
        self._glance: Glance | None = None
        self._broken: dict[str, str] = {}
        self._said: list[tuple[float, str]] = []
        self._live = Live(console=console, refresh_per_second=5, get_renderable=self._draw, transient=True)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def event(self, event: Event) -> None:
        self._share = None
        key = f"{event.data.get('fault')} {_arguments(event.data)}"
        if event.kind == "fault.injected":
            self._broken[key] = "in force"
        if event.kind == "fault.effect" and key in self._broken:
            self._broken[key] = "in force, seen from outside" if event.data["observed"] else "no effect seen"
        if event.kind == "heal.confirmed":
            self._broken.pop(key, None)
        if line := words(event):
            self._said = [*self._said, (time.monotonic() - self._begin, line)][-_KEEP:]
            if event.kind in ("trial.started", "load.started"):
                self._doing = line

    def glance(self, glance: Glance) -> None:
        self._glance = glance

    def progress(self, what: str, done: float | None = None, total: float | None = None) -> None:
        self._doing = what
        self._share = (done, total) if done is not None and total else None

    def _draw(self) -> Panel:
        head = Table.grid(padding=(0, 2))
        head.add_row("now", Text(self._doing))
        if self._share:
            head.add_row("", ProgressBar(completed=self._share[0], total=self._share[1], width=40))
        for name, value in self._rates():
            head.add_row(name, value)
        broken = Text("nothing", style="green")
        if self._broken:
            broken = Text("; ".join(f"{fault}: {state}" for fault, state in self._broken.items()), style="bold red")
        head.add_row("broken", broken)
        log = Text(
            "\n".join(f"{at:6.1f} s  {line}" for at, line in self._said),
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )
        clock = f"{time.monotonic() - self._begin:.0f} s"
        return Panel(Group(head, Text(""), log), title=escape(self._title), subtitle=clock, title_align="left")

    def _rates(self) -> list[tuple[str, Text]]:
        glance = self._glance
        if glance is None:
            return []
        p99 = "-" if glance.p99_ms is None else f"{glance.p99_ms:.0f} ms"
        total = sum(glance.serving.values()) or 1
        serving = (
            ", ".join(f"{region} {100 * n / total:.0f} %" for region, n in sorted(glance.serving.items())) or "nobody"
        )
        errors = Text(f"{glance.errors_per_s:.0f}/s", style="bold red" if glance.errors_per_s else "green")
        rates = Text.assemble(f"{glance.requests_per_s:.0f} requests/s   errors ", errors, f"   p99 {p99}")
        return [("users", rates), ("served by", Text(serving))]


def verdict_table(document: dict[str, Any]) -> Table:
    """The objectives of a verdict against what was measured."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("objective", "measured", "bound", "outcome"):
        table.add_column(name, overflow="fold")
    for name, measure in document["measures"].items():
        if not measure.get("objective"):
            continue
        outcome = measure.get("outcome") or "-"
        table.add_row(
            name, measured(measure), bound(measure["objective"]), Text(outcome, style=STYLES.get(outcome, ""))
        )
    return table


def measured(measure: dict[str, Any]) -> str:
    """A value with its unit and its interval or resolution; ``not observed`` where there is none."""
    value = measure.get("value")
    if value is None:
        return "not observed"
    sign = ">= " if measure.get("censored") else ""
    unit = "" if measure["unit"] in ("ratio", "events", "requests") else f" {measure['unit']}"
    text = f"{sign}{value:.4g}{unit}"
    low, high = measure.get("interval") or (None, None)
    if low is not None and high is not None:
        return f"{text} [{low:.4g}, {high:.4g}]"
    return text + (f" ±{measure['resolution']:.2g}" if measure.get("resolution") else "")


def bound(objective: dict[str, Any]) -> str:
    """``<= 1``, ``>= 0.98 x baseline`` and the like, with the phase where one was named."""
    signs = {"min": ">= {}", "max": "<= {}", "min_ratio": ">= {} x baseline", "max_ratio": "<= {} x baseline"}
    parts = [text.format(f"{objective[key]:g}") for key, text in signs.items() if objective.get(key) is not None]
    phase = f" ({objective['phase']})" if objective.get("phase") else ""
    return ", ".join(parts) + phase


def print_verdict(document: dict[str, Any], console: Console = ERR) -> None:
    """The verdict as people read it at the end of a run."""
    outcome = document["outcome"]
    console.print(Text.assemble((outcome, STYLES.get(outcome, "")), f"  {document.get('title') or document['drill']}"))
    for reason in document["reasons"]:
        console.print(Text(f"  {reason}"), soft_wrap=True)
    used = document.get("baseline") or {}
    if used.get("same_host") is False:
        differs = "; ".join(used.get("host_differences") or [])
        text = f"the baseline is of another kind of host ({differs}): latencies are held against 'before' instead"
        console.print(Text.assemble(("  warning: ", "yellow"), text), soft_wrap=True)
    console.print(verdict_table(document))
