"""Healing after kill -9 needs the true arguments, which the run's directory does not hold."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.external.services import RECDR
from tests.privacy.searching import found_in
from tests.promise.drilled import Drilled, drilling, eventually

GUARD = '#!/bin/sh\ntest "$1" = "tok-4-heal1ng" || exit 9\nshift\nexec "$@"\n'
PLANTED = {"token": "tok-4-heal1ng"}


def guarded(folder: Path) -> Any:
    script = folder / "guard.sh"
    script.write_text(GUARD)
    script.chmod(0o755)

    def change(drill: dict[str, Any]) -> None:
        for one in drill["method"]:
            for name in ("inject", "heal", "check"):
                one["provider"]["arguments"][name]["command"][:0] = ["./guard.sh", "${token}"]
        drill["configuration"] = {"token": PLANTED["token"]}

    return change


def heal(drill: Drilled) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECDR_HOME": str(drill.folder / "home"), "NO_COLOR": "1"}
    return subprocess.run(
        [RECDR, "drill", "heal", str(drill.run)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def test_the_watchdog_heals_with_the_true_arguments_and_then_nothing_is_kept(tmp_path: Path) -> None:
    with drilling(tmp_path, guarded(tmp_path)) as drill:
        assert found_in(drill.run, PLANTED) == []  # in the midst of it, too
        private = next((tmp_path / "home" / "private").iterdir())
        assert private.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in private.iterdir()} == {0o600}
        drill.process.kill()
        assert eventually(lambda: drill.events("guard.watchdog"), 30)
        assert drill.left() == []
        assert eventually(lambda: not (tmp_path / "home" / "private").exists(), 10)
        assert found_in(drill.run, PLANTED) == []
        assert found_in(tmp_path / "home", PLANTED) == []
        again = heal(drill)
        assert (again.returncode, "nothing is left to heal" in again.stdout) == (0, True), again


def test_where_the_watchdog_died_too_heal_does_and_says_what_it_lacks_if_the_rest_is_gone(tmp_path: Path) -> None:
    with drilling(tmp_path, guarded(tmp_path)) as drill:
        os.kill(drill.child("drills.watchdog"), signal.SIGKILL)
        drill.process.kill()
        drill.process.wait()
        private = next((tmp_path / "home" / "private").iterdir())
        hidden = private.rename(tmp_path / "hidden")
        refused = heal(drill)
        assert refused.returncode != 0
        assert str(private) in refused.stdout + refused.stderr
        assert drill.is_lost()
        hidden.rename(private)
        healed = heal(drill)
        assert healed.returncode == 0, healed
        assert not drill.is_lost()
        assert PLANTED["token"] not in healed.stdout + healed.stderr
        assert found_in(tmp_path / "home", PLANTED) == found_in(drill.run, PLANTED) == []
