"""The vault: sealed, bound, and never silently made anew."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from warmup.vault import (
    KeyMissing,
    KeyUnusable,
    SealBroken,
    SecretBoundElsewhere,
    Vault,
    create_key_file,
    has_key,
)

ANN = {"mailbox": "ann@one.test", "protocol": "smtp", "host": "mail.one.test"}


def fresh() -> Vault:
    return Vault((Fernet.generate_key(),))


SHARED = fresh()


@given(st.text(), st.text(), st.sampled_from(["smtp", "imap"]), st.text())
def test_what_was_sealed_comes_back(secret: str, mailbox: str, protocol: str, host: str) -> None:
    sealed = SHARED.seal(secret, mailbox=mailbox, protocol=protocol, host=host)
    assert SHARED.unseal(sealed, mailbox=mailbox, protocol=protocol, host=host) == secret


@pytest.mark.parametrize("other", [{"mailbox": "bob@one.test"}, {"protocol": "imap"}, {"host": "evil.test"}])
def test_a_secret_is_not_given_out_for_another_use(other: dict[str, str]) -> None:
    sealed = SHARED.seal("hunter2", **ANN)
    with pytest.raises(SecretBoundElsewhere) as caught:
        SHARED.unseal(sealed, **{**ANN, **other})
    assert "hunter2" not in str(caught.value)


def test_parts_of_the_binding_cannot_be_shifted_into_one_another() -> None:
    sealed = SHARED.seal("x", mailbox='a", "b', protocol="c", host="d")
    with pytest.raises(SecretBoundElsewhere):
        SHARED.unseal(sealed, mailbox="a", protocol='b", "c', host="d")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken, match="another key"):
        fresh().unseal(SHARED.seal("x", **ANN), **ANN)


def test_an_altered_seal_does_not_open() -> None:
    sealed = bytearray(SHARED.seal("x", **ANN))
    sealed[20] ^= 1
    with pytest.raises(SealBroken):
        SHARED.unseal(bytes(sealed), **ANN)


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    sealed = Vault((old,)).seal("x", **ANN)
    both = Vault((new, old))
    assert both.unseal(sealed, **ANN) == "x"
    assert Vault((new,)).unseal(both.seal("y", **ANN), **ANN) == "y"


def test_a_blob_is_bound_to_its_purpose() -> None:
    sealed = SHARED.seal_blob(b"\0\xff", purpose="identity key")
    assert SHARED.unseal_blob(sealed, purpose="identity key") == b"\0\xff"
    with pytest.raises(SecretBoundElsewhere):
        SHARED.unseal_blob(sealed, purpose="something else")
    with pytest.raises(SecretBoundElsewhere):
        SHARED.unseal(sealed, **ANN)


def test_nothing_shows_in_the_repr() -> None:
    assert repr(SHARED) == "Vault(…)"


def test_the_key_file_is_only_for_its_owner_and_opens_the_vault(tmp_path: Path) -> None:
    path = tmp_path / "warmup.key"
    assert not has_key(path, {})
    create_key_file(path)
    assert has_key(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    vault = Vault.open(path, {})
    with vault.held():
        sealed = vault.seal("x", **ANN)
    assert Vault.open(path, {}).unseal(sealed, **ANN) == "x"


def test_a_key_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "warmup.key"
    path.write_text("mine")
    with pytest.raises(KeyUnusable, match="never replaced"):
        create_key_file(path)
    assert path.read_text() == "mine"


def test_a_missing_key_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "warmup.key"
    with pytest.raises(KeyMissing, match="warmup init"):
        Vault.open(path, {})
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_others_may_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "warmup.key"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        Vault.open(path, {})


@pytest.mark.parametrize("text", ["", "# only a comment\n", "short\n", "x" * 44])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "warmup.key"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(KeyUnusable, match="holds no key"):
        Vault.open(path, {})


def test_a_key_file_holds_several_keys_newest_first(tmp_path: Path) -> None:
    path, old, new = tmp_path / "warmup.key", Fernet.generate_key(), Fernet.generate_key()
    path.touch(mode=0o600)
    path.write_bytes(b"# rotated in May\n" + new + b"\n" + old + b"\n")
    assert Vault.open(path, {}).unseal(Vault((old,)).seal("x", **ANN), **ANN) == "x"


def test_a_credential_of_systemd_wins_over_the_file(tmp_path: Path) -> None:
    credentials, key = tmp_path / "credentials", Fernet.generate_key()
    credentials.mkdir()
    (credentials / "warmup.key").write_bytes(key)
    (credentials / "warmup.key").chmod(0o440)
    create_key_file(tmp_path / "warmup.key")
    vault = Vault.open(tmp_path / "warmup.key", {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert vault.unseal(Vault((key,)).seal("x", **ANN), **ANN) == "x"


def test_without_that_credential_the_file_is_used(tmp_path: Path) -> None:
    create_key_file(tmp_path / "warmup.key")
    assert Vault.open(tmp_path / "warmup.key", {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})


@pytest.mark.parametrize(("protocol", "fix"), [("smtp", "--password-stdin"), ("oauth-google", "warmup oauth login")])
def test_the_fix_is_to_prove_it_again_in_the_way_it_was(protocol: str, fix: str) -> None:
    sealed = SHARED.seal("hunter2", mailbox="ann@one.test", protocol=protocol, host="one.test")
    with pytest.raises(SecretBoundElsewhere, match=fix):
        SHARED.unseal(sealed, mailbox="ann@one.test", protocol=protocol, host="two.test")
