"""Which server families a sample shows: whoever wrote the report, and whoever it quotes."""

import re
from typing import Final

# By the provider's name in the rules; families without rules of their own are told apart all the same.
FINGERPRINTS: Final = {
    "apple": r"icloud|\b(?:me|mac|apple)\.com\b",
    "amavis": r"amavisd",
    "barracuda": r"barracuda|spam firewall",
    "biglobe": r"biglobe",
    "comcast": r"comcast",
    "courier": r"courier",
    "cox": r"\bcox\.net",
    "docomo": r"docomo|ntt\.example|unknown user \S+@",
    "dragonfly": r"dragonfly",
    "exim": r"\bexim\b|eximdsn|message was created automatically by mail delivery software",
    "facebook": r"facebook",
    "fml": r"\bfml\b|duplicated message-id",
    "gmail": r"google|gsmtp|gmail",
    "gmx": r"gmx|web\.de|kundenserver|mail\.com lxa",
    "ironport": r"ironport",
    "kddi": r"ezweb|\bau\.com|dion\.ne|: : user unknown|550 : user unknown",
    "messagelabs": r"messagelabs|symantec",
    "messagingserver": r"oracle communications messaging|pmdf|sun java",
    "microsoft": r"outlook|microsoft|exchange server|resolver\.|hotmail|live\.com|office365|queue\.expired",
    "mimecast": r"mimecast",
    "netease": r"\b(?:163|126|netease)\.com",
    "notes": r"domino|lotus|x-notes|notes@|name & address book",
    "opensmtpd": r"opensmtpd|this is the mailer-daemon, please do not reply",
    "orange": r"orange\.fr|wanadoo|laposte|(?:ofr|lpn)\w*_",
    "postfix": r"postfix|this is the mail system at host",
    "powermta": r"powermta|pmta",
    "procmail": r"procmail",
    "proofpoint": r"proofpoint",
    "qmail": r"qmail-send|\(qmail \d",
    "qq": r"\bqq\.com",
    "sendgrid": r"sendgrid",
    "sendmail": r"sendmail|while talking to|transcript of session follows",
    "ses": r"amazonses|amazonaws|awsapps|identities failed the check",
    "softbank": r"softbank|y-mobile",
    "spectrum": r"spectrum|aup#",
    "surfcontrol": r"failed to send to identified host",
    "tonline": r"t-online",
    "trendmicro": r"tmmsg_|interscan",
    "verizon": r"vzwpix|vtext",
    "yahoo": r"yahoo|\baol\.|verizonmedia",
    "yandex": r"yandex",
    "zoho": r"zoho",
}
_COMPILED: Final = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in FINGERPRINTS.items()}


def families_of(text: str) -> frozenset[str]:
    """The families whose fingerprint `text` shows."""
    return frozenset(name for name, pattern in _COMPILED.items() if pattern.search(text))
