"""What machines report: our own samples in the words of many servers, and the labelled ones beside the project."""

import tomllib
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.crossval.figures import figures, with_all, without_family
from tests.crossval.samples import CORPUS, replies, reports
from tests.effort import least_seconds
from warmup.mail.report import Kind, read_report
from warmup.policy.blame import blame_reported

OWN = Path(__file__).parents[1] / "corpus"
SAMPLES: dict[str, dict[str, Any]] = tomllib.loads((OWN / "reports.toml").read_text("utf-8"))
OURS = "<1764000000.77.warm@shop.example>"
MIB = 1024 * 1024

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the labelled samples are not there: {CORPUS}")


def raw_of(name: str) -> bytes:
    return (OWN / "reports" / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_our_own_samples_are_read_right(name: str) -> None:
    wanted = SAMPLES[name]
    report = read_report(raw_of(name))
    assert report.kind.value == wanted["kind"]
    found = [blame_reported(report.kind, reported) for reported in report.recipients]
    if "causes" in wanted:
        assert [one.cause.value for one in found] == wanted["causes"]
        assert [one.hard for one in found] == wanted["hard"]
    if "address" in wanted:
        assert [reported.address for reported in report.recipients] == [wanted["address"]]
    assert report.feedback_type == wanted.get("feedback_type")
    if wanted.get("knows_the_message"):
        assert report.reported_ids == (OURS,)


def test_every_sample_is_expected_and_every_expectation_has_its_sample() -> None:
    assert {file.stem for file in (OWN / "reports").iterdir()} == set(SAMPLES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_change_nothing(name: str, end: bytes) -> None:
    raw = raw_of(name).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    as_it_is, other = read_report(raw), read_report(raw.replace(b"\n", end))
    assert other == as_it_is


def test_the_returned_message_is_known_by_its_id_its_identity_and_its_author() -> None:
    report = read_report(raw_of("exchange-german"))
    assert (report.reported_ids, report.reported_identity) == ((OURS,), "v1.abcdef")
    assert report.reported_from == "ada@shop.example"
    assert read_report(raw_of("exchange-german"), identity_header=None).reported_identity is None


def test_an_automatic_reply_names_the_message_it_answers() -> None:
    assert read_report(raw_of("auto-out-of-office")).reported_ids == (OURS,)


def test_a_report_in_a_report_is_opened_where_the_outer_gives_no_reason() -> None:
    outer = (
        b"From: MAILER-DAEMON@gate.example\nSubject: Returned mail\nContent-Type: multipart/mixed; boundary=o\n\n"
        b"--o\n\nThe following addresses had permanent delivery errors\n--o\nContent-Type: message/rfc822\n\n"
    )
    report = read_report(outer + raw_of("mailfoundry") + b"\n--o--\n")
    assert [str(one.reply)[:9] for one in report.recipients] == ["550 <ben@"]


@pytest.mark.parametrize(
    ("author", "subject", "kind"),
    [
        ("postmaster@mail.example", "Ej levererat: hej", Kind.BOUNCE),
        ("postmaster@mail.example", "Toimittamatta: hei", Kind.BOUNCE),
        ("postmaster@mail.example", "Teslim Edilemeyen: selam", Kind.BOUNCE),
        ("postmaster@mail.example", "Μη παραδοτέο: γεια", Kind.BOUNCE),
        ("postmaster@mail.example", "Nelivrabil: salut", Kind.BOUNCE),
        ("postmaster@mail.example", "غير قابل للتسليم: مرحبا", Kind.BOUNCE),
        ("postmaster@mail.example", "לא ניתן למסירה: שלום", Kind.BOUNCE),
        ("postmaster@mail.example", "Thư không gửi được", Kind.BOUNCE),
        ("postmaster@mail.example", "[메일 발송 실패 안내] 안녕", Kind.BOUNCE),
        ("ben@garden.example", "Автоматична відповідь: привіт", Kind.AUTO_REPLY),
        ("ben@garden.example", "Odpowiedź automatyczna: cześć", Kind.AUTO_REPLY),
        ("ben@garden.example", "Răspuns automat: salut", Kind.AUTO_REPLY),
        ("ben@garden.example", "Trả lời tự động: chào", Kind.AUTO_REPLY),
        ("ben@garden.example", "رد تلقائي: مرحبا", Kind.AUTO_REPLY),
        ("ben@garden.example", "תשובה אוטומטית: שלום", Kind.AUTO_REPLY),
    ],
)
def test_a_subject_in_any_tongue_tells_what_a_machine_sent(author: str, subject: str, kind: Kind) -> None:
    raw = f"From: {author}\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\nben@garden.example\n"
    assert read_report(raw.encode()).kind is kind


@pytest.mark.parametrize(
    "said",
    ["无法发送到 ben@garden.example", "받는사람 : ben@garden.example", "n'a pas pu être remis à <ben@garden.example>:"],
)
def test_a_recipient_is_found_behind_the_words_of_other_tongues(said: str) -> None:
    raw = f"From: MAILER-DAEMON@mail.example\nSubject: Undelivered\n\n{said}\n550 no such user\n"
    assert [one.address for one in read_report(raw.encode()).recipients] == ["ben@garden.example"]


def test_a_delay_is_told_from_a_failure() -> None:
    (delayed,) = read_report(raw_of("exim-delay")).recipients
    assert delayed.action == "delayed"


@needs_corpus
def test_the_labelled_reports_are_read_as_well_as_promised() -> None:
    found = figures(reports(), with_all)
    assert found.detection >= 0.97
    assert found.mistaken == []
    assert found.hard_recall >= 0.93
    assert found.hard_precision >= 0.90
    assert found.cause >= 0.88


@needs_corpus
def test_the_labelled_replies_are_read_as_well_as_promised() -> None:
    assert figures(replies(), with_all).cause >= 0.88


@needs_corpus
def test_a_server_that_no_rule_was_made_from_costs_at_most_eight_points() -> None:
    for samples in (reports(), replies()):
        assert figures(samples, without_family).cause >= figures(samples, with_all).cause - 0.08


@needs_corpus
def test_automatic_replies_are_told_from_bounces() -> None:
    others = [sample for sample in reports() if sample.kind != "bounce"]
    assert others
    for sample in others:
        assert sample.read(frozenset()).kind.value == sample.kind, sample.name


def read_and_blamed(raw: bytes) -> Kind:
    report = read_report(raw)
    for one in report.recipients:
        blame_reported(report.kind, one)
    return report.kind


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that were held at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@needs_corpus
def test_odd_mail_is_read_quickly_and_in_little_memory() -> None:
    read_report(raw_of("qmail"))  # compiles the rules
    for file in sorted((CORPUS / "odd-mail").iterdir()):
        raw = file.read_bytes()
        assert read_and_blamed(raw) in Kind
        assert peak_of(partial(read_and_blamed, raw)) <= 16 * MIB, file.name
        assert least_seconds(partial(read_and_blamed, raw)) <= 0.2, file.name


@pytest.mark.parametrize(
    "piece",
    [
        b" ",
        b"\n",
        b"a",
        b"@",
        b"<a@b>",
        b"user unknown ",
        b"--x\n",
        b">>> ",
        b"<<< 550 ",
        b"=?utf-8?q?",
        b"<style>",
        b"(",
        b"; ",
        b"{",
    ],
)
def test_a_megabyte_of_anything_takes_no_time_and_little_memory(piece: bytes) -> None:
    read_report(raw_of("qmail"))
    body = piece * (MIB // len(piece))
    for head in (
        b"From: MAILER-DAEMON@x.example\nSubject: Undelivered\n\n",
        b"From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; boundary=x\n\n"
        b"--x\nContent-Type: message/delivery-status\n\n",
        b"Content-Type: text/html\nAuto-Submitted: auto-replied\n\n",
        b"Subject: ",
    ):
        assert peak_of(partial(read_report, head + body)) <= 16 * MIB
        assert least_seconds(partial(read_report, head + body)) <= 0.2
