"""``recdr report spans``: a recorded run as a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drills import otlp
from drills.cli.arguments import RunName
from drills.cli.output import put
from drills.cli.terminal import ERR
from drills.errors import UsageError
from drills.home import home
from drills.recording import rundir


def spans(
    name: RunName = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="Send them to this OTLP/HTTP collector: http://HOST:4318"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write them as OTLP JSON; '-' is stdout.", dir_okay=False),
    ] = None,
) -> None:
    """Tell a run as a trace: the run, its trials, and in each the fault in force, the phases and the healing.

    [bold]recdr report spans --endpoint http://localhost:4318[/bold]   the latest run to a collector, Jaeger, Tempo ...

    [bold]OTEL_EXPORTER_OTLP_ENDPOINT=... recdr report spans RUN[/bold]   and OTEL_EXPORTER_OTLP_HEADERS, with a token

    [bold]recdr report spans --out trace.json[/bold]   OTLP JSON, without a collector and without more libraries

    Ids come from the run's id, so sending a run twice makes no second trace. Sending needs pip install 'recdr\\[otlp]'.
    Exits 0 if they were taken, 3 if not, 2 if it is not said where to.
    """
    from reports import reading  # noqa: PLC0415 - reading runs takes long to import
    from reports import spans as rendering  # noqa: PLC0415

    where = otlp.endpoint(endpoint)
    if where is None and out is None:
        raise UsageError(f"where to? Give --endpoint http://HOST:4318 or --out FILE, or set {otlp.VARIABLES[1]}")
    run = rundir.find(home() / "runs", name)
    try:
        trace = rendering.trace(reading.read(run.path))
    except rendering.NoWallTimeError as error:
        raise UsageError(str(error)) from error
    if out is not None:
        put(rendering.to_json(trace), None if str(out) == "-" else out)
    if endpoint is not None or out is None:
        otlp.send(trace, endpoint)
        ERR.print(f"sent {len(trace.spans)} spans as trace {trace.id}", soft_wrap=True)
