"""A real drill into which secrets and user ids are planted wherever they can come from, and a search for them after."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.recording.record import read_events
from tests.external.services import RECDR, TIMEOUT_S, drill_for, running
from tests.privacy.searching import found_in, holds

SECRETS = {
    "header": "hdr-7Qm2/x+9aZ=",
    "environment": "envs3cr3t.Kp81",
    "hook": "hook-tok-55Rt-ü",
    "configuration": "conf1d-9ential",
    "inline secret": "inl1ne-Xx-0042",
    "environment's secret": "env-of-s3crets",
    "flag": "fl4gged-token-1",
    "password": "pw0rd-in-url-77",
    "short": "hunt3r",
}
USERS = [f"kim.{name}@example.org" for name in ("ash", "birch", "cedar", "elm", "fir", "hazel", "oak", "pine")]
GUARD = """#!/bin/sh
# Only who brings the true token gets anything done.
test "$1" = "$PLANTED_CONF" || exit 9
shift 3
exec "$@"
"""
TELLTALE = """#!/bin/sh
echo "token is $PLANTED_HOOK"
printf "Basic %s\\n" "$(printf 'bob:%s' "$PLANTED_HOOK" | base64)"
echo "asked http://bob:pw0rd-in-url-77@127.0.0.1/?user=kim.oak%40example.org&n=1 for Kim.Ash@Example.org, hunt3r"
env
"""
MODULE = """
import os

def leak(address, secrets=None):
    print("leaking", secrets, flush=True)
    secret = os.environ["PLANTED_ENV"].upper()
    raise RuntimeError(f"cannot reach {address} for kim.elm@example.org with {secret}: {secrets}")
"""


def planted_drill(port: int, folder: Path) -> dict[str, Any]:
    """A short drill of the service at ``port`` that leaks by every way there is."""
    drill = drill_for(port, "planted")
    service = drill["extensions"][0]["service"]
    service["headers"] = {"Authorization": "Bearer ${env:PLANTED_HEADER}", "X-Api-Key": SECRETS["flag"]}
    service["users"] = {"file": "users.txt"}
    service["hooks"] = {"status": {"command": ["./telltale.sh"]}, "promote": {"command": ["./telltale.sh"]}}
    drill["configuration"] = {"conf": {"type": "env", "key": "PLANTED_CONF"}}
    drill["secrets"] = {
        "shop": {"pin": SECRETS["inline secret"], "other": {"type": "env", "key": "PLANTED_OTHER"}, "short": "hunt3r"}
    }
    for one in drill["method"]:
        for name in ("inject", "heal", "check"):
            one["provider"]["arguments"][name]["command"][:0] = ["./guard.sh", "${conf}", "--token", SECRETS["flag"]]
    address = f"http://bob:{SECRETS['password']}@127.0.0.1:1/x?access_token={SECRETS['inline secret']}"
    leak = {"type": "python", "module": "leaky", "func": "leak", "arguments": {"address": address}, "secrets": ["shop"]}
    told = {"type": "process", "path": "./telltale.sh", "arguments": "--as kim.fir@example.org"}
    asked = {
        "type": "http",
        "url": f"{address}&user=kim.hazel@example.org",
        "headers": {"X-Token": "hunt3r"},
        "timeout": 1,
    }
    hook = {"type": "python", "module": "drills.faults.hooks", "func": "promote"}
    drill["method"][1:1] = [
        {"type": "action", "name": name, "provider": provider}
        for name, provider in (("leak", leak), ("tell", told), ("ask", asked), ("promote", hook))
    ]
    for name, text in (("guard.sh", GUARD), ("telltale.sh", TELLTALE), ("leaky.py", MODULE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "users.txt").write_text("\n".join(USERS))
    return drill


@dataclass(frozen=True)
class Planted:
    """What is left of the drill: its home, its run, what was said, and the drill file as it was written."""

    home: Path
    run: Path
    said: str
    drill: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder, home = tmp_path_factory.mktemp("drill"), tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        "RECDR_HOME": str(home),
        "NO_COLOR": "1",
        "PLANTED_HEADER": SECRETS["header"],
        "PLANTED_ENV": SECRETS["environment"],
        "PLANTED_HOOK": SECRETS["hook"],
        "PLANTED_CONF": SECRETS["configuration"],
        "PLANTED_OTHER": SECRETS["environment's secret"],
        "DATABASE_TOKEN": SECRETS["environment"],
        "HOOK_SECRET": SECRETS["hook"],
    }
    with running("Honest") as port:
        drill = folder / "planted.yaml"
        written = yaml.safe_dump(planted_drill(port, folder), sort_keys=False, allow_unicode=True)
        drill.write_text(f"# the old token was {SECRETS['flag']}, of {USERS[0]}\n{written}")
        done = subprocess.run(
            [RECDR, "drill", "run", str(drill), "--seed", "55"],
            env=environment, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        (run,) = (home / "runs").iterdir()
        yield Planted(home, run, done.stdout + done.stderr, drill, environment)


def secret_words() -> dict[str, str]:
    return {**SECRETS, **{f"user {n}": user for n, user in enumerate(USERS)}}


def test_the_planted_words_were_really_said(planted: Planted) -> None:
    """Else the search below would find nothing because nothing leaked."""
    events = {event.kind: event.data for event in read_events(planted.run / "events.jsonl")}
    assert events["fault.effect"]["observed"]  # guard.sh was given the true token
    assert events["heal.confirmed"]["confirmed"]
    logs = (planted.run / "logs" / "hooks.log").read_text()
    assert "token is ***" in logs
    assert "Basic Ym9i" in logs
    steps = {e.data["name"]: e.data for e in read_events(planted.run / "events.jsonl") if e.kind == "step.ended"}
    assert steps["leak"]["status"] == "failed"
    assert "cannot reach http" in steps["leak"]["error"]
    assert "leaking" in (planted.run / "logs" / "chaos-1.log").read_text()
    assert "token is" in (planted.run / "journal.json").read_text()


def test_nothing_of_it_is_in_the_home(planted: Planted) -> None:
    assert found_in(planted.home, secret_words()) == []
    assert not (planted.home / "private").exists()


def test_nothing_of_it_was_printed(planted: Planted) -> None:
    assert [name for name, word in secret_words().items() if holds(planted.said.encode(), word)] == []


def test_the_recorded_drill_is_judged_again_byte_for_byte_with_its_lines_in_place(
    planted: Planted, tmp_path: Path
) -> None:
    copy = tmp_path / planted.run.name
    shutil.copytree(planted.run, copy)
    (copy / "report.html").unlink()
    elsewhere = {name: value for name, value in planted.environment.items() if value not in SECRETS.values()}
    elsewhere["RECDR_HOME"] = str(tmp_path / "home")
    subprocess.run([RECDR, "drill", "judge", str(copy)], env=elsewhere, capture_output=True, check=False, timeout=60)
    for name in ("verdict.json", "summary.md", "junit.xml", "report.html"):
        assert (copy / name).read_bytes() == (planted.run / name).read_bytes(), name
    assert found_in(copy, secret_words()) == []
    before, after = planted.drill.read_text().splitlines(), (copy / "drill.yaml").read_text().splitlines()
    assert len(before) == len(after)
    differ = [(a, b) for a, b in zip(after, before, strict=True) if a != b]
    assert len(differ) > 5
    assert all("***" in a and a.split()[0] == b.split()[0] for a, b in differ), differ
