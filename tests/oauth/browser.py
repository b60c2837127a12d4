"""A browser as far as a sign-in needs one: it opens an address, and follows where it is sent."""

import ssl
import urllib.error
import urllib.request
from typing import Any

from tests.oauth.world import World


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def sent_to(world: World, url: str) -> str:
    """Where the authority sends the browser that opens `url`; not followed."""
    trust = ssl.create_default_context(cafile=str(world.ca_file))
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=trust))
    try:
        opener.open(url, timeout=20)
    except urllib.error.HTTPError as answer:
        if answer.code == 302:
            return str(answer.headers["Location"])
        raise AssertionError(answer.read()) from answer
    raise AssertionError("it sends nobody anywhere")


def visit(url: str) -> tuple[int, str]:
    """Open an address of ours on loopback; the status and the page."""
    try:
        with urllib.request.urlopen(url, timeout=20) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()
