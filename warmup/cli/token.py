"""The token of the daemon's own doors, as its file keeps it. It goes into a header, and into no message."""

from pathlib import Path

from warmup.cli.faults import Exit, Fault


def token_of(file: Path | None) -> str | None:
    """The token in `file`, None where none is configured; a Fault (78) for what no header can carry."""
    if file is None:
        return None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isascii() or not token.isprintable():
        raise Fault(
            f"http.token_file {file} holds no token", "write one line of visible ASCII into it", code=Exit.BAD_CONFIG
        ) from None
    return token
