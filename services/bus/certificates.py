"""When certificates end that connections rest on: those that servers show, and those that servers are checked by."""

import ssl
from pathlib import Path

from prometheus_client import Gauge

_ENDS = Gauge(
    "veil_tls_certificate_expiry_timestamp_seconds",
    "When a certificate that connections rest on ends, in seconds since 1970, as last seen.",
    ["certificate"],
)


def saw_peer(name: str, connection: ssl.SSLSocket) -> None:
    """Notes the certificate that a server has just shown, under `name`; nothing where none was asked for."""
    shown = connection.getpeercert()
    if shown:
        _ENDS.labels(name).set(ssl.cert_time_to_seconds(str(shown["notAfter"])))


def read_authorities(name: str, ca_file: Path) -> None:
    """Notes the first of the authorities in a PEM file to end, under `name`. Raises OSError, ssl.SSLError."""
    ends = [
        ssl.cert_time_to_seconds(str(authority["notAfter"]))
        for authority in ssl.create_default_context(cafile=str(ca_file)).get_ca_certs()
    ]
    if ends:
        _ENDS.labels(name).set(min(ends))
