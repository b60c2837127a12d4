"""The lab's certificates: one to believe and three not to."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain and its key, as files."""

    chain: Path
    key: Path


def write_certificates(folder: Path) -> None:
    """Write `ca.pem` and, each as NAME.pem and NAME.key: good, expired, wrong_name (of our CA) and self_signed."""
    ours, stranger = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    # A CA nobody was told of is what a self-signed certificate looks like from here: no path to a trusted root.
    long_ago = datetime.now(UTC) - timedelta(days=1)
    _write(folder, "good", ours.issue_cert("localhost", "127.0.0.1"))
    _write(folder, "expired", ours.issue_cert("localhost", "127.0.0.1", not_after=long_ago))
    _write(folder, "wrong_name", ours.issue_cert("elsewhere.test"))
    _write(folder, "self_signed", stranger.issue_cert("localhost", "127.0.0.1"))


def certificate(folder: Path, name: str) -> Certificate:
    """The files of the certificate called `name`."""
    return Certificate(chain=folder / f"{name}.pem", key=folder / f"{name}.key")


def _write(folder: Path, name: str, issued: trustme.LeafCert) -> None:
    files = certificate(folder, name)
    files.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files.key.touch(mode=0o600)
    files.key.write_bytes(issued.private_key_pem.bytes())
