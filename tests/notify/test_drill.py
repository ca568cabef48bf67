"""Real drills that tell: no secret is left anywhere, and the exit code is the verdict's, whoever was told or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from drills.home import cache
from tests.baseline.service import Shop, served
from tests.external.services import RECDR
from tests.notify.servers import Webhook, webhook
from tests.processes import commands_with

TOKENS = ("S3CRETmachine", "S3CRETteam", "S3CREThangs")


def talkative(shop: Shop, path: Path, **recdr: Any) -> Path:
    """A drill that breaks nothing and so is UNKNOWN; a command of it prints its environment into the run's logs."""
    hooks = {"status": {"command": ["sh", "-c", "env; true"]}}
    return shop.drill(path, service={"hooks": hooks}, settle_s=1, tail_s=1, **recdr)


def everything_in(folder: Path) -> bytes:
    """Every byte of every file, and what is compressed in tables besides."""
    found = b""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found += path.read_bytes()
        if path.suffix == ".parquet":
            found += str(pq.read_table(path).to_pydict()).encode()
    return found


def wait_for(hook: Webhook, process: subprocess.Popen[str]) -> None:
    while not hook.got:
        assert process.poll() is None, "recdr ended before it told anybody"
        time.sleep(0.05)


@pytest.mark.slow
def test_no_secret_is_left_and_ctrl_c_while_telling_changes_no_exit_code(tmp_path: Path) -> None:
    with served(Shop()) as shop, webhook(status=500) as machine, webhook() as team, webhook(behaviour="hang") as hung:
        tell = [{"to_env": "RECDR_NOTIFY_TEAM"}, {"to_env": "RECDR_NOTIFY_HUNG"}, {"to_env": "RECDR_NOTIFY_UNSET"}]
        drill = talkative(shop, tmp_path / "shop.yaml", notify=tell)
        environment = {
            **os.environ,
            "RECDR_HOME": str(tmp_path / "home"),
            "RECDR_CACHE": str(cache()),
            "NO_COLOR": "1",
            "RECDR_NOTIFY": f"json://user:{TOKENS[0]}@127.0.0.1:{machine.port}/{TOKENS[0]}?+X-Token={TOKENS[0]}",
            "RECDR_NOTIFY_TEAM": f"json://127.0.0.1:{team.port}/{TOKENS[1]}",
            "RECDR_NOTIFY_HUNG": f"json://127.0.0.1:{hung.port}/{TOKENS[2]}",
            "RECDR_REPORT_URL": "https://reports.example.com/{run}/report.html",
        }
        command = [RECDR, "drill", "run", str(drill), "--json"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as process:
            for hook in (hung, team, machine):
                wait_for(hook, process)
            shown = commands_with("drills.notify.child")
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    verdict = json.loads(out)
    assert verdict["outcome"] == "UNKNOWN"
    assert "NOT told JSON (RECDR_NOTIFY): the service answered 500" in err
    assert "told JSON (RECDR_NOTIFY_TEAM)\n" in err
    assert "NOT told RECDR_NOTIFY_HUNG: given up, for recdr was asked to stop" in err
    assert "nobody will be told by RECDR_NOTIFY_UNSET: it is not set" in err
    (document,) = team.documents
    assert document["title"] == "UNKNOWN: The shop sells"
    assert f"Report: https://reports.example.com/{verdict['run']}/report.html" in document["message"]
    (report,) = document["attachments"]
    assert report["filename"] == "report.html"
    assert shown
    assert not any(token in line for line in shown for token in TOKENS)
    left = everything_in(tmp_path / "home")
    assert b"RECDR_HOME=" in left, "the command did print its environment"
    for token in TOKENS:
        assert token.encode() not in left
        assert token not in out + err
    assert commands_with("drills.notify.child") == []

    run = tmp_path / "home" / "runs" / verdict["run"]
    before = (run / "verdict.json").read_bytes(), (run / "report.html").read_bytes()
    again = subprocess.run([RECDR, "drill", "judge", str(run)], env=environment, capture_output=True, check=False)
    assert again.returncode == 3
    assert before == ((run / "verdict.json").read_bytes(), (run / "report.html").read_bytes())
    assert len(team.got) == 1, "judging tells nobody"


def test_a_drill_whose_service_does_not_come_up_is_told_and_its_exit_code_stays(tmp_path: Path) -> None:
    with served(Shop()) as shop, webhook() as hook:
        down = {"hooks": {"deploy": {"command": ["sh", "-c", "echo no room; exit 4"]}}}
        drill = shop.drill(tmp_path / "shop.yaml", service=down)
        environment = {**os.environ, "RECDR_HOME": str(tmp_path / "home"), "RECDR_CACHE": str(cache())}
        command = [RECDR, "drill", "run", str(drill)]
        address = {"RECDR_NOTIFY": f"json://127.0.0.1:{hook.port}/{TOKENS[0]}"}

        def run(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
            every = {**environment, **address, **more}
            return subprocess.run([*command, *options], env=every, capture_output=True, text=True, check=False)

        told = run()
        assert told.returncode == 3, told.stderr
        assert len(hook.got) == 1
        assert "no room" in hook.documents[0]["message"]
        quiet, refused = run("--no-notify"), run(RECDR_NOTIFY=f"nosuch://{TOKENS[0]}")
        assert (quiet.returncode, refused.returncode) == (3, 2)
        assert len(hook.got) == 1
        assert "RECDR_NOTIFY: its address is not understood" in refused.stderr
        assert TOKENS[0] not in refused.stderr
