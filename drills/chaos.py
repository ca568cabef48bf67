"""The only importer of chaoslib: the child process that runs, or only checks, the experiment of one trial, or one hook.

A child process because chaoslib must own the main thread, keeps state in module globals and swallows signals while an
action runs: a trial that must end is ended from outside, and the next one starts clean.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaoslib.activity import run_activity
from chaoslib.configuration import load_configuration
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.hypothesis import within_tolerance
from chaoslib.run import RunEventHandler
from chaoslib.secret import load_secrets

from drills.errors import EXIT_USAGE
from drills.privacy import finding, learn, learn_drill, redacted
from drills.recording.record import EventWriter
from drills.recording.rundir import write_json


class Steps(RunEventHandler):  # type: ignore[misc]  # chaoslib publishes no types
    """Writes down which step of the experiment runs. chaoslib ignores what goes wrong in here."""

    def __init__(self, events: EventWriter) -> None:
        super().__init__()
        self._events = events

    def start_activity(self, activity: dict[str, Any]) -> None:
        self._events.write("step.started", name=activity.get("name"), type=activity.get("type"))

    def activity_completed(self, activity: dict[str, Any], run: dict[str, Any]) -> None:
        words = run.get("exception") or []
        error = str(words[-1]).strip() if words else None
        self._events.write("step.ended", name=activity.get("name"), status=run.get("status"), error=error)

    def hypothesis_before_completed(self, experiment: Any, state: dict[str, Any], journal: Any) -> None:
        self._events.write("steady.checked", when="before", met=bool(state.get("steady_state_met")))

    def hypothesis_after_completed(self, experiment: Any, state: dict[str, Any], journal: Any) -> None:
        self._events.write("steady.checked", when="after", met=bool(state.get("steady_state_met")))


def main() -> int:
    """Do what the order in the file named on the command line says; 2 and one line where chaoslib refuses to run it."""
    order = json.loads(Path(sys.argv[1]).read_text())
    sys.path.append(order["modules"])
    if "activity" in order:
        return perform(order["activity"])
    if "check" in order:
        for position, experiment in enumerate(order["check"]):
            answer = {"checked": position, "refused": refusal(experiment)}
            print(json.dumps(answer), flush=True)  # noqa: T201 - the answer of this program
        return 0
    if (problem := refusal(order["experiment"])) is not None:
        print(problem)  # noqa: T201 - the same
        return EXIT_USAGE
    run(order)
    return 0


def refusal(experiment: dict[str, Any]) -> str | None:
    """What chaoslib says against the experiment; None where it accepts it."""
    try:
        ensure_experiment_is_valid(experiment)
    except ChaosException as error:
        return " ".join(str(error).split())
    except Exception as error:  # one drill that chaoslib trips over says nothing about those checked with it
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def perform(activity: dict[str, Any]) -> int:
    """Run one activity by itself: 0 if its answer is within its tolerance, 1 if not, 2 if it failed to give one.

    Without a tolerance a process must end with 0, HTTP answer below 400, and Python not return False.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        answer = run_activity(activity, {}, {})
        ok = _as_wanted(activity, answer)
    except Exception as error:  # a provider may raise anything
        print(f"{type(error).__name__}: {' '.join(str(error).split())}")  # noqa: T201 - the answer of this program
        return EXIT_USAGE
    print(json.dumps(answer, default=str)[:2000])  # noqa: T201 - the same
    return 0 if ok else 1


def _as_wanted(activity: dict[str, Any], answer: Any) -> bool:
    if activity.get("tolerance") is not None:
        return bool(within_tolerance(activity["tolerance"], answer, {}, {}))
    kind = activity["provider"]["type"]
    if kind == "process":
        return bool(answer["status"] == 0)
    return bool(answer["status"] < 400) if kind == "http" else answer is not False


def run(order: dict[str, Any]) -> None:
    """Run the experiment and write Chaos Toolkit's journal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    experiment = order["experiment"]
    _learn_secrets(experiment)
    settings = {"runtime": experiment.get("runtime", {})}  # only the chaos command copies it from the file
    handlers = [Steps(EventWriter(Path(order["events"]), order["trial"]))]
    journal = run_experiment(experiment, settings=settings, event_handlers=handlers)
    write_json(Path(order["journal"]), redacted(without_secrets(json.loads(json.dumps(journal, default=str)))))


def _learn_secrets(experiment: dict[str, Any]) -> None:
    """What the drill itself says recdr knows already; what lies in a vault only Chaos Toolkit can look up."""
    learn_drill(experiment)
    if any(isinstance(one, dict) and one.get("type") == "vault" for one in _mappings(experiment.get("secrets"))):
        with contextlib.suppress(Exception):  # it fails again where it is needed, and is told there
            found = load_secrets(experiment["secrets"], load_configuration(experiment.get("configuration", {})))
            learn(value for _, value in finding.texts(found))


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _mappings(inner)


def without_secrets(journal: dict[str, Any]) -> dict[str, Any]:
    """chaoslib copies the experiment, secrets and all, into its journal: keep only their names."""
    experiment = journal.get("experiment", {})
    if "secrets" in experiment:
        experiment["secrets"] = dict.fromkeys(experiment["secrets"], "(left out)")
    return journal


if __name__ == "__main__":
    sys.exit(main())
