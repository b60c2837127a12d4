"""A certificate authority that nobody trusts until told to, and is gone with its folder."""

import ssl
from pathlib import Path

import trustme

from warmup.sandbox.accounts import LOOPBACK


def issue(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The authority's certificate, written to `folder`/ca.pem, and a server context for localhost and 127.0.0.1."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", LOOPBACK).configure_cert(context)
    return ca_file, context
