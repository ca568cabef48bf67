"""The external target by itself: deploying, claiming, finding it again, and the fault that looks as clients do."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from drills import spec
from drills.errors import TargetError, UsageError
from drills.faults.base import Evidence, wait_for
from drills.faults.custom import Custom, Doing
from drills.faults.hooks import promote
from drills.recording.record import read_events
from drills.spec import Hook, ServiceSettings
from drills.system import identity
from drills.targets import opening
from drills.targets.base import ABILITIES
from drills.targets.external import target as external
from drills.targets.external.claim import claim
from drills.targets.external.target import ExternalTarget
from drills.targets.registry import attach
from tests.external.services import COMMAND, RECDR, drill_for, running


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECDR_HOME", str(tmp_path / "home"))


@pytest.fixture
def port() -> Iterator[int]:
    with running("Honest") as found:
        yield found


def settings_for(port: int, folder: Path, **changes: object) -> ServiceSettings:
    path = folder / "drill.yaml"
    path.write_text(yaml.safe_dump(drill_for(port, "Shop")))
    found = spec.load(path).service
    assert found is not None
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


def hook(*words: str) -> Hook:
    return Hook(words, None, 5.0)


def test_it_deploys_waits_and_is_found_again(port: int, tmp_path: Path) -> None:
    target = ExternalTarget(settings_for(port, tmp_path, hooks={"deploy": hook("touch", "deployed")}), tmp_path)
    deployed = target.deploy()
    assert (tmp_path / "deployed").exists()
    assert deployed.edge_url == f"http://127.0.0.1:{port}"
    again = attach(target.reference)
    assert isinstance(again, ExternalTarget)
    settings = target.settings
    assert again.settings == dataclasses.replace(settings, users=settings.users[:1], items=settings.items[:1])
    assert again.place == target.place
    assert again.deployment.doors == deployed.doors


def test_its_reference_holds_neither_secrets_nor_users(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-of-the-shop")
    settings = settings_for(port, tmp_path)
    read = dataclasses.replace(settings.service.read, headers={"X-Token": "${env:SHOP_TOKEN}"})  # type: ignore[type-var]
    target = ExternalTarget(
        dataclasses.replace(settings, service=dataclasses.replace(settings.service, read=read)), tmp_path
    )
    target.deploy()
    written = target.reference.read_text()
    assert "${env:SHOP_TOKEN}" in written
    assert "s3cret" not in written
    assert json.loads(written)["settings"]["users"] == []


def test_what_does_not_become_healthy_is_torn_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "HEALTHY_TIMEOUT_S", 0.5)
    told = {
        "deploy": hook("true"),
        "status": hook("sh", "-c", "echo no leader; exit 1"),
        "teardown": hook("touch", "gone"),
    }
    target = ExternalTarget(settings_for(9, tmp_path, hooks=told), tmp_path)
    with pytest.raises(TargetError, match=r"not healthy .*no leader"):
        target.deploy()
    assert (tmp_path / "gone").exists()


def test_without_a_status_hook_a_read_through_the_edge_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "HEALTHY_TIMEOUT_S", 0.3)
    with running("Dead") as port:
        target = ExternalTarget(settings_for(port, tmp_path), tmp_path)
        target.deploy()
        Doing({"command": [*COMMAND, "lose", str(port)]})(target)
        with pytest.raises(TargetError, match="a read through the edge"):
            target.reset()


def test_reset_fails_back_first(port: int, tmp_path: Path) -> None:
    target = ExternalTarget(settings_for(port, tmp_path, hooks={"fail_back": hook("touch", "failed-back")}), tmp_path)
    target.reset()
    assert (tmp_path / "failed-back").exists()


def test_one_drill_at_a_time_whatever_the_address_is_called() -> None:
    with claim("http://localhost:8123"):
        with pytest.raises(UsageError, match="another drill is running"), claim("HTTP://127.0.0.1:8123/"):
            pass
        with claim("http://localhost:8124"):
            pass
    with claim("http://127.0.0.1:8123"):
        pass


def test_identity_is_about_what_is_asked_not_where(tmp_path: Path) -> None:
    one = settings_for(8123, tmp_path)
    assert identity(one) == identity(settings_for(9123, tmp_path))
    assert identity(one) != identity(dataclasses.replace(one, users=one.users[1:]))
    assert identity(one).startswith("shop-")


def fault_on(port: int, *, check: bool) -> Custom:
    told = {what: Doing({"command": [*COMMAND, what, str(port)]}) for what in ("lose", "restore", "is-lost")}
    return Custom(inject=told["lose"], heal=told["restore"], check=told["is-lost"] if check else None)


@pytest.mark.parametrize("check", [True, False])
def test_a_fault_of_its_own_takes_effect_and_heals(port: int, tmp_path: Path, check: bool) -> None:
    target, fault = ExternalTarget(settings_for(port, tmp_path), tmp_path), fault_on(port, check=check)
    fault.look_first(target)
    assert not fault.took_effect(target).observed
    fault.inject(target)
    effect = wait_for(lambda: fault.took_effect(target), 5.0)
    assert effect.observed, effect.text
    assert check or "primary" in effect.text or "failed" in effect.text
    assert not fault.healed(target).observed
    fault.heal(target)
    assert wait_for(lambda: fault.healed(target), 5.0).observed
    fault.heal(target)
    assert not fault.took_effect(target).observed


def test_a_reroute_alone_is_an_effect_to_clients(port: int, tmp_path: Path) -> None:
    settings = settings_for(port, tmp_path, regions={})
    target, fault = ExternalTarget(settings, tmp_path), fault_on(port, check=False)
    fault.look_first(target)
    fault.inject(target)
    effect = wait_for(lambda: fault.took_effect(target), 5.0)
    assert effect.observed
    rerouted = wait_for(
        lambda: found if "answered by standby" in (found := fault.took_effect(target)).text else effect, 3.0
    )
    assert rerouted.observed


def test_a_fault_that_is_in_force_already_is_not_injected(port: int, tmp_path: Path) -> None:
    target, fault = ExternalTarget(settings_for(port, tmp_path), tmp_path), fault_on(port, check=True)
    fault.inject(target)
    with pytest.raises(TargetError, match="in force before it was injected"):
        fault.look_first(target)


def looked_at(fault: Custom, target: ExternalTarget, seconds: float) -> Evidence:
    fault.look_first(target)
    fault.inject(target)
    return wait_for(lambda: fault.took_effect(target), seconds)


@pytest.mark.parametrize("rig", ["ActiveActive", "Flaky", "Unmoved"])
def test_what_was_odd_before_is_no_effect(rig: str, tmp_path: Path) -> None:
    with running(rig) as port:
        effect = looked_at(fault_on(port, check=False), ExternalTarget(settings_for(port, tmp_path), tmp_path), 5.0)
    assert not effect.observed, effect.text


def test_looks_leave_nothing_in_the_service_but_one_write_after_healing(port: int, tmp_path: Path) -> None:
    target, fault = ExternalTarget(settings_for(port, tmp_path), tmp_path), fault_on(port, check=False)
    assert looked_at(fault, target, 5.0).observed
    fault.heal(target)
    for _ in range(3):
        assert wait_for(lambda: fault.healed(target), 5.0).observed
    stored = json.loads(urlopen(f"http://127.0.0.1:{port + 1}/events?after=0").read())["ids"]
    assert [number.partition("-")[0] for number in stored] == ["look"]


def test_a_check_that_gives_no_answer_is_not_trusted_from_the_start(port: int, tmp_path: Path) -> None:
    target = ExternalTarget(settings_for(port, tmp_path), tmp_path)
    nothing = Doing({"command": ["true"]})
    fault = Custom(inject=nothing, heal=nothing, check=Doing({"command": ["sh", "-c", "exit 127"]}))
    with pytest.raises(TargetError, match="ended with 127: a check ends with 0 while"):
        fault.look_first(target)


def test_a_check_alone_does_not_confirm_healing(port: int, tmp_path: Path) -> None:
    target, told = ExternalTarget(settings_for(port, tmp_path), tmp_path), fault_on(port, check=False)
    fault = Custom(inject=told.inject, heal=told.heal, check=Doing({"command": ["false"]}))
    assert looked_at(fault, target, 0.0).text == "the drill's own check ended with 1"
    assert "door of primary failed" in fault.healed(target).text
    fault.recall(["a read through the door of primary"])
    assert wait_for(lambda: fault.healed(target), 3.0).observed  # that door had not worked before, either


def test_answers_that_do_not_fit_are_told_at_once_and_by_their_key(port: int, tmp_path: Path) -> None:
    settings = settings_for(port, tmp_path)
    read = dataclasses.replace(settings.service.read, ids="$.itmes")  # type: ignore[type-var]
    service = dataclasses.replace(settings.service, read=read)
    target, begin = ExternalTarget(dataclasses.replace(settings, service=service), tmp_path), time.monotonic()
    with pytest.raises(TargetError, match=r"not as the drill says: .*service\.read\.ids \$\.itmes: .*nothing is there"):
        target.deploy()
    assert time.monotonic() - begin < external.HEALTHY_TIMEOUT_S / 2


def test_a_hook_is_recorded_from_its_beginning(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = ExternalTarget(settings_for(port, tmp_path, hooks={"promote": hook("sleep", "0.3")}), tmp_path)
    target.deploy()
    monkeypatch.setenv("RECDR_TARGET", str(target.reference))
    monkeypatch.setenv("RECDR_RUN", str(tmp_path))
    promote("standby")
    ended, promoted = read_events(tmp_path / "events.jsonl")
    assert (ended.kind, promoted.kind) == ("hook.ended", "store.promoted")
    assert ended.data["t_begin"] == promoted.data["t_begin"] <= ended.t - 0.3e9


def test_a_check_that_cannot_be_run_confirms_nothing(port: int, tmp_path: Path) -> None:
    target = ExternalTarget(settings_for(port, tmp_path), tmp_path)
    nothing = Doing({"command": ["true"]})
    fault = Custom(inject=nothing, heal=nothing, check=Doing({"command": ["./no-such-check"]}))
    assert not fault.took_effect(target).observed
    assert not fault.healed(target).observed
    with pytest.raises(TargetError, match="anything else says neither"):
        fault.look_first(target)


def test_it_has_none_of_the_abilities_that_break_a_lab() -> None:
    assert [kind.__name__ for kind in ABILITIES if issubclass(ExternalTarget, kind)] == []


def drill_with(port: int, folder: Path, module: str, func: str, **arguments: str) -> spec.Drill:
    drill = drill_for(port, "Shop")
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    drill["method"].insert(1, {"type": "action", "name": "another", "provider": provider})
    path = folder / "another.yaml"
    path.write_text(yaml.safe_dump(drill))
    return spec.load(path)


def test_a_fault_that_it_cannot_do_is_refused_with_the_alternative(tmp_path: Path) -> None:
    drill = drill_with(8123, tmp_path, "drills.faults.region_loss", "inject", region="primary")
    with pytest.raises(UsageError, match=r"region_loss needs .* RegionLosable.*drills\.faults\.custom"):
        opening.check(drill, opening.Wanted())


def test_a_hook_that_the_drill_does_not_have_is_refused(tmp_path: Path) -> None:
    drill = drill_with(8123, tmp_path, "drills.faults.hooks", "promote", region="standby")
    with pytest.raises(UsageError, match="no hook 'promote'"):
        opening.check(drill, opening.Wanted())


def test_options_of_a_lab_are_refused(tmp_path: Path) -> None:
    drill = drill_with(8123, tmp_path, "drills.faults.noop", "inject")
    with pytest.raises(UsageError, match="--ephemeral"):
        opening.check(drill, opening.Wanted(ephemeral=True))


def deploying(folder: Path, command: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A drill whose service is deployed by ``command``, run to its end; its run's directory."""
    drill = drill_for(9, "Shop")
    deploy = {"command": ["sh", "-c", command], "timeout_s": 20}
    drill["extensions"][0]["service"].setdefault("hooks", {})["deploy"] = deploy
    path = folder / "drill.yaml"
    path.write_text(yaml.safe_dump(drill))
    environment = {**os.environ, "RECDR_HOME": str(folder / "home"), "NO_COLOR": "1"}
    ran = subprocess.run(
        [RECDR, "drill", "run", str(path)], env=environment, capture_output=True, text=True, check=False
    )
    return next((folder / "home" / "runs").iterdir()), ran


def test_a_run_whose_deployment_fails_has_a_report_that_says_so(tmp_path: Path) -> None:
    run, ran = deploying(tmp_path, "echo no room at the inn; exit 7")
    assert ran.returncode == 3, ran.stderr
    report = (run / "report.html").read_text()
    assert "The run was aborted:" in report
    assert "no room at the inn" in report
    assert "Nothing is on record as deployed." in report
    assert f"report: {run / 'report.html'}" in ran.stderr
    assert not (run / "verdict.json").exists()


def test_a_run_that_is_interrupted_while_it_deploys_has_a_report(tmp_path: Path) -> None:
    run, ran = deploying(tmp_path, "kill -INT $PPID; sleep 15")
    assert ran.returncode == 130, ran.stderr
    assert "The run was interrupted (SIGINT)." in (run / "report.html").read_text()
