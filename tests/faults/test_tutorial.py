"""docs/writing-a-fault.md, done: its fault under the contract, its case, its drill."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from drills import spec
from drills.faults import FAULTS, catalogue
from drills.faults.base import Fault
from drills.targets.local.target import LocalTarget
from drills.targets.opening import check_abilities
from tests.faults import test_contract as contract

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "writing-a-fault.md").read_text()
current = contract.current  # its fixture


def blocks(language: str) -> list[str]:
    """The code blocks of the tutorial in that language, as a reader copies them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
    return ["\n".join(line.removeprefix(indent) for line in code.split("\n")) for indent, code in found]


FAULT, CASE = blocks("python")
(DRILL,) = blocks("yaml")
NAME, GIVEN = ast.literal_eval(CASE)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tutorial's fault, written to a file, importable in other processes, and known."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{NAME}.py").write_text(FAULT)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    module = importlib.import_module(NAME)
    monkeypatch.setitem(FAULTS, NAME, module.Firewall)
    yield module
    del sys.modules[NAME]


@pytest.fixture
def fault(written: ModuleType) -> Fault:
    made: Fault = FAULTS[NAME](**GIVEN)
    return made


def test_it_is_named_as_its_module(written: ModuleType) -> None:
    assert written.Firewall.name == NAME
    assert "`drills/faults/firewall.py`:" in TEXT


def test_the_catalogue_explains_it(written: ModuleType) -> None:
    one = catalogue.entry(NAME)
    assert one.what.startswith("The nodes of a region lose their own store")
    assert one.needs == ("Partitionable",)
    assert one.fidelity is not None
    assert "rejects" in one.fidelity.does_not_certify


def test_its_drill_is_valid_and_can_run_on_a_lab(written: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "firewall.yaml"
    path.write_text(DRILL)
    drill = spec.load(path)
    check_abilities(drill)
    assert [(use.name, use.arguments) for use in drill.faults()] == [(NAME, GIVEN)]


def test_its_blast_radius_names_places_that_there_are(written: ModuleType) -> None:
    contract.test_its_blast_radius_names_places_that_there_are((NAME, GIVEN))


@pytest.mark.lab
@pytest.mark.slow
def test_it_keeps_the_contract(
    lab: LocalTarget, current: None, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract.test_a_fresh_process_heals_what_broke_off_half_way_and_heals_twice(lab, fault, tmp_path, monkeypatch)
    contract.test_the_lab_undoes_it_with_nobody_knowing_which_it_was(lab, fault)


def test_every_demand_of_the_contract_suite_is_in_the_table() -> None:
    demands = [name for name in vars(contract) if name.startswith("test_")]
    assert len(demands) == 4, "say in docs/writing-a-fault.md what the new one demands"
