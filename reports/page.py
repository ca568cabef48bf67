"""What all pages share: style, scripts under a content security policy, and how their templates are filled.

A page carries its own styles and scripts. Its content security policy runs only the scripts whose hashes it names, and
lets nothing be fetched: whatever a run directory holds, nothing in it can execute or call home.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """A fresh environment for one page's templates, which adds its own filters; all text is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def shell(scripts: dict[str, str], styles: tuple[str, ...] = ("report.css",)) -> dict[str, Any]:
    """What every template needs around its content: ``style``, ``scripts`` by name, and the ``policy`` for them."""
    style = "\n".join(asset(name).strip() for name in styles)
    return {
        "style": Markup(style),  # noqa: S704 - this package's own files
        "scripts": {name: Markup(script) for name, script in scripts.items()},  # noqa: S704 - Bokeh's and this package's
        "policy": policy(list(scripts.values())),
    }


def policy(scripts: list[str]) -> str:
    """The content security policy of a page that runs exactly these scripts and fetches nothing."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    # Bokeh styles its shadow roots with style elements, and draws hatches through data: images.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def asset(name: str) -> str:
    """A file of this package's ``templates``."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def link(run_dir: Path, out: Path) -> str:
    """Where a run's report lies, relative to the page ``out``; empty where it has none."""
    report = run_dir / "report.html"
    return quote(os.path.relpath(report, out.parent)) if report.is_file() else ""
