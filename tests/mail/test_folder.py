"""Folder names on the wire, and which folder is which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.folder import (
    Folder,
    Special,
    choose,
    decode_name,
    encode_name,
    folded,
    name_on_wire,
    quoted,
    role_by_name,
    special_use,
)
from warmup.mail.folder_names import FOLDER_NAMES

SURROGATE_FREE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX.Spam", "INBOX.Spam"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("A & B", "A &- B"),
        ("&", "&-"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", "&2D3eAA-"),
        ("Correio não solicitado", "Correio n&AOM-o solicitado"),
        ("tab\there", "tab&AAk-here"),
    ],
)
def test_names_travel_in_modified_utf_7(name: str, wire: str) -> None:
    assert encode_name(name) == wire
    assert decode_name(wire) == name


@given(SURROGATE_FREE)
def test_every_name_comes_back_and_travels_as_printable_ascii(name: str) -> None:
    wire = encode_name(name)
    assert decode_name(wire) == name
    assert all(" " <= char <= "~" for char in wire)
    assert not set("\r\n\0") & set(name_on_wire(name))


@given(st.text(max_size=60) | st.text("&-+,AaBb /é", max_size=30))
def test_any_wire_name_is_decoded_and_reading_it_again_changes_nothing(wire: str) -> None:
    name = decode_name(wire)
    if "&" not in wire and wire.isascii() and wire.isprintable():
        assert name == wire
    assert decode_name(encode_name(name)) == name


@pytest.mark.parametrize("wire", ["&", "&AGE-", "&AP-", "&!!-", "&2D0-", "x&APw", "&APwAIA-", "&AON-"])
def test_a_name_that_breaks_the_rules_is_kept_as_it_is(wire: str) -> None:
    assert decode_name(wire) == wire


@given(SURROGATE_FREE)
def test_a_quoted_string_ends_where_it_should(text: str) -> None:
    if set("\0\r\n") & set(text):
        with pytest.raises(ValueError):
            quoted(text)
        return
    body = quoted(text)[1:-1]
    plain, position = [], 0
    while position < len(body):
        assert body[position] != '"'
        position += body[position] == "\\"
        plain.append(body[position])
        position += 1
    assert "".join(plain) == text


def folder(name: str, *flags: str, delimiter: str | None = "/") -> Folder:
    return Folder(name=name, flags=frozenset(flags), special_use=special_use(flags), delimiter=delimiter)


def test_what_the_server_says_is_believed_before_a_name() -> None:
    listed = [folder("Spam"), folder("Quarantäne", "\\HasNoChildren", "\\Junk"), folder("INBOX")]
    chosen = choose(listed, Special.JUNK)
    assert chosen is not None
    assert chosen.name == "Quarantäne"


def test_a_folder_the_server_gave_another_role_is_not_taken_by_its_name() -> None:
    listed = [folder("Spam", "\\Archive"), folder("Sent", "\\Drafts")]
    assert choose(listed, Special.JUNK) is None
    assert choose(listed, Special.SENT) is None


@pytest.mark.parametrize(
    ("names", "delimiter", "expected"),
    [
        (["INBOX", "[Gmail]/Spam", "[Gmail]/Papierkorb"], "/", "[Gmail]/Spam"),
        (["INBOX", "INBOX.spam", "INBOX.Sent"], ".", "INBOX.spam"),
        (["INBOX", "INBOX.Entwürfe", "INBOX.Spamverdacht"], ".", "INBOX.Spamverdacht"),
        (["INBOX", "Archive/2019/Spam", "Junk E-mail"], "/", "Junk E-mail"),
        (["INBOX", "Archive/Junk", "Junk"], "/", "Junk"),
        (["INBOX", "Bulk Mail", "Sent"], "/", "Bulk Mail"),
        (["INBOX", "INBOX/Junk"], None, "INBOX/Junk"),
        (["INBOX", "COURRIER INDÉSIRABLE"], "/", "COURRIER INDÉSIRABLE"),
        (["INBOX", "Courrier inde\u0301sirable"], "/", "Courrier inde\u0301sirable"),
        (["INBOX", "Junk mail about spam", "Spammers"], "/", None),
        (["INBOX"], "/", None),
    ],
)
def test_where_nothing_is_said_the_name_tells(names: list[str], delimiter: str | None, expected: str | None) -> None:
    chosen = choose([folder(name, delimiter=delimiter) for name in names], Special.JUNK)
    assert (chosen.name if chosen else None) == expected


def test_a_node_that_cannot_be_opened_is_never_chosen() -> None:
    listed = [folder("Spam", "\\noselect"), folder("Trash", "\\nonexistent", "\\trash")]
    assert choose(listed, Special.JUNK) is None
    assert choose(listed, Special.TRASH) is None


def test_the_inbox_is_called_inbox_in_any_case_and_nothing_else_is() -> None:
    chosen = choose([folder("Inbox"), folder("Posteingang")], Special.INBOX)
    assert chosen is not None
    assert chosen.name == "Inbox"
    assert name_on_wire("inbox") == '"INBOX"'


@pytest.mark.parametrize("role", ["junk", "sent", "trash"])
def test_every_known_name_is_found_under_every_usual_prefix(role: str) -> None:
    for name in FOLDER_NAMES[role]:
        for prefix, delimiter in (("", "/"), ("INBOX.", "."), ("[Gmail]/", "/"), ("INBOX/", "/")):
            listed = [folder("INBOX", delimiter=delimiter), folder(prefix + name, delimiter=delimiter)]
            chosen = choose(listed, Special(role))
            assert chosen is not None, name
            assert chosen.name == prefix + name
            assert role_by_name(chosen) is Special(role)


def test_no_name_stands_for_two_roles() -> None:
    owners = [(folded(name), role) for role, names in FOLDER_NAMES.items() for name in set(map(folded, names))]
    assert len({name for name, _ in owners}) == len(owners)
    assert all(name for name, _ in owners)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("de", "Unerwünscht"), ("fr", "Indésirables"), ("es", "Correo no deseado"), ("it", "Posta indesiderata"),
        ("pt", "Lixo Eletrônico"), ("nl", "Ongewenste e-mail"), ("sv", "Skräppost"), ("no", "Søppelpost"),
        ("da", "Uønsket mail"), ("fi", "Roskaposti"), ("pl", "Wiadomości-śmieci"), ("cs", "Nevyžádaná pošta"),
        ("sk", "Nevyžiadaná pošta"), ("hu", "Levélszemét"), ("ro", "Mesaje nedorite"), ("ru", "Спам"),
        ("uk", "Небажана пошта"), ("bg", "Нежелана поща"), ("el", "Ανεπιθύμητα"), ("tr", "Gereksiz"),
        ("he", "דואר זבל"), ("ar", "البريد العشوائي"), ("zh", "垃圾邮件"), ("ja", "迷惑メール"), ("ko", "스팸"),
        ("vi", "Thư rác"), ("th", "สแปม"), ("hi", "स्पैम"), ("id", "Sampah e-mail"), ("et", "Rämpspost"),
    ],
)  # fmt: skip
def test_junk_is_known_in_thirty_languages(language: str, name: str) -> None:
    assert role_by_name(folder(name)) is Special.JUNK, language


# What mail programs and servers call the three in each language: junk, sent, trash.
TONGUES = {
    "English": ("Junk", "Sent", "Trash"),
    "German": ("Spamverdacht", "Gesendet", "Papierkorb"),
    "French": ("Courrier indésirable", "Éléments envoyés", "Corbeille"),
    "Spanish": ("Correo no deseado", "Enviados", "Papelera"),
    "Italian": ("Posta indesiderata", "Posta inviata", "Cestino"),
    "Portuguese": ("Lixo eletrônico", "Itens enviados", "Lixeira"),
    "Dutch": ("Ongewenste e-mail", "Verzonden items", "Prullenbak"),
    "Swedish": ("Skräppost", "Skickat", "Papperskorgen"),
    "Danish": ("Uønsket mail", "Sendt post", "Slettet post"),
    "Norwegian": ("Søppelpost", "Sendte elementer", "Papirkurv"),
    "Finnish": ("Roskaposti", "Lähetetyt", "Roskakori"),
    "Polish": ("Wiadomości-śmieci", "Wysłane", "Kosz"),
    "Czech": ("Nevyžádaná pošta", "Odeslaná pošta", "Koš"),
    "Slovak": ("Nevyžiadaná pošta", "Odoslaná pošta", "Kôš"),
    "Hungarian": ("Levélszemét", "Elküldött elemek", "Kuka"),
    "Romanian": ("Mesaje nedorite", "Mesaje trimise", "Coș de gunoi"),
    "Greek": ("Ανεπιθύμητη αλληλογραφία", "Απεσταλμένα", "Κάδος απορριμμάτων"),
    "Russian": ("Спам", "Отправленные", "Корзина"),
    "Ukrainian": ("Спам", "Надіслані", "Кошик"),
    "Turkish": ("Gereksiz", "Gönderilmiş Öğeler", "Çöp Kutusu"),
    "Japanese": ("迷惑メール", "送信済みメール", "ごみ箱"),
    "Chinese": ("垃圾邮件", "已发送", "已删除邮件"),
    "Korean": ("스팸메일함", "보낸메일함", "휴지통"),
    "Hebrew": ("דואר זבל", "פריטים שנשלחו", "אשפה"),
    "Arabic": ("البريد غير الهام", "العناصر المرسلة", "سلة المهملات"),
}


@pytest.mark.parametrize("tongue", TONGUES)
def test_the_folders_of_a_server_that_marks_none_are_known_in_its_language(tongue: str) -> None:
    listed = [folder("INBOX"), *map(folder, TONGUES[tongue])]
    found = [choose(listed, role) for role in (Special.JUNK, Special.SENT, Special.TRASH)]
    assert tuple(each.name if each else None for each in found) == TONGUES[tongue]
