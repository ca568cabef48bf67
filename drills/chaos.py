"""The only importer of chaoslib: the child process that runs the experiment of one trial.

A child process because chaoslib must own the main thread, keeps state in module globals and swallows signals while an
action runs: a trial that must end is ended from outside, and the next one starts clean.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler

from drills.record import EventWriter
from drills.rundir import write_json


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
    """Run the experiment that the file named on the command line describes, and write Chaos Toolkit's journal."""
    order = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    sys.path.append(order["modules"])
    ensure_experiment_is_valid(order["experiment"])
    events = EventWriter(Path(order["events"]), order["trial"])
    journal = run_experiment(order["experiment"], settings={}, event_handlers=[Steps(events)])
    write_json(Path(order["journal"]), without_secrets(json.loads(json.dumps(journal, default=str))))
    return 0


def without_secrets(journal: dict[str, Any]) -> dict[str, Any]:
    """chaoslib copies the experiment, secrets and all, into its journal: keep only their names."""
    experiment = journal.get("experiment", {})
    if "secrets" in experiment:
        experiment["secrets"] = dict.fromkeys(experiment["secrets"], "(left out)")
    return journal


if __name__ == "__main__":
    sys.exit(main())
