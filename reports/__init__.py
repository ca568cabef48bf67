"""A run directory turned into what people and CI read: ``report.html``, ``junit.xml`` and ``summary.md``.

Everything here is a pure function of the run directory: no clock, no network, nothing deployed. The same
directory gives the same bytes, on any machine, months later. The same for the folder of a suite of runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reports import suites

if TYPE_CHECKING:  # they bring all measures with them, which a report has no use for
    from drills.compare import Comparison
    from drills.history import Row


def build(run_dir: Path) -> dict[str, Path]:
    """Write the three reports into ``run_dir`` and return their paths by file name.

    Whatever of the run is missing or unreadable is named in the reports; only an unwritable directory raises
    (``OSError``). Each file is replaced whole or not at all.
    """
    # Drawing takes most of a second to import: only who builds a report waits for it.
    from reports import html, junit, markdown, reading  # noqa: PLC0415

    read = reading.read(run_dir)
    texts = {
        "report.html": html.render(read),
        "junit.xml": junit.render(read),
        "summary.md": markdown.render(read),
    }
    return {name: _write(run_dir / name, text) for name, text in texts.items()}


def build_suite(folder: Path) -> dict[str, Path]:
    """Write ``summary.md`` and ``junit.xml`` of a suite into its folder and return their paths by file name.

    Raises ``OSError`` or ValueError where there is no ``suite.json`` that can be read.
    """
    suite = suites.read(folder)
    texts = {"summary.md": suites.render_summary(suite), "junit.xml": suites.render_junit(suite, folder)}
    return {name: _write(folder / name, text) for name, text in texts.items()}


def build_index(rows: Iterable[tuple[Path, Row]], out: Path, title: str = "All runs") -> Path:
    """Write the page over all runs to ``out`` and return it; ``rows`` are run directories with what history says.

    Raises ``OSError`` where ``out`` cannot be written.
    """
    from reports import index  # noqa: PLC0415 - only who wants the page waits for its templates

    return _write(out, index.render(rows, out, title))


def build_comparison(a: Path, b: Path, result: Comparison, warnings: Iterable[str], out: Path) -> Path:
    """Write the page that shows the runs in ``a`` and ``b`` side by side to ``out`` and return it.

    ``result`` is what comparing their verdicts gave, ``warnings`` what makes it mean less. Raises ``OSError`` where
    ``out`` cannot be written.
    """
    from reports import comparing, page, reading  # noqa: PLC0415 - as above

    links = (page.link(a, out), page.link(b, out))
    return _write(out, comparing.render(reading.read(a), reading.read(b), result, warnings, links))


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path
