"""Messages sent to real receivers: what arrives, and what is said when it does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from drills.errors import UsageError
from drills.notify import sending
from drills.notify.destinations import Destination, Destinations
from drills.notify.message import Message
from drills.notify.sending import Delivery
from tests.notify.servers import mail_server, webhook
from tests.processes import commands_with

TOKEN = "S3CRET0token"


def destination(*addresses: str) -> Destination:
    return Destination("RECDR_NOTIFY", addresses)


def sent(address: str, words: Message, limit_s: float = 15.0) -> Delivery:
    (delivery,) = sending.send([(destination(address), words)], limit_s)
    return delivery


@pytest.fixture
def words(tmp_path: Path) -> Message:
    report = tmp_path / "report.html"
    report.write_text("<!doctype html><title>the report</title>")
    return Message("FAIL: <b>it</b> & all", "first line\n\n2 < 3 @ noon", "failure", str(report))


def test_a_webhook_gets_the_words_as_they_are_and_the_report(words: Message) -> None:
    with webhook() as hook:
        told = sent(f"json://127.0.0.1:{hook.port}/{TOKEN}", words)
    assert (told.sent, told.line) == (True, "told JSON (RECDR_NOTIFY)")
    ((path, document),) = hook.got
    assert path == f"/{TOKEN}"
    assert (document["title"], document["message"], document["type"]) == (words.title, words.body, "failure")
    assert [file["filename"] for file in document["attachments"]] == ["report.html"]


def test_a_mail_has_the_report_attached(words: Message) -> None:
    with mail_server() as box:
        told = sent(f"mailto://127.0.0.1:{box.port}?from=recdr@example.com&to=oncall@example.com&mode=insecure", words)
    assert told.sent, told
    (mail,) = box.got
    assert str(mail["Subject"]) == words.title
    assert mail["To"] == "oncall@example.com"
    files = {part.get_filename(): part.get_payload(decode=True) for part in mail.walk() if part.get_filename()}
    assert files == {"report.html": b"<!doctype html><title>the report</title>"}


def test_a_report_that_is_too_much_is_left_out(words: Message) -> None:
    Path(words.attach or "").write_bytes(b"x" * 20_000)
    with webhook(most_bytes=10_000) as hook:
        told = sent(f"json://127.0.0.1:{hook.port}", words)
    assert told.sent
    assert told.why == "without the report: the service answered 413"
    assert [len(document["attachments"]) for document in hook.documents] == [1, 0]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"status": 500}, "the service answered 500"),
        ({"status": 404}, "the service answered 404"),
        ({"behaviour": "drop"}, "the service could not be reached, or did not answer in time"),
    ],
)
def test_a_service_that_refuses_is_said_without_the_secret(how: dict[str, object], why: str, words: Message) -> None:
    with webhook(**how) as hook:
        told = sent(f"json://user:{TOKEN}@127.0.0.1:{hook.port}/{TOKEN}?to={TOKEN}", words)
    assert (told.sent, told.why) == (False, why)
    assert TOKEN.lower() not in told.line.lower()


def test_what_hangs_is_ended_and_keeps_the_others_from_nothing(words: Message) -> None:
    with webhook(behaviour="hang") as hung, webhook() as well:
        addresses = f"json://127.0.0.1:{hung.port}/{TOKEN}", f"json://127.0.0.1:{well.port}"
        begin = time.monotonic()
        first, second = sending.send([(destination(*addresses), words)], limit_s=6)
        took_s = time.monotonic() - begin
        assert len(well.got) == 1
        left = commands_with("drills.notify.child")
    assert (first.sent, first.why) == (False, "no answer within 6 s")
    assert second.sent
    assert took_s < 12, "the limit, and not the time that the service takes"
    assert left == []


def test_nobody_listens_there(words: Message) -> None:
    told = sent(f"json://127.0.0.1:9/{TOKEN}", words)
    assert (told.sent, told.why) == (False, "the service could not be reached, or did not answer in time")


def test_an_address_that_no_service_is_known_for_is_refused_beforehand() -> None:
    wrong = Destinations((destination("json://127.0.0.1:1"), Destination("RECDR_NOTIFY_X", (f"nosuch://{TOKEN}",))))
    with pytest.raises(UsageError, match=r"^RECDR_NOTIFY_X: its address is not understood") as refused:
        sending.check(wrong)
    assert TOKEN not in str(refused.value)
    sending.check(Destinations((destination("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"),)))


def test_a_chat_gets_text_in_its_own_form(words: Message) -> None:
    with webhook() as hook:
        told = sent(f"mmost://127.0.0.1:{hook.port}/3ccdd113474722377935511fc85d3dd4", words)
    assert (told.sent, told.service) == (True, "Mattermost")
    (document,) = hook.documents
    assert words.title in document["text"]
    assert words.body in document["text"]
