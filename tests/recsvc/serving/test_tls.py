"""TLS by real handshakes: which versions, and a certificate renewed while the node runs."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from recsvc.tls import Certificate, CertificateError
from tests.recsvc.serving.cluster import Cluster, Node, eventually


@dataclass
class Issued:
    """An authority and the files of what it issued last."""

    authority: trustme.CA
    certificate: Path
    key: Path

    def issue(self) -> bytes:
        """Write another certificate and key; returns the certificate in DER."""
        leaf = self.authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_pem.write_to_path(self.key)
        leaf.cert_chain_pems[0].write_to_path(self.certificate)
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return Issued(trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem")


def handshake(node: Node, context: ssl.SSLContext) -> tuple[str | None, bytes | None]:
    """The version agreed on and the node's certificate."""
    with (
        socket.create_connection(("127.0.0.1", node.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        return tls.version(), tls.getpeercert(binary_form=True)


def test_a_node_speaks_tls_from_1_2_on_and_takes_a_renewed_certificate(cluster: Cluster, issued: Issued) -> None:
    first = issued.issue()
    more = ("--tls-cert", str(issued.certificate), "--tls-key", str(issued.key))
    node = cluster.node("primary/node-1", cluster.store("store"), *more, replication="async", wait=False)
    context = issued.client()
    with httpx.Client(base_url=f"https://{node.address}", verify=context, timeout=5) as client:
        eventually(lambda: client.get("/readyz").status_code == 200, within_s=60)
        assert client.post("/v1/recommend", json={"user": "u1"}).status_code == 200
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            agreed, seen = handshake(node, context)
            assert agreed == version.name.replace("_", ".")
            assert seen == first
        old = issued.client()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            handshake(node, old)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(node, ssl.create_default_context())
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{node.address}/livez")
        issued.key.write_text("half written")
        eventually(lambda: 'recsvc_reload_success{file="certificate"} 0' in client.get("/metrics").text, within_s=5)
        context = issued.client()
        assert handshake(node, context)[1] == first, "what was in force stays"
        second = issued.issue()
        eventually(lambda: handshake(node, context)[1] == second, within_s=5)
        assert client.get("/livez").status_code == 200, "connections from before go on"


def test_files_that_do_not_fit_are_refused(issued: Issued, tmp_path: Path) -> None:
    issued.issue()
    with pytest.raises(CertificateError, match=r"nowhere\.pem"):
        Certificate(tmp_path / "nowhere.pem", issued.key).context()
    other = tmp_path / "other.pem"
    issued.authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(other)
    with pytest.raises(CertificateError, match="not a usable certificate"):
        Certificate(issued.certificate, other).context()


def test_half_a_pair_of_options_is_refused(cluster: Cluster) -> None:
    node = cluster.node("primary/node-1", cluster.store("store"), "--tls-cert", "x.pem", wait=False)
    assert node.popen.wait(timeout=20) == 2
    assert "--tls-cert and --tls-key go together" in node.log.read_text()
