"""Fault and rollout endpoints are out of every client's reach: by no path of the public port, by no other user."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from recsvc.accelerator import AcceleratorState
from tests.recsvc.serving.cluster import Cluster, Node
from tests.recsvc.serving.raw import post, send

ROUTES = ("/accelerator/fail", "/accelerator/slow", "/accelerator/restore", "/model/load", "/state")
BODIES = {
    "/accelerator/fail": b'{"layer": "simulated"}',
    "/accelerator/slow": b'{"delay_ms": 100}',
    "/model/load": b'{"path": "/tmp"}',
}


def tricks(route: str) -> list[str]:
    """Ways in which servers and proxies have been talked into serving another path than the one that was checked."""
    return [
        *(route, f"/{route}", f"{route}/", f"{route}//", f"{route};x=y", f"{route}?x", f"{route}%00", f"{route}.json"),
        *(f"/v1/..{route}", f"/v1/../..{route}", f"/livez/..{route}", f"/v1/%2e%2e{route}", f"/v1/..%2f{route[1:]}"),
        *(f"/livez%2f..%2f{route[1:]}", f"/livez;{route}", f"/livez%3f{route}", f"/.{route}", f"/%2e{route}"),
        *(
            f"/admin{route}",
            f"/public/../admin{route}",
            route.upper(),
            route.replace("/", "%2f"),
            f"/{quote(route, safe='')}",
        ),
        *(
            "/" + "".join(f"%{ord(letter):02x}" for letter in route[1:]),
            route.replace("/", "\\"),
            f"{route}#x",
            f"{route}%20",
        ),
        *(f"http://admin{route}", f"unix:/tmp/admin.sock:{route}"),
    ]


@pytest.mark.parametrize("route", ROUTES)
def test_no_path_leads_there_from_the_public_port(node: Node, route: str) -> None:
    before = node.state()
    hosts = ("Host: admin", "Host: node\r\nX-Forwarded-Host: admin\r\nX-Original-URL: " + route)
    for path in tricks(route):
        for host in hosts:
            request = post(path, BODIES.get(route, b"{}"), "Content-Type: application/json", "Connection: close")
            answer = send(node.port, request.replace(b"Host: node", host.encode()), wait_s=2)
            assert set(answer.statuses) <= {400, 404}, (path, answer.data)
            assert answer.statuses or answer.closed
    assert node.state() | {"store_offset": 0} == before | {"store_offset": 0}
    assert before["accelerator_state"] == AcceleratorState.OK.value
    assert node.http.get(route).status_code == 404


def test_the_admin_socket_serves_no_public_route_either(node: Node) -> None:
    assert node.admin.post("/v1/events", json={"id": "x", "user": "u1", "item": "i9"}).status_code == 404


def test_the_socket_is_its_owners_alone(node: Node) -> None:
    mode = node.admin_path.stat()
    assert stat.S_ISSOCK(mode.st_mode)
    assert (stat.S_IMODE(mode.st_mode), mode.st_uid) == (0o600, os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_connect(bundle: Path) -> None:
    """In a folder that everybody may enter: only the socket's own mode stands between."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="recsvc-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder), bundle)
        try:
            node = cluster.node("primary/node-1", cluster.store("store"))
            script = (
                "import os, socket, sys\n"
                "os.setgroups([]); os.setgid(65534); os.setuid(int(sys.argv[2]))\n"
                "socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
            )
            command = [sys.executable, "-c", script, str(node.admin_path)]
            stranger = subprocess.run([*command, "65534"], capture_output=True, text=True, check=False)
            assert stranger.returncode != 0
            assert "PermissionError" in stranger.stderr
            assert subprocess.run([*command, "0"], check=False).returncode == 0, "its owner can, from the same place"
        finally:
            cluster.close()
