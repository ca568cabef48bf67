"""Trouble that is nobody's signal: a full disk, a closed terminal, a fault that raises, a lock that outlives nobody."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drills.errors import UsageError
from drills.processes import Frozen
from drills.recording.record import EventWriter, read_events
from drills.recording.rundir import RunDir
from drills.targets.external.claim import claim
from drills.targets.local.standing import exclusive
from drills.undo import FENCE, UndoLog, unhealed
from drills.watchdog import GONE, STALLED, WELL, wait
from tests.promise.drilled import drilling


def test_a_closed_terminal_heals(tmp_path: Path) -> None:
    """The terminal's end is a SIGHUP, and everything that is written to it from then on fails."""
    ours, theirs = pty.openpty()
    # The first process of a session that opens a terminal is given it as its own: only then does its end send SIGHUP.
    own_terminal = {"start_new_session": True, "preexec_fn": lambda: os.close(os.open(os.ttyname(0), os.O_RDWR))}
    with drilling(tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, text=None, **own_terminal) as drill:
        os.close(theirs)
        os.set_blocking(ours, False)
        assert drill.is_lost()
        os.close(ours)
        assert drill.process.wait(timeout=60) == 130
        assert [event.data["signal"] for event in drill.events("interrupted")] == ["SIGHUP"]
        assert drill.left() == []


FULL = """
import os, subprocess, sys
from pathlib import Path
from drills.targets.local import namespaces
uid, gid = os.geteuid(), os.getegid()
namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
namespaces.private_mounts()
namespaces.mount("tmpfs", Path(sys.argv[1]), "size=300m")
sys.exit(subprocess.run([sys.executable, "-m", "tests.promise.fill", *sys.argv[1:]]).returncode)
"""


def test_a_full_disk_heals_and_says_unknown(namespaces_allowed: None, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "full"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("step", ["inject", "check"])
def test_a_fault_that_raises_is_healed(step: str, tmp_path: Path) -> None:
    """It breaks the service and fails all the same; or nobody can look whether it did."""

    def change(drill: dict[str, Any]) -> None:
        given = drill["method"][0]["provider"]["arguments"]
        breaks, asks = (" ".join(given[what]["command"]) for what in ("inject", "check"))
        if step == "inject":
            given["inject"]["command"] = ["sh", "-c", f"{breaks}; exit 7"]
        else:
            given["inject"]["command"] = ["sh", "-c", f"touch broken; {breaks}"]
            given["check"]["command"] = ["sh", "-c", f"test -e broken && exit 7; {asks}"]
            given["heal"]["command"] = ["sh", "-c", f"rm -f broken; {' '.join(given['heal']['command'])}"]
        drill["method"] = [{**drill["method"][0], "pauses": {"after": 1}}]

    with drilling(tmp_path, change, until="fault.intent") as drill:
        drill.ended()
        assert drill.process.returncode == 3
        assert drill.verdict()["outcome"] == "UNKNOWN"
        assert not drill.is_lost()


def test_locks_go_with_their_holder_though_its_children_live_on_and_say_who_it_is(tmp_path: Path) -> None:
    script = f"""
import subprocess, sys
from pathlib import Path
from drills.targets.external.claim import claim
from drills.targets.local.standing import exclusive
with claim("http://127.0.0.1:4711"), exclusive(Path({str(tmp_path)!r})):
    print(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            for lock in (claim("http://localhost:4711"), exclusive(tmp_path)):
                with pytest.raises(UsageError, match=f"another drill is running .*process {holder.pid}, since "), lock:
                    pass
            holder.kill()
            holder.wait()
            os.kill(child, 0)
            with claim("http://127.0.0.1:4711"), exclusive(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_watchdog_goes_when_told_and_knows_gone_from_stalled() -> None:
    for said, closed, expected in ((WELL, False, None), (b"..", True, GONE), (b".", False, STALLED)):
        reading, writing = os.pipe()
        os.write(writing, said)
        if closed:
            os.close(writing)
        assert wait(0.3, reading) == expected
        os.close(reading)
        if not closed:
            os.close(writing)


def test_what_was_healed_by_a_watchdog_breaks_nothing_any_more(tmp_path: Path) -> None:
    (tmp_path / FENCE).touch()
    with pytest.raises(Exception, match="may break nothing any more"):
        UndoLog(tmp_path).intend("noop", {})
    assert [intent.fault for intent in unhealed(tmp_path)] == ["noop"]  # written first: whoever heals late finds it


def test_a_stopped_process_is_noticed_and_one_that_goes_on_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        frozen = Frozen(process.pid, "it")
        assert frozen.for_too_long() is None
        process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        while frozen.for_too_long() is None:
            assert time.monotonic() - begin < 20
            time.sleep(0.05)
        process.send_signal(signal.SIGCONT)
        while frozen.for_too_long() is not None:
            assert time.monotonic() - begin < 30
            time.sleep(0.05)
        process.kill()


def test_events_that_a_full_disk_tore_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write("first")
    with path.open("ab") as file:
        file.write(b'{"t": 12, "kind": "to')
    writer = EventWriter(path)
    writer._torn = True
    writer.write("second")
    assert [event.kind for event in read_events(path)] == ["first", "second"]


def test_a_disk_with_room_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert RunDir(tmp_path).short_of_room() is None
