"""`make crossval`: the figures with all rules, without those of the sample's server family, and strictly without."""

import sys
from collections import Counter

from tests.crossval.figures import Figures, figures, strictly_without, with_all, without_family
from tests.crossval.samples import CORPUS, replies, reports


def main() -> int:
    """Print the figures; `-v` prints what was read wrongly too."""
    if not CORPUS.is_dir():
        print(f"error: the labelled samples are not there; lay them at {CORPUS}")
        return 1
    mail, said = reports(), replies()
    families = Counter(family for sample in (*mail, *said) for family in sample.families)
    ways = (
        ("all rules", with_all, with_all),
        ("family left out", without_family, without_family),
        ("strictly left out", strictly_without(mail), strictly_without(said)),
    )
    print(f"{len(mail)} reports and {len(said)} replies of {len(families)} server families\n")
    heads = ("detected", "cause", "hard recall", "precision", "replies: cause", "hard recall")
    print(" " * 20 + "".join(f"{head:>16}" for head in heads))
    for name, for_mail, for_said in ways:
        about_mail, about_said = figures(mail, for_mail), figures(said, for_said)
        print(_row(name, about_mail, about_said))
        if "-v" in sys.argv:
            print(*about_mail.mistaken, *about_mail.wrong, *about_said.wrong, sep="\n  ")
    print(
        "\nLeft out: for each sample the rules and dialects marked with a family it shows. Strictly: also every pattern"
        "\nthat in these samples only its families need, whatever it was written from: harsher than a new server is."
    )
    return 0


def _row(name: str, mail: Figures, said: Figures) -> str:
    shares = (mail.detection, mail.cause, mail.hard_recall, mail.hard_precision, said.cause, said.hard_recall)
    return f"{name:<20}" + "".join(f"{share:>16.1%}" for share in shares)


if __name__ == "__main__":
    sys.exit(main())
