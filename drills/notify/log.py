"""What was sent, written down where no report looks: a run is judged and shown the same, whoever was told of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from drills.notify.sending import Delivery

NAME = "notify.log"


def write(folder: Path, deliveries: Sequence[Delivery]) -> None:
    """Add a line a delivery to ``folder``'s log; a disk that has no room for it keeps nobody from anything."""
    with contextlib.suppress(OSError), (folder / NAME).open("a", encoding="utf-8") as log:
        for one in deliveries:
            said = {
                "t": time.monotonic_ns(),
                "to": one.variable,
                "service": one.service,
                "sent": one.sent,
                "why": one.why,
            }
            log.write(json.dumps(said) + "\n")
