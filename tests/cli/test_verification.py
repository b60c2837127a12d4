"""What a mailbox's folders mean for the work."""

import pytest

from warmup.cli.verification import Folders
from warmup.policy.mailbox import Role


@pytest.mark.parametrize(
    ("junk", "sent", "role", "said"),
    [
        ("Junk", "Sent", Role.BOTH, []),
        (None, "Sent", Role.SEED, ["no junk folder"]),
        ("Junk", None, Role.SENDER, ["no Sent folder"]),
        ("Junk", None, Role.SEED, []),
        (None, None, Role.BOTH, ["no junk folder", "no Sent folder"]),
    ],
)
def test_what_is_missing_is_said_to_whom_it_matters(
    junk: str | None, sent: str | None, role: Role, said: list[str]
) -> None:
    cautions = Folders(junk=junk, sent=sent, trash="Trash").cautions(role)
    assert [words for caution in cautions for words in said if words in caution] == said
    assert len(cautions) == len(said)
