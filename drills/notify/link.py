"""Where a report can be read, from a template that whoever publishes the reports gives."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from drills.errors import UsageError
from drills.spec.rules import nearest

VARIABLE = "RECDR_REPORT_URL"
NAMES = ("run", "drill")


def check(template: str) -> None:
    """Raise UsageError for a template of which no address could be made."""
    for name in re.findall(r"\{([^{}]*)\}", template):
        if name not in NAMES:
            raise UsageError(f"--report-url, {VARIABLE}: {{{name}}} stands for nothing. {nearest(name, NAMES)}")
    try:
        parts = urlsplit(template)
        right = parts.scheme in ("http", "https") and bool(parts.netloc) and " " not in template
    except ValueError:
        right = False
    if not right:
        example = "https://reports.example.com/{run}/report.html"
        raise UsageError(f"--report-url, {VARIABLE}: this is no address; write it as {example}")
    if parts.username or parts.password:
        raise UsageError(f"--report-url, {VARIABLE}: it holds a password, and everybody who is told would read it")


def filled(template: str | None, run: str, drill: str) -> str | None:
    """The address of a report; ``run`` is the id of a run or a suite. None without a template."""
    if template is None:
        return None
    return template.replace("{run}", quote(run, safe="")).replace("{drill}", quote(drill, safe=""))
