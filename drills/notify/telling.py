"""Tell those who want to know, once all is healed and judged; whatever goes wrong here is said, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drills import history, undo
from drills.errors import EXIT_INTERRUPTED, Interrupted, UsageError
from drills.notify import destinations, happened, link, log, message, sending
from drills.notify.destinations import Destination, Destinations
from drills.notify.happened import Happened
from drills.notify.hidden import hide
from drills.notify.message import Message
from drills.notify.sending import Delivery
from drills.privacy import redacted
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.suite import Entry, Suite


@dataclass(frozen=True)
class Telling:
    """Who is told of what comes now. ``report_url``: the template of ``link``; ``say``: how the terminal hears it."""

    destinations: Destinations
    report_url: str | None
    say: Callable[[str], object]

    def drill(self, drill: Drill, run: RunDir, error: BaseException | None = None) -> None:
        """Tell what came of a drill; ``error`` is what ended it early, None where it ran to its end."""
        self._tried(lambda: self._drill(drill, run, error))

    def suite(self, suite: Suite) -> None:
        """Tell what came of a suite: one message to each destination, with the drills that concern it."""
        self._tried(lambda: self._suite(suite))

    def _tried(self, tell: Callable[[], None]) -> None:
        if not self.destinations.found:
            return
        try:
            tell()
        except Exception as error:  # nobody told is no reason to end otherwise than the drill ended
            why = hide(f"{type(error).__name__}: {error}", self.destinations.secrets)
            self.say(f"NOT told: a bug in recdr, not in your drill ({why})")

    def _drill(self, drill: Drill, run: RunDir, error: BaseException | None) -> None:
        if isinstance(error, UsageError):  # refused: nothing happened that could be told
            return
        why = None if error is None else redacted(str(error)) or type(error).__name__
        left = run.path.is_dir()
        what = happened.of_run(run, str(drill.path), error=why) if left else happened.of_nothing(drill, why or "")
        if isinstance(error, Interrupted) and by_hand(str(error)) and not what.unhealed:
            return
        told = [found for found in self.destinations.found if what.concerns(found.wants(what.path))]
        words = message.of_drill(what, link.filled(self.report_url, run.id, Path(what.drill).stem))
        self._send([(found, words) for found in told], run.logs if left else None)

    def _suite(self, suite: Suite) -> None:
        drills = [_of_entry(entry, suite) for entry in suite.entries]
        if suite.exit_code == EXIT_INTERRUPTED and by_hand(suite.stopped or "") and not any(d.unhealed for d in drills):
            return
        url = link.filled(self.report_url, suite.id, "suite")
        outgoing = []
        for found in self.destinations.found:
            own = [one for one in drills if found.wants(one.path) is not None]
            cut_short = suite.exit_code is not None and "unknown" in (found.always or ())
            if cut_short or any(one.concerns(found.wants(one.path)) for one in own):
                outgoing.append((found, message.of_suite(suite, own, url)))
        self._send(outgoing, suite.folder)

    def _send(self, outgoing: Sequence[tuple[Destination, Message]], folder: Path | None) -> None:
        deliveries = sending.send(outgoing)
        for one in deliveries:
            self.say(one.line)
        if deliveries and folder is not None and folder.is_dir():
            log.write(folder, deliveries)


def prepare(drills: Sequence[Drill], report_url: str | None, say: Callable[[str], object]) -> Telling:
    """Who is told of these drills; to be asked before anything is deployed, for it takes the addresses out of reach.

    Raises UsageError for an address that no service is known for; one that is missing is only said.
    """
    if report_url is not None:
        link.check(report_url)
    found = destinations.take(drills)
    for variable in found.unset:
        say(f"nobody will be told by {variable}: it is not set")
    sending.check(found)
    return Telling(found, report_url, say)


def nobody() -> Telling:
    """For whoever wants nobody to be told; the addresses are out of reach all the same."""
    destinations.take(())
    return Telling(Destinations(), None, lambda _: None)


def by_hand(why: str) -> bool:
    """Whether it was Ctrl-C that ended it: who pressed it needs no message."""
    return "by SIGINT" in why


def _of_entry(entry: Entry, suite: Suite) -> Happened:
    run = suite.folder / entry.run_dir if entry.run_dir else None
    row = history.before(run.resolve()) if run else None
    open_ = undo.unhealed(run) if run else []
    return Happened(
        path=entry.path,
        drill=entry.drill,
        title=entry.title,
        outcome=entry.outcome or entry.state,
        sentence=entry.reasons[0] if entry.reasons else "no reason was recorded",
        run=entry.run,
        before=row.outcome if row and entry.outcome else None,
        unhealed=tuple(one.told for one in open_),
    )


def of_run(run: RunDir, drill: Drill, found: Destinations, report_url: str | None) -> list[Delivery]:
    """Tell every destination of a recorded run, whatever came of it."""
    what = happened.of_run(run, str(drill.path))
    words = message.of_drill(what, link.filled(report_url, run.id, Path(what.drill).stem))
    return sending.send([(one, words) for one in found.found])


def send_test(found: Destinations) -> list[Delivery]:
    """Send every destination a message that says that it is a trial."""
    return sending.send([(one, message.test()) for one in found.found])
