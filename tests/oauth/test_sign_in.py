"""`mailbox add --oauth` and `oauth login` from outside: a browser, a paste or a device; and no token anywhere."""

import base64
import json
import re
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest

from tests.cli.conftest import COMMAND, Desk, Ended
from tests.oauth.browser import sent_to, visit
from tests.oauth.conftest import CLIENT
from tests.oauth.world import World
from tests.scenarios.house import until


class Verb:
    """A verb that is running, and what it said on stderr so far."""

    def __init__(self, desk: Desk, *arguments: str, **environ: str) -> None:
        self.said: list[str] = []
        self._news = threading.Condition()
        self._over = False
        self._process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=desk.folder,
            env=desk.surroundings(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, pattern: str) -> str:
        """The first line of stderr that matches, waited for."""

        def found() -> str | None:
            return next((line for line in self.said if re.search(pattern, line)), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None or self._over, 60)
        line = found()
        assert line is not None, self.said
        return line

    def paste(self, text: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def end(self) -> Ended:
        """Wait for its end."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        out = self._process.stdout.read()
        self._process.wait(60)
        self._process.stdin.close()
        self._reader.join(60)
        return Ended(code=self._process.returncode, out=out, err="".join(self.said))

    def kill(self) -> None:
        """Let nothing outlive the test."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self.said.append(line)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


@contextmanager
def running(desk: Desk, *arguments: str, **environ: str) -> Iterator[Verb]:
    """A verb, killed at the end if it still runs."""
    verb = Verb(desk, *arguments, **environ)
    try:
        yield verb
    finally:
        verb.kill()


def add(world: World, authority: str, *options: str) -> list[str]:
    smtp, imap = f"127.0.0.1:{world.smtp_port}", f"127.0.0.1:{world.imap_port}"
    servers = ["--smtp", smtp, "--smtp-security", "tls", "--imap", imap]
    return ["mailbox", "add", world.user, *servers, "--oauth", authority, *options]


def by_browser(desk: Desk, world: World, *arguments: str) -> Ended:
    """Run a verb whose person signs in with a browser."""
    with running(desk, *arguments) as verb:
        back = sent_to(world, verb.line("^https://").strip())
        visit(back)
        return verb.end()


def by_device(desk: Desk, world: World, *arguments: str, says: bool = True) -> Ended:
    """Run a verb whose person types a code."""
    with running(desk, *arguments) as verb:
        line = verb.line("^open https://login.mail.test/device")
        code = next(code for code in world.authority.devices.values() if f" {code.user_code}," in line)
        code.user, code.verdict = world.user, says
        return verb.end()


def kept(desk: Desk) -> dict[str, tuple[str, bytes]]:
    """What the ledger keeps, by protocol."""
    with closing(sqlite3.connect(desk.folder / "warmup.db")) as ledger:
        return {row[0]: row[1:] for row in ledger.execute("SELECT protocol, host, sealed FROM credentials")}


def refused(ended: Ended, code: int, *words: str) -> None:
    """One line with what happened and the fix."""
    assert ended.code == code, ended
    assert len(ended.errors) == 1, ended
    assert all(word in ended.errors[0] for word in words), ended.errors
    assert "Traceback" not in ended.err
    assert ended.out == ""


def assert_no_secret(world: World, text: str) -> None:
    """None of them raw, quoted, in base64 or URL-encoded."""
    assert len(world.authority.secrets) > 2
    for secret in world.authority.secrets:
        bearer = f"user={world.user}\1auth=Bearer {secret}\1\1"
        forms = {secret, quote_plus(secret), repr(secret), json.dumps(secret)}
        forms |= {base64.b64encode(form.encode()).decode().rstrip("=") for form in (secret, bearer)}
        assert not [form for form in forms if form in text]


def test_google_enrols_through_a_browser_on_this_machine(desk: Desk, world: World) -> None:
    with running(desk, *add(world, "google")) as verb:
        url = verb.line("^https://").strip()
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert (asked["access_type"], asked["login_hint"]) == ("offline", world.user)
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
        assert min(len(asked["state"]), len(asked["code_challenge"])) >= 43
        status, page = visit(sent_to(world, url))
        ended = verb.end()
    assert (status, "Signed in" in page) == (200, True)
    assert ended.code == 0, ended
    told = desk.warmup("mailbox", "show", world.user, "--json").document
    assert (told["state"], told["sign_in"]) == ("active", "google")
    assert set(kept(desk)) == {"oauth-google"}


def test_microsoft_enrols_through_any_browser(desk: Desk, world: World) -> None:
    ended = by_device(desk, world, *add(world, "microsoft"))
    assert ended.code == 0, ended
    assert desk.warmup("mailbox", "show", world.user, "--json").document["sign_in"] == "microsoft"


def test_without_a_browser_here_the_redirect_is_pasted(desk: Desk, world: World) -> None:
    with running(desk, *add(world, "google")) as verb:
        back = sent_to(world, verb.line("^https://").strip())
        verb.line("no browser here")
        verb.paste("what do you mean?")
        verb.line("^warning: that is not where it ends")
        verb.paste(re.sub("state=[^&]*", "state=another", back))
        verb.line("^warning: that is the end of another sign-in")
        verb.paste(back)
        ended = verb.end()
    assert ended.code == 0, ended
    assert desk.addresses() == [world.user]


def test_a_redirect_with_another_state_is_ignored_and_said(desk: Desk, world: World) -> None:
    with running(desk, *add(world, "google")) as verb:
        back = sent_to(world, verb.line("^https://").strip())
        for forged in (re.sub("state=[^&]*", "state=forged", back), re.sub("&?state=[^&]*", "", back)):
            status, page = visit(forged)
            assert (status, "not the sign-in" in page) == (400, True)
        assert visit(re.sub(r"\?.*", "favicon.ico", back))[0] == 404
        assert world.authority.asked == []
        visit(back)
        ended = verb.end()
    assert ended.code == 0
    assert "another sign-in came to this port" in ended.err


def test_a_code_that_somebody_else_asked_for_is_worth_nothing(desk: Desk, world: World) -> None:
    with running(desk, *add(world, "google")) as verb:
        url = verb.line("^https://").strip()
        theirs = re.sub("code_challenge=[^&]*", f"code_challenge={'x' * 43}", url)
        visit(sent_to(world, theirs))
        ended = verb.end()
    refused(ended, 77, "invalid_grant", "warmup oauth login")
    assert desk.addresses() == []


@pytest.mark.parametrize("authority", ["google", "microsoft"])
def test_who_says_no_is_not_enrolled(desk: Desk, world: World, authority: str) -> None:
    world.authority.says_yes = False
    if authority == "google":
        ended = by_browser(desk, world, *add(world, authority))
    else:
        ended = by_device(desk, world, *add(world, authority), says=False)
    refused(ended, 77, "access_denied", "say yes next time")
    assert desk.addresses() == []


def test_a_sign_in_without_the_mail_is_no_sign_in(desk: Desk, world: World) -> None:
    world.authority.grants_scope = "openid"
    refused(by_browser(desk, world, *add(world, "google")), 77, "without https://mail.test/", "tick every access")
    assert desk.addresses() == []


def test_a_client_nobody_knows_is_the_operators_to_mend(desk: Desk, world: World) -> None:
    ended = desk.warmup(*add(world, "microsoft"), WARMUP__OAUTH__MICROSOFT__CLIENT_ID="nobody")
    refused(ended, 77, "invalid_client", "oauth.microsoft.client_id")


def test_a_secret_that_is_wrong_is_the_operators_to_mend(desk: Desk, world: World) -> None:
    (desk.folder / "client.secret").write_text("wrong\n")
    refused(by_browser(desk, world, *add(world, "google")), 77, "invalid_client", "client_secret_file")


def test_a_scope_the_authority_does_not_know_is_told_as_one(desk: Desk, world: World) -> None:
    ended = desk.warmup(*add(world, "microsoft"), WARMUP__OAUTH__MICROSOFT__SCOPES="https://other.test/")
    refused(ended, 77, "invalid_scope", "oauth.microsoft.scopes")


def test_without_a_client_id_it_says_where_to_get_one(desk: Desk, world: World) -> None:
    for authority, console in (("google", "console.cloud.google.com"), ("microsoft", "entra.microsoft.com")):
        key = f"WARMUP__OAUTH__{authority.upper()}__CLIENT_ID"
        refused(desk.warmup(*add(world, authority), **{key: ""}), 78, f"oauth.{authority}.client_id", console)
    assert desk.addresses() == []


@pytest.mark.parametrize("authority", ["google", "microsoft"])
def test_nobody_waits_longer_than_was_said(desk: Desk, world: World, authority: str) -> None:
    refused(desk.warmup(*add(world, authority, "--timeout", "1.5")), 77, "within 1.5 s", "--timeout")
    assert desk.addresses() == []


def test_an_account_that_is_not_the_one_that_signed_in_is_77_with_the_fix(desk: Desk, world: World) -> None:
    ended = by_browser(desk, world, *add(world, "google", "--username", "bob@mail.test"))
    refused(ended, 77, "SMTP", "sign in again as bob@mail.test itself")
    assert "app password" not in ended.err
    assert desk.addresses() == []


def test_ways_to_sign_in_that_do_not_go_together_are_refused_before_anybody_signs_in(desk: Desk, world: World) -> None:
    both = desk.warmup(*add(world, "google", "--password-stdin"), stdin="hunter2")
    assert both.code == 2
    wrong = desk.warmup(*add(world, "google", "--provider", "outlook"))
    refused(wrong, 65, "Outlook.com", "--oauth microsoft")
    none = desk.warmup(*add(world, "google", "--provider", "icloud"))
    refused(none, 65, "iCloud Mail", "sign_in")
    password = desk.warmup(*add(world, "google")[:-2], "--provider", "outlook", "--password-stdin", stdin="hunter2")
    refused(password, 65, "only OAuth 2.0", "--oauth microsoft")


def test_outlook_com_can_be_enrolled(desk: Desk, world: World) -> None:
    ended = by_device(desk, world, *add(world, "microsoft", "--provider", "outlook"))
    assert ended.code == 0, ended
    assert desk.warmup("mailbox", "show", world.user, "--json").document["provider"] == "outlook"


def test_a_lost_grant_is_77_until_its_person_signs_in_again(desk: Desk, world: World) -> None:
    assert by_browser(desk, world, *add(world, "google")).code == 0
    world.authority.revoke()
    refused(desk.warmup("mailbox", "check", world.user), 77, "invalid_grant", f"warmup oauth login {world.user}")
    ended = by_browser(desk, world, "oauth", "login", world.user)
    assert ended.code == 0, ended
    assert desk.warmup("mailbox", "check", world.user).code == 0


def test_what_is_rotated_is_kept_for_the_next_time(desk: Desk, world: World) -> None:
    world.authority.rotates = True
    assert by_browser(desk, world, *add(world, "google")).code == 0
    for _ in range(3):
        before = kept(desk)
        assert desk.warmup("mailbox", "check", world.user).code == 0
        assert kept(desk) != before


def test_a_password_and_a_grant_take_each_others_place(desk: Desk, world: World) -> None:
    assert desk.warmup(*add(world, "google")[:-2], "--password-stdin", "--no-verify", stdin="hunter2").code == 0
    assert set(kept(desk)) == {"smtp", "imap"}
    unsaid = desk.warmup("oauth", "login", world.user)
    assert (unsaid.code, "--oauth" in unsaid.err) == (2, True)
    assert by_browser(desk, world, "oauth", "login", world.user, "--oauth", "google").code == 0
    assert set(kept(desk)) == {"oauth-google"}
    assert by_device(desk, world, "oauth", "login", world.user, "--oauth", "microsoft").code == 0
    assert set(kept(desk)) == {"oauth-microsoft"}
    assert desk.warmup("mailbox", "set", world.user, "--password-stdin", "--no-verify", stdin="hunter2").code == 0
    assert set(kept(desk)) == {"smtp", "imap"}


def test_a_sign_in_that_fails_leaves_what_was_kept(desk: Desk, world: World) -> None:
    assert by_browser(desk, world, *add(world, "google")).code == 0
    before = kept(desk)
    world.authority.says_yes = False
    assert by_browser(desk, world, "oauth", "login", world.user).code == 77
    assert kept(desk) == before


@pytest.mark.parametrize("column", ["smtp_host", "imap_host"])
def test_a_host_edited_in_the_ledger_gets_no_token(desk: Desk, world: World, column: str) -> None:
    assert by_browser(desk, world, *add(world, "google")).code == 0
    with closing(sqlite3.connect(desk.folder / "warmup.db")) as ledger:
        ledger.execute(f"UPDATE mailboxes SET {column} = 'localhost'")
        ledger.commit()
    renewals = world.authority.renewals
    ended = desk.warmup("mailbox", "check", world.user)
    refused(ended, 78, "sealed for another use", f"warmup oauth login {world.user}")
    assert world.authority.renewals == renewals


def test_a_token_endpoint_edited_in_the_configuration_gets_no_token(desk: Desk, world: World) -> None:
    assert by_browser(desk, world, *add(world, "google")).code == 0
    elsewhere = world.url("/token").replace("127.0.0.1", "localhost")
    ended = desk.warmup("mailbox", "check", world.user, WARMUP__OAUTH__GOOGLE__TOKEN_ENDPOINT=elsewhere)
    refused(ended, 78, "sealed for another use")
    assert world.authority.renewals == 0


def test_a_new_host_asks_its_person_to_sign_in_again(desk: Desk, world: World) -> None:
    assert by_browser(desk, world, *add(world, "google")).code == 0
    arguments = ["mailbox", "set", world.user, "--smtp", f"localhost:{world.smtp_port}", "--smtp-security", "tls"]
    ended = by_browser(desk, world, *arguments)
    assert ended.code == 0, ended
    assert "sign in again" in ended.err
    assert desk.warmup("mailbox", "check", world.user).code == 0


def test_an_authority_whose_certificate_nobody_vouches_for_is_69(desk: Desk, world: World) -> None:
    ended = desk.warmup(*add(world, "microsoft"), WARMUP__NETWORK__CA_FILE="")
    refused(ended, 69, "certificate", "network.ca_file")


def test_plain_http_off_loopback_is_no_configuration(desk: Desk) -> None:
    ended = desk.warmup("config", "check", WARMUP__OAUTH__GOOGLE__TOKEN_ENDPOINT="http://login.mail.test/token")
    refused(ended, 78, "http is for loopback alone")


def test_ctrl_c_while_waiting_saves_nothing(desk: Desk, world: World) -> None:
    with running(desk, *add(world, "google")) as verb:
        verb.line("no browser here")
        verb._process.send_signal(2)
        ended = verb.end()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert desk.addresses() == []


def test_no_secret_shows_anywhere(desk: Desk, world: World) -> None:
    """Signing in, renewing, failing and showing, with --log-level debug; the authority echoes what it was told."""
    world.authority.rotates = True
    texts: list[str] = []

    def keep(ended: Ended) -> Ended:
        texts.append(ended.out + ended.err)
        return ended

    debug: Callable[..., list[str]] = lambda *words: ["--log-level", "debug", *words]  # noqa: E731
    assert keep(by_browser(desk, world, *debug(*add(world, "google")))).code == 0
    assert keep(desk.warmup(*debug("mailbox", "check", world.user, "--json"))).code == 0
    for verb in (("show", world.user), ("list",)):
        assert keep(desk.warmup(*debug("mailbox", *verb, "--json"))).code == 0
    for options in ((), ("--origin",), ("--json",)):
        assert keep(desk.warmup(*debug("config", "show", *options))).code == 0
    assert keep(by_device(desk, world, *debug("oauth", "login", world.user, "--oauth", "microsoft"))).code == 0
    echoed = world.authority.families[-1].refresh
    for form in (echoed, quote_plus(echoed), base64.b64encode(echoed.encode()).decode(), repr(echoed)):
        world.authority.scripted.append(
            (400, {"error": "invalid_grant", "error_description": f"{form}, {CLIENT.secret}"})
        )
        assert keep(desk.warmup(*debug("mailbox", "check", world.user))).code == 77
    world.authority.scripted.append((200, {"access_token": echoed, "token_type": "mac"}))
    assert keep(desk.warmup(*debug("mailbox", "check", world.user))).code == 69
    world.authority.revoke()
    assert keep(desk.warmup(*debug("mailbox", "check", world.user))).code == 77
    assert "Traceback" in texts[-1]
    assert_no_secret(world, "\n".join(texts))
    files = [path for path in desk.folder.iterdir() if path.is_file() and path.name != "client.secret"]
    assert_no_secret(world, "\n".join(path.read_bytes().decode("latin-1") for path in files))


def test_a_running_daemon_shows_no_secret_and_goes_on_once_its_person_signed_in_again(desk: Desk, world: World) -> None:
    world.authority.rotates = True
    assert by_browser(desk, world, *add(world, "google")).code == 0
    # What was sent to itself is awaited: the daemon has something to look for.
    assert desk.warmup("mailbox", "check", world.user, "--send", "--timeout", "1").code == 1
    echoed = world.authority.families[-1].refresh
    spelled = ", ".join((echoed, quote_plus(echoed), base64.b64encode(echoed.encode()).decode(), repr(echoed)))
    world.authority.scripted.append((400, {"error": "invalid_grant", "error_description": spelled}))
    quick = {"WARMUP__OBSERVE__FIRST_SECONDS": "1", "WARMUP__DAEMON__TICK_SECONDS": "0.2"}
    log = desk.folder / "run.log"
    command = [str(COMMAND), "--log-level", "debug", "run"]
    surroundings = desk.surroundings(WARMUP__HTTP__LISTEN="127.0.0.1:0", **quick)

    def problem() -> str | None:
        told: str | None = desk.warmup("mailbox", "show", world.user, "--json").document["problem"]
        return told

    with log.open("wb") as written, subprocess.Popen(command, cwd=desk.folder, env=surroundings, stderr=written) as run:
        try:
            until(problem, seconds=120, what="the refused grant is told", every=0.5)
            assert 'event="login refused"' in log.read_text()
            assert by_browser(desk, world, "oauth", "login", world.user, "--oauth", "google").code == 0
            # Renewed, and so rotated, by the daemon: the hour it meant to wait is over with the old grant.
            until(lambda: world.authority.families[-1].spent, seconds=120, what="the new grant is used", every=0.2)
            assert problem() is None
        finally:
            run.terminate()
            assert run.wait(timeout=60) == 0
    assert_no_secret(world, log.read_text(encoding="utf-8", errors="replace"))
