"""What fuzzing begins with: our own samples, and a few lines of each kind."""

from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "corpus"
_IMAP = (
    b"* OK [CAPABILITY IMAP4rev1] ready {5}\r\n* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\nA1 OK done\r\n",
    b'* LIST (\\HasNoChildren \\Junk) "/" "Junk"\r\n* SEARCH 1 2 3\r\nA2 NO [AUTHENTICATIONFAILED] no\r\n',
)
_AUTH_RESULTS = (
    b"mx.example.org; spf=pass (a (nested) remark) smtp.mailfrom=a@b.example; "
    b'dkim=fail reason="x; y" header.d=b.example',
    b"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=b.example; example.org; dkim=none header.d=none;dmarc=none",
    b"mta1.example.org  from=b.example; domainkeys=neutral (no sig);  from=b.example; dkim=pass (ok)",
)
_LINES = (
    b'{"id": 1, "reply": "550 5.1.1 no such user"}\n{"id": "a", "auth_results": "x; spf=pass"}\nnonsense\n',
    b'{"id": null, "message_base64": "RnJvbTogYUBiCgp4"}\n',
)


def seeds_of(target: str) -> list[bytes]:
    """The seeds for the target of that name."""
    match target:
        case "reply":
            return [line.split("\t")[-1].encode() for line in (SAMPLES / "replies.tsv").read_text("utf-8").splitlines()]
        case "report" | "header":
            return [file.read_bytes() for file in sorted((SAMPLES / "reports").iterdir())]
        case "auth-results":
            return list(_AUTH_RESULTS)
        case "imap":
            return list(_IMAP)
        case _:
            return list(_LINES)
