"""The process that sends one message: the only importer of apprise. Ended from outside when its time is up.

    python -m drills.notify.child < JOB

``JOB`` is ``{"do": "check" | "send", "seconds": S, "address", "title", "body", "kind", "attach"}``. It prints
``{"service", "sent", "why"}``, without a word of the address.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import apprise
from apprise.attachment.file import AttachFile

from drills.notify.hidden import hide

MOST_BYTES = 10 * 1024 * 1024
"""Of a file that goes with a message; most services take no more."""
CONNECT_S = 5.0
_SAID = {
    r"error=\s*(\d{3})": "the service answered {0}",
    r"connection|socket|timed? ?out|unreachable": "the service could not be reached, or did not answer in time",
}


class _Words(logging.Handler):
    """What the library complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    def why(self) -> str:
        """The last complaint, in words for people; empty where there was none."""
        if not self.said:
            return ""
        for pattern, meaning in _SAID.items():
            if found := re.search(pattern, self.said[-1], re.IGNORECASE):
                return meaning.format(*found.groups())
        return self.said[-1][:200]


def main() -> None:
    """Do what is asked on standard input."""
    job, words = json.load(sys.stdin), _Words()
    logging.getLogger("apprise").addHandler(words)
    logging.getLogger("apprise").propagate = False
    try:
        name, sent, why = _done(job, words)
    except Exception as error:  # a library's own mistake, of which a traceback would hold the address
        name, sent, why = "", False, f"the library failed ({type(error).__name__})"
    json.dump({"service": name, "sent": sent, "why": hide(why, [job["address"]])}, sys.stdout)


def _done(job: dict[str, Any], words: _Words) -> tuple[str, bool, str]:
    """The service's name, whether it was told, and what went wrong."""
    service = _service(job["address"])
    if service is None:
        return "", False, "its address is not understood"
    name = str(service.service_name or service.protocol)
    if job["do"] == "check":
        return name, True, ""
    if service.socket_read_timeout == type(service).socket_read_timeout:  # the address says nothing of its own
        service.socket_connect_timeout, service.socket_read_timeout = CONNECT_S, float(job["seconds"])
    file = _attachment(service, job["attach"])
    sent = _deliver(service, job, file)
    why = "" if sent else words.why()
    if not sent and file is not None:  # it may have been the file that was too much
        sent = _deliver(service, job, None)
        why = f"without the report: {why}" if sent else words.why()
    return name, sent, why if why or sent else "the service refused it"


def _service(address: str) -> Any:
    """The service of an address; None for one that the library does not understand."""
    words: dict[str, Any] = {"app_id": "recdr", "app_desc": "recdr", "app_url": ""}
    words |= {"image_url_mask": None, "image_url_logo": None}
    asset = apprise.AppriseAsset(async_mode=False, **words)  # no pictures from elsewhere
    return apprise.Apprise.instantiate(address, asset=asset)


def _deliver(service: Any, job: dict[str, Any], file: Any) -> bool:
    ways = apprise.Apprise()
    ways.add(service)
    words = {"title": job["title"], "body": job["body"], "notify_type": job["kind"]}
    return bool(ways.notify(**words, body_format=apprise.NotifyFormat.TEXT, attach=file))


def _attachment(service: Any, path: str | None) -> Any:
    if path is None or not service.attachment_support or not Path(path).is_file():
        return None
    if Path(path).stat().st_size > MOST_BYTES:
        return None
    return AttachFile(path=path, name=Path(path).name)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
