"""The catalogue is what the faults say of themselves, and its examples can be pasted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills import spec
from drills.faults import FAULTS, catalogue
from drills.faults.catalogue import Entry
from tests.command import recdr

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRIES = catalogue.entries()


def named(one: Entry) -> str:
    return one.name


def test_the_readme_is_what_the_command_prints() -> None:
    remedy = "run: python -m drills.faults.catalogue > drills/faults/README.md"
    assert (ROOT / "drills" / "faults" / "README.md").read_text() == catalogue.markdown(), remedy


def test_every_fault_is_in_it_once() -> None:
    assert [one.name for one in ENTRIES] == list(FAULTS)


@pytest.mark.parametrize("one", ENTRIES, ids=named)
def test_it_says_what_breaks_what_it_takes_and_what_that_shows(one: Entry) -> None:
    assert one.what.endswith(".")
    assert one.does.endswith(".")
    assert all(argument.takes for argument in one.arguments)
    assert one.fidelity is None or (one.fidelity.certifies and one.fidelity.does_not_certify)
    assert one.fidelity is not None or one.name.startswith("gpu_"), "only an accelerator may be a simulated one"


@pytest.mark.parametrize("one", ENTRIES, ids=named)
def test_its_example_makes_a_valid_drill(one: Entry, tmp_path: Path) -> None:
    external = yaml.safe_load((ROOT / "experiments" / "external" / "external.yaml").read_text())
    settings: dict[str, Any] = {"name": "recdr", "objectives": {"rto_read_s": {"max": 3}}}
    drill = {
        "title": "Pasted",
        "description": "Made from the catalogue.",
        "method": yaml.safe_load(one.yaml),
        "extensions": external["extensions"] if one.name == "custom" else [settings],
    }
    path = tmp_path / "pasted.yaml"
    path.write_text(yaml.safe_dump(drill))
    assert [use.name for use in spec.load(path).faults()] == [one.name]
    assert {step["provider"]["func"] for step in yaml.safe_load(one.yaml)} == {"inject", "heal"}


def test_one_fault_is_explained_with_steps_to_paste(tmp_path: Path) -> None:
    said = recdr(tmp_path, "drill", "faults", "region_loss")
    assert said.returncode == 0
    assert "as after a power cut" in said.stdout
    assert "region: primary or standby (must be given)" in said.stdout
    assert "surviving it shows: how clients" in said.stdout
    assert "external: not here: it is not RegionLosable" in said.stdout
    steps = yaml.safe_load(said.stdout.partition("In a drill's method\n")[2])
    assert steps[0]["provider"]["module"] == "drills.faults.region_loss"


def test_what_this_host_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drills.targets.local.target.LocalTarget.lacks", lambda need: "this host has no power switch")
    assert "not here: this host has no power switch" in recdr(tmp_path, "drill", "faults").stdout
    (one,) = json.loads(recdr(tmp_path, "drill", "faults", "region_loss", "--json").stdout)
    assert one["lacks"]["local"] == "this host has no power switch"
    assert one["fidelity"]["kind"] == "real"
    assert one["arguments"] == [{"name": "region", "takes": "primary or standby", "default": None}]


def test_a_fault_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = recdr(tmp_path, "drill", "faults", "region-loss")
    assert said.returncode == 2
    assert "no fault is called region-loss. Did you mean 'region_loss'?" in said.stderr
