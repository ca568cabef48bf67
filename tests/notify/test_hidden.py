"""Whatever form a secret has in a text, it is hidden."""

from __future__ import annotations

import pytest

from drills.notify.hidden import hide

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
MAIL = "mailtos://user:p%40ss%2Fw0rd@mail.example.com:587?to=a@b.example"


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("no route to slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "TIiajkdnlazkcOXrIdevi7FQ"),
        ("POST https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/tiiajkdnlazkcoxridevi7fq: 404", "idevi7fq"),
        ("login of 'user' with 'p@ss/w0rd' was refused", "w0rd"),
        ("login with p%40ss%2Fw0rd was refused", "w0rd"),
    ],
)
def test_secrets_go(said: str, secret: str) -> None:
    hidden = hide(said, [SLACK, MAIL])
    assert secret.lower() not in hidden.lower()
    assert "***" in hidden


def test_what_is_no_secret_stays() -> None:
    assert hide("the service answered 500", [SLACK, MAIL]) == "the service answered 500"
