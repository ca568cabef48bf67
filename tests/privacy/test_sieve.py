"""What a process says on its way into a log: no boundary of reading lets a secret through, and a flood costs little."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drills.privacy import known, sieve
from drills.privacy.sieve import Sieve

TOKEN = "kv9Zq3-planted-value-77"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    known.learn([TOKEN])
    return tmp_path / "hooks.log"


def said(log: Path, content: bytes) -> str:
    one = Sieve(log)
    try:
        written = 0
        while written < len(content):
            written += os.write(one.fileno(), content[written:])
        returned = one.drain(whole=True)
    finally:
        one.close()
    assert log.read_text() == returned
    return returned


@pytest.mark.parametrize("before", [1, 10, len(TOKEN) - 1])
def test_a_secret_on_the_boundary_of_two_readings_is_found(log: Path, before: int) -> None:
    line = b"y" * 99 + b"\n"
    lines, rest = divmod(sieve._READ - before, len(line))
    text = said(log, line * lines + b"z" * rest + TOKEN.encode() + b"\nend\n")
    assert TOKEN not in text
    assert TOKEN[:-3] not in text
    assert text.endswith("end\n")
    assert text.count("\n") == lines + 2


def test_a_line_too_long_to_look_into_is_left_out_and_said_to_be(log: Path) -> None:
    text = said(log, b"first\n" + b"token" * 12_000 + b" x=\n" + TOKEN.encode() + b"\nlast\n")
    assert text == "first\n--- a line of 60004 characters is left out\n***\nlast\n"


def test_of_a_flood_the_beginning_is_kept(log: Path) -> None:
    line = b"ERROR connection refused, retry\n"
    text = said(log, line * (5 * sieve._MOST // len(line)))
    assert len(text) < 2 * sieve._MOST
    assert text.count("left out") == 1
    assert text.startswith("ERROR connection refused, retry\n")
