"""TLS of the public listener: at least version 1.2, and a certificate that can be renewed while the node runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


class CertificateError(Exception):
    """Certificate and key cannot be used; ``str()`` names the files and what is wrong."""


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate with its chain, and its unencrypted private key."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A server's context; raises `CertificateError`. New connections take what `renew` loads into it later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        self.renew(context)
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Load the files into a context in use; raises `CertificateError`, and then it keeps what it had."""
        try:
            # A key that does not fit would leave the context with half of each: try it on one that nobody uses.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password=_no_password)
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise CertificateError(f"{self.certificate} with {self.key}: not a usable certificate ({error}).") from None


def _no_password() -> str:
    """Else OpenSSL would ask the terminal for the key's password, and a node would hang."""
    raise ValueError("the key is encrypted; serve an unencrypted one, readable by the node alone")
