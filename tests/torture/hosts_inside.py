"""The part of `hosts_scenario` that lives in a network of its own, where any address may be a server's.

On its only interface are one public address with a web server, and an address of every kind that nobody may send us to,
with a trap on each. Nothing leaves it, whatever the program does. What was tried and what was caught goes to stdout.
"""

import csv
import json
import selectors
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.scenarios.house import House
from tests.wire.zone import Site, Zone, dns_server, web_server

PUBLIC = "93.184.216.34"
ON_THE_WIRE = {
    "10.0.0.1": "private",
    "172.16.5.4": "private",
    "192.168.1.1": "private",
    "169.254.169.254": "link-local",
    "100.64.0.1": "shared (CGNAT)",
    "198.18.0.1": "benchmarking",
    "192.0.2.1": "documentation",
    "127.0.0.1": "loopback",
    "::1": "loopback",
    "fd00::1": "private",
    "64:ff9b::a00:1": "NAT64",
    "2002:a00:1::": "6to4",
    "2001:db8::1": "documentation",
}
"""Addresses with a trap, and their kind."""
OTHER_SPELLINGS = ("::ffff:10.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::", "fe80::1", "224.0.0.1", "255.255.255.255")
"""Addresses that lead to one of those, or nowhere."""
SMTPS, IMAPS = 465, 993
REFUSED = 65


@dataclass(slots=True)
class Traps:
    """Servers that should have no visitors; the public address is watched as well, and may have some."""

    visits: Counter[str] = field(default_factory=Counter)

    def caught(self) -> list[str]:
        """Who was visited and should not have been."""
        return sorted(address for address in self.visits if address != PUBLIC)


@contextmanager
def traps() -> Iterator[Traps]:
    """A server on the mail ports of every address that hangs up at once, and on all but the public one's web port."""
    found, over = Traps(), threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for address in (PUBLIC, *ON_THE_WIRE):
            for port in (SMTPS, IMAPS, *([443] if address != PUBLIC else [])):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                trap = stack.enter_context(closing(socket.create_server((address, port), family=family)))
                selector.register(trap, selectors.EVENT_READ, address)

        def watch() -> None:
            while not over.is_set():
                for key, _ in selector.select(timeout=0.05):
                    found.visits[str(key.data)] += 1
                    assert isinstance(key.fileobj, socket.socket)
                    with suppress(OSError):
                        key.fileobj.accept()[0].close()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


@dataclass(slots=True, kw_only=True)
class Stage:
    """An installation that asks our DNS and believes our web server's certificate."""

    house: House
    zone: Zone
    site: Site
    traps: Traps
    tries: int = 0
    broken: list[str] = field(default_factory=list)

    def refused(self, what: str, *arguments: str, code: int = REFUSED, **environ: str) -> None:
        """Call a verb that has to be refused, by a line that says why, without a visit."""
        self.tries += 1
        before = set(self.traps.caught())
        done = self.house.ended(*arguments, stdin="pass", **environ)
        if caught := set(self.traps.caught()) - before:
            self.broken.append(f"{what}: {', '.join(sorted(caught))} was connected to")
        elif done.returncode != code or "error: " not in done.stderr:
            self.broken.append(f"{what}: ended with {done.returncode}: {done.stderr.strip()[-200:]}")


def play(folder: Path) -> Mapping[str, object]:
    """Every way in, then the same with the door held open, to see that the traps catch."""
    for command in (["link", "set", "lo", "up"], *(["addr", "add", _net(one), "dev", "lo"] for one in _to_add())):
        subprocess.run(["ip", *command], check=True, capture_output=True)
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = [f"{place}{domain}" for domain in WAYS_BY_NAME for place in ("autoconfig.", "")]
    authority.issue_cert(*names, PUBLIC, *ON_THE_WIRE).configure_cert(tls)
    with ExitStack() as stack:
        zone, site = stack.enter_context(dns_server()), stack.enter_context(web_server(tls, (PUBLIC, 443)))
        authority.cert_pem.write_to_path(folder / "ca.pem")
        house = House(folder=folder / "house")
        house.install(ca_file=str(folder / "ca.pem"))
        with (folder / "house" / "config.toml").open("a", encoding="utf-8") as config:
            config.write(f'resolver = "{zone.address}"\nimap_timeout_seconds = 5\n')
        stage = Stage(house=house, zone=zone, site=site, traps=stack.enter_context(traps()))
        by_file(stage, folder / "fleet.csv")
        by_discovery(stage)
        after_enrolment(stage)
        control(stage)
    visited = stage.traps.visits[PUBLIC]
    if not visited:
        stage.broken.append("the public address was never connected to: the names led nowhere")
    return {"tries": stage.tries, "broken": stage.broken, "public": visited}


def by_file(stage: Stage, fleet: Path) -> None:
    """A file of mailboxes whose servers are named, or spelled, or change with every question."""
    rows = []
    for number, address in enumerate((*ON_THE_WIRE, *OTHER_SPELLINGS)):
        kind = "AAAA" if ":" in address else "A"
        stage.zone.say(f"n{number}.name.test", kind, address)
        rows.append((f"a@n{number}.one.test", f"n{number}.name.test"))
        if address not in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            # Loopback spelled out is the operator's own word; all else is refused.
            rows.append((f"a@l{number}.one.test", f"[{address}]" if ":" in address else address))
        # Public when it is looked at, and not when it is asked again.
        stage.zone.say_in_turn(f"r{number}.name.test", "A", [PUBLIC], [] if kind == "AAAA" else [address])
        stage.zone.say_in_turn(f"r{number}.name.test", "AAAA", [], [address] if kind == "AAAA" else [])
        rows.append((f"a@r{number}.one.test", f"r{number}.name.test"))
    with fleet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("address", "smtp", "smtp_security", "imap", "imap_security", "password"))
        for mailbox, host in rows:
            writer.writerow((mailbox, f"{host}:{SMTPS}", "tls", f"{host}:{IMAPS}", "tls", "pass"))
    fleet.chmod(0o600)
    stage.tries += len(rows)
    done = stage.house.ended("mailbox", "import", str(fleet), "--json")
    said = json.loads(done.stdout)["rows"] if done.stdout else []
    stage.broken += [f"{address} was connected to by way of a file" for address in stage.traps.caught()]
    if len(said) != len(rows) or done.returncode == 0:
        stage.broken.append(f"the import ended with {done.returncode}, and {len(said)} rows: {done.stderr[-300:]}")
    for row in said:
        named = not row["address"].partition("@")[2].startswith("r")
        if row["error"] is None or (named and "private" not in row["error"]):
            stage.broken.append(f"{row['address']} was not refused for its address: {row['error']}")


WAYS_BY_NAME = ("doc-name.test", "doc-literal.test", "to-literal.test", "to-name.test", "to-loopback.test")


def by_discovery(stage: Stage) -> None:
    """A domain that names its own servers: by service record, by settings file, by redirect."""
    zone, site = stage.zone, stage.site
    zone.say("inside.test", "A", "10.0.0.1")
    for domain in WAYS_BY_NAME:
        zone.say(f"autoconfig.{domain}", "A", PUBLIC)
        zone.say(f"mail.{domain}", "A", "10.0.0.1")
    place = "/mail/config-v1.1.xml"
    site.put(f"autoconfig.doc-name.test{place}", settings("mail.doc-name.test"))
    site.put(f"autoconfig.doc-literal.test{place}", settings("10.0.0.1"))
    site.redirect(f"autoconfig.to-literal.test{place}", "https://10.0.0.1/x")
    site.redirect(f"autoconfig.to-name.test{place}", "https://inside.test/x")
    site.redirect(f"autoconfig.to-loopback.test{place}", "https://127.0.0.1/x")
    for host, domain in (("mail.srv.test", "srv.test"), ("localhost", "srv-loopback.test")):
        zone.say(f"_submissions._tcp.{domain}", "SRV", f"0 0 {SMTPS} {host}.")
        zone.say(f"_imaps._tcp.{domain}", "SRV", f"0 0 {IMAPS} {host}.")
    zone.say("mail.srv.test", "A", "192.168.1.1")
    for domain in (*WAYS_BY_NAME, "srv.test", "srv-loopback.test"):
        stage.refused(domain, "mailbox", "add", f"a@{domain}", "--password-stdin", "--accept-host")
    if not any("autoconfig." in each for each in site.asked):
        stage.broken.append("the settings files were never asked for")


def after_enrolment(stage: Stage) -> None:
    """A name that was public when it was enrolled, and is not when it is connected to."""
    stage.zone.say("later.test", "A", PUBLIC)
    servers = ["--smtp", f"later.test:{SMTPS}", "--smtp-security", "tls", "--imap", f"later.test:{IMAPS}"]
    stage.house.ended("mailbox", "add", "a@later.test", *servers, "--no-verify", "--password-stdin", stdin="pass")
    stage.zone.say("later.test", "A", "100.64.0.1")
    stage.refused("a name that moved", "mailbox", "check", "a@later.test")


def control(stage: Stage) -> None:
    """The same name where private hosts are allowed: it is connected to, so the traps do catch."""
    before = stage.traps.visits["100.64.0.1"]
    stage.house.ended("mailbox", "check", "a@later.test", WARMUP__NETWORK__ALLOW_PRIVATE_HOSTS="true")
    if stage.traps.visits["100.64.0.1"] == before:
        stage.broken.append("an allowed private host was not connected to: the traps catch nothing")


def settings(host: str) -> bytes:
    """A settings file that names `host`."""
    servers = "".join(
        f'<{tag} type="{kind}"><hostname>{host}</hostname><port>{port}</port><socketType>SSL</socketType>'
        f"<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></{tag}>"
        for tag, kind, port in (("incomingServer", "imap", IMAPS), ("outgoingServer", "smtp", SMTPS))
    )
    return f'<clientConfig version="1.1"><emailProvider id="x">{servers}</emailProvider></clientConfig>'.encode()


def _to_add() -> list[str]:
    return [PUBLIC, *(address for address in ON_THE_WIRE if address not in ("127.0.0.1", "::1"))]


def _net(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(play(Path(sys.argv[1]))) + "\n")
