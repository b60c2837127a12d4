"""`warmup mailbox add` against real servers: what is refused, in which words, and that nothing is saved."""

import pytest

from tests.cli.conftest import Account, Desk, Ended


def add(desk: Desk, account: Account, *options: str, secret: str | None = None, **environ: str) -> Ended:
    """Enrol an account by its own servers and password, with `options` said last."""
    said = account.password if secret is None else secret
    arguments = ["mailbox", "add", account.address, *account.servers, "--password-stdin", *options]
    return desk.warmup(*arguments, stdin=f"{said}\n", **environ)


def refused(desk: Desk, ended: Ended, code: int, *words: str) -> None:
    """One line with the fix, the code, and nothing saved."""
    assert ended.code == code, ended
    assert len(ended.errors) == 1
    assert all(word in ended.errors[0] for word in words), ended.errors
    assert "; " in ended.errors[0]
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert desk.addresses() == []


def test_an_account_is_enrolled_after_both_logins(trusting: Desk, accounts: list[Account]) -> None:
    ended = add(trusting, accounts[0], "--role", "sender", "--tag", "a", "--tag", "b", "--name", "Ada")
    assert ended.code == 0, ended
    assert "UTC" in ended.err
    told = trusting.warmup("mailbox", "show", accounts[0].address, "--json").document
    assert (told["state"], told["role"], told["tags"], told["name"]) == ("active", "sender", ["a", "b"], "Ada")
    assert (told["junk_folder"], told["sent_folder"], told["trash_folder"]) == ("Junk", "Sent", "Trash")
    assert (told["provider"], told["limit"], told["ramp"], told["timezone"]) == ("custom", 100, "standard", "UTC")
    assert told["smtp"] == {"host": "127.0.0.1", "port": accounts[0].smtp_port, "security": "starttls"}
    assert told["verified_at"] is not None


def test_a_zone_that_was_said_is_not_said_again(trusting: Desk, accounts: list[Account]) -> None:
    ended = add(trusting, accounts[0], "--timezone", "Europe/Berlin")
    assert ended.code == 0
    assert ended.err == ""


def test_implicit_tls_is_spoken_where_it_is_asked_for(trusting: Desk, accounts: list[Account]) -> None:
    server = f"localhost:{accounts[0].smtps_port}"
    assert add(trusting, accounts[0], "--smtp", server, "--smtp-security", "tls").code == 0


def test_a_provider_of_the_configuration_is_found_by_the_domain(trusting: Desk, accounts: list[Account]) -> None:
    domain = accounts[0].address.partition("@")[2]
    with (trusting.folder / "config.toml").open("a") as file:
        file.write(f'[providers.mine]\ndomains = ["{domain}"]\ndaily_limit = 12\naccount_limits = {{ trial = 5 }}\n')
    assert add(trusting, accounts[0], "--account-type", "trial").code == 0
    (told,) = trusting.warmup("mailbox", "list", "--json").document["mailboxes"]
    assert (told["provider"], told["receiver"], told["limit"]) == ("mine", "mine", 5)


def test_mail_read_at_a_providers_server_is_a_lane_of_that_provider(trusting: Desk, accounts: list[Account]) -> None:
    with (trusting.folder / "config.toml").open("a") as file:
        file.write(f'[providers.big]\nimap = "127.0.0.1:{accounts[0].imaps_port}"\ndaily_limit = 12\n')
    assert add(trusting, accounts[0]).code == 0
    (told,) = trusting.warmup("mailbox", "list", "--json").document["mailboxes"]
    # Its limit is that of where it sends, of which nothing is known.
    assert (told["provider"], told["receiver"], told["limit"]) == ("custom", "big", 100)


def test_a_wrong_password_is_77(trusting: Desk, accounts: list[Account]) -> None:
    ended = add(trusting, accounts[0], secret="hunter2")
    refused(trusting, ended, 77, "refused the login", "app password")
    assert "hunter2" not in ended.err


def test_a_host_that_does_not_exist_is_69(trusting: Desk, accounts: list[Account]) -> None:
    refused(trusting, add(trusting, accounts[0], "--smtp", "mail.invalid:587"), 69, "mail.invalid", "spelling")


def test_a_port_where_nobody_listens_is_69(trusting: Desk, accounts: list[Account]) -> None:
    refused(trusting, add(trusting, accounts[0], "--smtp", "127.0.0.1:587"), 69, "127.0.0.1:587", "465", "2525")
    refused(trusting, add(trusting, accounts[0], "--imap", "127.0.0.1:1"), 69, "127.0.0.1:1")


def test_a_certificate_nobody_vouches_for_is_69(ready: Desk, accounts: list[Account]) -> None:
    refused(ready, add(ready, accounts[0]), 69, "certificate", "network.ca_file")


def test_a_certificate_for_another_name_is_69(trusting: Desk, accounts: list[Account]) -> None:
    refused(trusting, add(trusting, accounts[0], "--smtp", f"127.0.0.2:{accounts[0].smtp_port}"), 69)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--timezone", "Europe/Berln"), ("Europe/Berln", 'did you mean "Europe/Berlin"?')),
        (("--provider", "gmail", "--daily-limit", "501"), ("501", "at most 500")),
        (("--provider", "workspace", "--account-type", "trial", "--daily-limit", "501"), ("501", "at most 500")),
        (("--provider", "gmail", "--account-type", "platinum"), ("platinum",)),
        (("--provider", "outlook"), ("OAuth 2.0",)),
        (("--daily-limit", "0"), ("at least 1",)),
        (("--target", "0"), ("1 to 100",)),
        (("--target", "101"), ("1 to 100",)),
        (("--smtp", "mail.one.test"), ("HOST:PORT",)),
        (("--smtp", "mail.one.test:0"), ("port",)),
        (("--imap", "mail.one.test:70000"), ("a port is 1 to 65535",)),
        (("--smtp", "mail.one.test:587", "--smtp-security", "none"), ("loopback",)),
        (("--imap-security", "starttls"), ("993",)),
        (("--smtp", "10.0.0.1:587"), ("private", "allow_private_hosts")),
        (("--role", "control", "--engage"), ("never engaged",)),
        (("--tag", "two words"), ("without blanks",)),
        (("--name", "a\nb"), ("one line",)),
        (("--name", "a" * 201), ("201", "at most 200")),
    ],
)
def test_a_value_that_will_not_do_is_65(
    trusting: Desk, accounts: list[Account], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(trusting, add(trusting, accounts[0], *options), 65, *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ramp", "rocket"), ("rocket", "standard")),
        (("--provider", "gmial"), ("gmial", 'did you mean "gmail"?')),
        (("--role", "boss"), ("boss", "control")),
    ],
)
def test_a_value_not_among_the_choices_is_2(
    trusting: Desk, accounts: list[Account], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(trusting, add(trusting, accounts[0], *options), 2, *words)


def test_what_is_no_address_is_65(ready: Desk) -> None:
    refused(ready, ready.warmup("mailbox", "add", "nonsense"), 65, "nonsense", "name@example.com")


def test_an_address_beyond_ascii_is_65_and_a_domain_beyond_it_is_spelled_in_dns(
    trusting: Desk, accounts: list[Account]
) -> None:
    servers = ("--smtp", f"127.0.0.1:{accounts[0].smtp_port}", "--imap", f"127.0.0.1:{accounts[0].imaps_port}")
    refused(trusting, trusting.warmup("mailbox", "add", "jürgen@one.test", *servers), 65, "jürgen", "plain letters")
    login = ("--username", accounts[0].address, "--no-verify")
    assert trusting.warmup("mailbox", "add", "ann@bücher.test", *servers, *login).code == 0
    assert trusting.addresses() == ["ann@xn--bcher-kva.test"]
    assert trusting.warmup("mailbox", "show", "ann@bücher.test").code == 0


def test_a_domain_nobody_knows_needs_its_servers_said(ready: Desk) -> None:
    refused(ready, ready.warmup("mailbox", "add", "ann@one.test"), 65, "one.test", "--smtp HOST:PORT")


def test_an_address_is_enrolled_once(trusting: Desk, accounts: list[Account]) -> None:
    assert add(trusting, accounts[0]).code == 0
    ended = add(trusting, accounts[0], secret="never tried")
    assert ended.code == 65
    assert "enrolled already" in ended.err
    assert trusting.addresses() == [accounts[0].address]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_alias_of_an_enrolled_account_is_a_duplicate(trusting: Desk, accounts: list[Account], host: str) -> None:
    ada = accounts[0]
    assert add(trusting, ada).code == 0
    for alias, extra in ((ada.address.replace("@", "+news@"), []), ("sales@two.test", ["--username", ada.address])):
        smtp = ["--smtp", f"{host if not extra else '127.0.0.1'}:{ada.smtp_port}"]
        arguments = ["mailbox", "add", alias, *ada.servers, *smtp, *extra, "--password-stdin"]
        ended = trusting.warmup(*arguments, stdin=ada.password)
        assert ended.code == 65
        assert f"another name of {ada.address}" in ended.err
    assert trusting.addresses() == [ada.address]


def test_a_rehearsal_reaches_nothing_but_loopback(trusting: Desk, accounts: list[Account]) -> None:
    ended = add(trusting, accounts[0], "--smtp", "mail.one.test:587", "--no-verify", WARMUP__REHEARSAL__SPEED="60")
    refused(trusting, ended, 65, "rehearsal.speed")
    assert add(trusting, accounts[0], WARMUP__REHEARSAL__SPEED="60").code == 0


def test_without_a_login_it_is_unverified_until_checked(trusting: Desk, accounts: list[Account]) -> None:
    ada = accounts[0]
    assert add(trusting, ada, "--no-verify").code == 0
    assert trusting.warmup("mailbox", "show", ada.address, "--json").document["state"] == "unverified"
    checked = trusting.warmup("mailbox", "check", ada.address, "--json")
    assert checked.code == 0
    assert checked.document["state"] == "active"
    assert checked.document["junk_folder"] == "Junk"


def test_without_a_login_no_password_is_needed_and_check_says_which_is_missing(ready: Desk) -> None:
    servers = ("--smtp", "127.0.0.1:1", "--imap", "127.0.0.1:2")
    assert ready.warmup("mailbox", "add", "ann@one.test", *servers, "--no-verify").code == 0
    ended = ready.warmup("mailbox", "check", "ann@one.test")
    assert ended.code == 77
    assert "--password-stdin" in ended.err


def test_a_password_comes_from_a_file_or_the_environment_too(trusting: Desk, accounts: list[Account]) -> None:
    (trusting.folder / "password").write_text(f"{accounts[0].password}\n")
    by_file = ["mailbox", "add", accounts[0].address, *accounts[0].servers, "--password-file", "password"]
    assert trusting.warmup(*by_file).code == 0
    by_name = ["mailbox", "add", accounts[1].address, *accounts[1].servers, "--password-env", "SECRET"]
    assert trusting.warmup(*by_name, SECRET=accounts[1].password).code == 0


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ((), 2, "--password-stdin"),
        (("--password-stdin", "--password-env", "X"), 2, "name one"),
        (("--password-stdin",), 65, "empty"),
        (("--password-env", "NO_SUCH"), 65, "NO_SUCH"),
        (("--password-file", "nowhere"), 65, "nowhere"),
    ],
)
def test_a_password_that_cannot_be_had_says_how(
    trusting: Desk, accounts: list[Account], options: tuple[str, ...], code: int, word: str
) -> None:
    ended = trusting.warmup("mailbox", "add", accounts[0].address, *accounts[0].servers, *options)
    refused(trusting, ended, code, word)


def test_the_spaces_of_an_app_password_are_taken_out_and_said(trusting: Desk, accounts: list[Account]) -> None:
    spaced = " ".join(accounts[0].password)
    ended = add(trusting, accounts[0], "--provider", "gmail", secret=spaced)
    assert ended.code == 0
    assert "with spaces" in ended.err
    assert add(trusting, accounts[1], "--provider", "custom", secret=" ".join(accounts[1].password)).code == 77


def test_a_password_that_is_no_app_password_is_doubted_before_the_login(
    trusting: Desk, accounts: list[Account]
) -> None:
    ended = add(trusting, accounts[0], "--provider", "gmail", secret="hunter2")
    assert ended.code == 77
    assert "warning: this is no app password (16 characters)" in ended.err
    assert "https://myaccount.google.com/apppasswords" in ended.errors[0]


def test_a_user_name_without_its_domain_is_doubted(trusting: Desk, accounts: list[Account]) -> None:
    ended = add(trusting, accounts[0], "--provider", "gmail", "--username", "ada")
    assert ended.code == 77
    assert f"--username {accounts[0].address}" in ended.err


def test_a_missing_key_stops_an_enrolment_before_any_login(ready: Desk, accounts: list[Account]) -> None:
    (ready.folder / "warmup.key").unlink()
    refused(ready, add(ready, accounts[0]), 78, "there is no key")


def test_the_password_is_nowhere_to_be_read(trusting: Desk, accounts: list[Account]) -> None:
    ada = accounts[0]
    ended = trusting.warmup(
        "--log-level", "debug", "mailbox", "add", ada.address, *ada.servers, "--password-stdin", stdin=ada.password
    )
    assert ended.code == 0
    shown = trusting.warmup("mailbox", "show", ada.address, "--json").out
    assert ada.password not in ended.out + ended.err + shown
    for path in trusting.folder.glob("warmup.db*"):
        assert ada.password.encode() not in path.read_bytes()
