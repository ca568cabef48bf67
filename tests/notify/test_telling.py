"""Who is told of what, in which words; and that nothing that goes wrong with it goes further."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from drills import spec
from drills.errors import Interrupted, TargetError, UsageError
from drills.notify import destinations, happened, message, telling
from drills.notify.happened import Happened
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.suite import Entry, Suite
from drills.undo import UndoLog
from tests.notify.servers import Webhook, webhook
from tests.reports import fakerun

TOKEN = "S3CRET0token"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakerun.write(tmp_path_factory.mktemp("written") / "run", load=1, length_s=25)


def a_run(written: Path, runs: Path, number: int, outcome: str = "PASS") -> RunDir:
    run = RunDir(shutil.copytree(written, runs / f"2026112{number}-013000-failover"))
    run.verdict.write_text(json.dumps(fakerun.verdict(run.id, 1, outcome, 0)))
    run.logs.mkdir()
    return run


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    path = tmp_path / "failover.yaml"
    notify = "notify: [{to_env: RECDR_NOTIFY_TEAM, when: [changed, unknown]}]"
    path.write_text(f"{spec.find('failover.yaml').read_text().rstrip()}\n    {notify}\n")
    return spec.load(path)


class Told:
    """``telling`` with a webhook as the team's address, and what the terminal heard."""

    def __init__(self, hook: Webhook, drill: Drill, monkeypatch: pytest.MonkeyPatch, url: str | None = None) -> None:
        monkeypatch.setenv("RECDR_NOTIFY_TEAM", f"json://127.0.0.1:{hook.port}/{TOKEN}")
        self.said: list[str] = []
        self.telling = telling.prepare([drill], url, self.said.append)
        self.hook, self.drill = hook, drill

    def of(self, run: RunDir, error: BaseException | None = None) -> list[Any]:
        before = len(self.hook.got)
        self.telling.drill(self.drill, run, error)
        return self.hook.documents[before:]


def test_a_verdict_that_changed_is_told_and_one_that_did_not_is_not(
    written: Path, tmp_path: Path, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [a_run(written, tmp_path / "runs", i, outcome) for i, outcome in enumerate(("PASS", "FAIL", "FAIL", "PASS"))]
    with webhook() as hook:
        told = Told(hook, drill, monkeypatch, "https://reports.example.com/{run}/{drill}")
        first, failed, still, again = (told.of(run) for run in runs)
    assert (first, still) == ([], [])
    assert failed[0]["title"] == f"FAIL (was PASS): {drill.title}"
    assert failed[0]["type"] == "failure"
    assert "FAIL  Reads disturbed: 0.40 s (allowed at most 0.001 s)" in failed[0]["message"]
    assert f"Report: https://reports.example.com/{runs[1].id}/failover" in failed[0]["message"]
    assert (again[0]["title"], again[0]["type"]) == (f"PASS (was FAIL): {drill.title}", "success")
    assert told.said == ["told JSON (RECDR_NOTIFY_TEAM)"] * 2
    logged = [json.loads(line) for line in (runs[1].logs / "notify.log").read_text().splitlines()]
    assert [(one["to"], one["sent"], one["why"]) for one in logged] == [("RECDR_NOTIFY_TEAM", True, "")]


def test_what_ended_a_run_early_is_told_unless_it_was_whoever_started_it(
    tmp_path: Path, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: dict[str, BaseException] = {
        "the lab did not come up": TargetError("the lab did not come up: no room"),
        "interrupted by SIGTERM": Interrupted("interrupted by SIGTERM; everything that was broken has been healed"),
        "a bug": RuntimeError("a bug"),
    }
    refused = UsageError("no baseline is accepted")
    by_hand = Interrupted("interrupted by SIGINT; everything that was broken has been healed")
    nowhere = RunDir(tmp_path / "runs" / "none")
    with webhook() as hook:
        told = Told(hook, drill, monkeypatch)
        got = {said: told.of(nowhere, error) for said, error in errors.items()}
        silent = [told.of(nowhere, error) for error in (refused, by_hand)]
    for said, (document,) in got.items():
        assert document["title"] == f"UNKNOWN: {drill.title}"
        assert said in document["message"]
    assert silent == [[], []]


def test_what_was_not_healed_is_told_whatever_was_asked_for(
    written: Path, tmp_path: Path, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(written, tmp_path / "runs", 1)
    UndoLog(run.path, 1).intend("region_loss", {"region": "primary"})
    with webhook() as hook:
        told = Told(hook, drill, monkeypatch)
        passed, stopped = told.of(run), told.of(run, Interrupted("interrupted by SIGINT; ..."))
    for got in (passed, stopped):
        assert got[0]["title"].startswith("NOT HEALED, PASS: ")
        assert got[0]["type"] == "failure"
        assert "STILL BROKEN, or never seen healed: region_loss (region: primary)" in got[0]["message"]
        assert f"recdr drill heal {run.id}" in got[0]["message"]


def test_nothing_that_goes_wrong_goes_further(
    written: Path, tmp_path: Path, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(written, tmp_path / "runs", 1, "UNKNOWN")
    with webhook(status=500) as hook:
        told = Told(hook, drill, monkeypatch)
        told.of(run)
        monkeypatch.setattr(happened, "of_run", lambda *_, **__: (_ for _ in ()).throw(ValueError(f"json://x/{TOKEN}")))
        told.of(run)
    assert told.said[0] == "NOT told JSON (RECDR_NOTIFY_TEAM): the service answered 500"
    assert told.said[1].startswith("NOT told: a bug in recdr")
    assert TOKEN not in str(told.said) + (run.logs / "notify.log").read_text()


def test_the_machine_is_told_of_all_drills_and_its_addresses_are_out_of_reach(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECDR_NOTIFY", f"json://a/{TOKEN} \n json://b/{TOKEN}")
    monkeypatch.setenv("RECDR_NOTIFY_WHEN", "pass, fail")
    monkeypatch.setenv("RECDR_NOTIFY_OTHER", "json://nobody-named-it")
    found = destinations.take([drill])
    (machine,) = found.found
    assert (machine.variable, len(machine.addresses), machine.always) == ("RECDR_NOTIFY", 2, ("pass", "fail"))
    assert found.unset == ("RECDR_NOTIFY_TEAM",)
    assert TOKEN not in repr(found)
    assert destinations.take([drill]).found == (), "taken"
    monkeypatch.setenv("RECDR_NOTIFY", "json://a")
    monkeypatch.setenv("RECDR_NOTIFY_WHEN", "fial")
    with pytest.raises(UsageError, match="Did you mean 'fail'"):
        destinations.take([])


def test_a_suite_is_one_message_with_the_drills_that_concern_its_reader(
    written: Path, tmp_path: Path, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(written, tmp_path / "runs", 1, "PASS")
    run = a_run(written, tmp_path / "runs", 2, "FAIL")
    other = spec.load(spec.find("noop.yaml"))
    entries = [Entry.of(drill), Entry.of(other), Entry.of(spec.load(spec.find("node-kill.yaml")))]
    suite = Suite(tmp_path / "suites" / "s1", "recdr", entries)
    suite.folder.mkdir(parents=True)
    entries[0].ended("judged", "", suite.folder, run)
    entries[1].ended("failed", "no room", suite.folder, None)
    with webhook() as team, webhook() as machine:
        monkeypatch.setenv("RECDR_NOTIFY", f"json://127.0.0.1:{machine.port}")
        told = Told(team, drill, monkeypatch)
        told.telling.suite(suite)
    (own,), (all_,) = team.documents, machine.documents
    assert own["title"] == all_["title"] == "FAIL: 3 drills (1 FAIL, 1 UNKNOWN, 1 not run)"
    reason = "Reads were unavailable for 0.4 s; at most 0.001 s is allowed."
    assert own["message"].splitlines()[0] == f"FAIL (was PASS)  failover.yaml: {reason}"
    assert "noop.yaml" not in own["message"]
    assert "UNKNOWN  noop.yaml: no room" in all_["message"]
    assert "not run  node-kill.yaml" in all_["message"]
    assert sorted(path.name for path in suite.folder.iterdir()) == ["notify.log"]


def test_texts_call_nobody_and_control_nothing() -> None:
    what = Happened("p", "d.yaml", "@everyone <!channel> \x1b[31m", "FAIL", "<@U123>\n@here", reasons=("x" * 5000,) * 9)
    told = message.of_drill(what, None)
    text = told.title + told.body
    for call in ("@everyone", "<!channel", "<@U123", "@here", "\x1b"):
        assert call not in text
    assert len(told.body) <= message.LONGEST + 1
    assert "recall@20" in message.of_drill(Happened("p", "d", "t", "FAIL", "recall@20"), None).body


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("reports.example.com/{run}", "this is no address"),
        ("https://x/{runs}", "Did you mean 'run'"),
        (f"https://me:{TOKEN}@x/{{run}}", "it holds a password"),
    ],
)
def test_a_template_of_which_no_link_could_be_made_is_refused(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        telling.prepare([], template, print)
    assert TOKEN not in str(refused.value)
