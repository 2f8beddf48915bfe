"""Encrypters as bytes, each by its kind."""

from __future__ import annotations

import sys
import sysconfig
from typing import Any

import pytest

from kept_packets import REVERSER, Reverser
from lnmailbox.keeping.encrypters import EncrypterKind, Encrypters
from lnmailbox.wire.reader import Reader

needs_cryptography = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="no free-threaded 3.13 wheels of cryptography",
)


class Silent:
    """An encrypter whose kind does what a test wants."""

    def __repr__(self) -> str:
        return "secret!"


def kind(name: str = "silent", encode: Any = None, decode: Any = None) -> EncrypterKind:
    return EncrypterKind(name, Silent, encode or (lambda _: b""), decode or (lambda _: Silent()))


def decoded(encrypters: Encrypters, data: bytes) -> object:
    return encrypters.decode(Reader(data, "HTLCPacket"), "obfuscator")


def test_an_encrypter_is_kept_as_its_kind_says():
    """The kind's name and the bytes of its `encode`, each after its length."""
    encrypters = Encrypters([REVERSER])
    data = encrypters.encode(Reverser(b"key"), "obfuscator")

    assert b"\x08reverser\0\x03key" == data
    assert Reverser(b"key") == decoded(encrypters, data)


@pytest.mark.parametrize("name", ["", "n" * 256, "\u00fc" * 128])
def test_a_name_has_1_to_255_bytes(name: str):
    """Its length has one byte in the file."""
    with pytest.raises(ValueError, match=r"EncrypterKind.name must have 1 to 255 bytes, got '"):
        kind(name)


@pytest.mark.parametrize("second", [kind("reverser"), kind("other")])
def test_two_kinds_of_one_name_or_class_are_refused(second: EncrypterKind):
    """The file could not say which one it is."""
    first = REVERSER if second.name == "reverser" else kind("silent")

    with pytest.raises(ValueError, match="two kinds of encrypters have one name or one class"):
        Encrypters([first, second])


def test_an_unregistered_class_is_refused_without_its_repr():
    """The error names the class, and what is known; the `repr` may hold a secret."""
    with pytest.raises(TypeError, match=r"field cannot be kept: .* Silent \(known: ") as refused:
        Encrypters([REVERSER]).encode(Silent(), "field")

    assert "reverser" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_an_encode_that_returns_no_bytes_is_refused():
    """The class of what it returned is in the error, and not the value."""
    encrypters = Encrypters([kind(encode=lambda _: "hidden")])

    with pytest.raises(TypeError, match="encode of the kind 'silent' must return bytes") as error:
        encrypters.encode(Silent(), "field")
    assert "hidden" not in str(error.value)


def test_what_an_encode_raises_comes_out():
    """The caller of `add_packet` gets it."""

    def refuse(encrypter: object) -> bytes:
        raise ValueError("no key for this one")

    with pytest.raises(ValueError, match="no key for this one"):
        Encrypters([kind(encode=refuse)]).encode(Silent(), "field")


def test_an_unknown_kind_is_refused_by_its_name():
    """It tells which kind to register."""
    data = Encrypters([REVERSER]).encode(Reverser(b"key"), "field")

    with pytest.raises(ValueError, match=r"HTLCPacket.obfuscator is .* kind 'reverser', which"):
        decoded(Encrypters(), data)


def test_what_a_decode_raises_is_a_value_error():
    """Whatever it was; the original is the cause."""

    def refuse(data: bytes) -> Silent:
        raise KeyError(data)

    encrypters = Encrypters([kind(decode=refuse)])
    data = encrypters.encode(Silent(), "field")

    with pytest.raises(ValueError, match="decode of the kind 'silent' raised KeyError") as error:
        decoded(encrypters, data)
    assert isinstance(error.value.__cause__, KeyError)


def test_without_cryptography_there_is_no_sphinx(monkeypatch: pytest.MonkeyPatch):
    """The other kinds work, and what is missing is asked for by name."""
    monkeypatch.setitem(sys.modules, "lnmailbox.sphinx", None)
    encrypters = Encrypters([REVERSER])

    assert Reverser(b"key") == decoded(encrypters, b"\x08reverser\0\x03key")
    with pytest.raises(ValueError, match=r"of kind 'sphinx', .* \(known: reverser\)"):
        decoded(encrypters, b"\x06sphinx\0\x20" + bytes(32))
    assert "none" == str(Encrypters())


@needs_cryptography
def test_sphinx_is_there_when_it_is_needed():
    """Its secret stands in the file."""
    from lnmailbox.sphinx import SphinxErrorEncrypter

    encrypters = Encrypters()
    data = encrypters.encode(SphinxErrorEncrypter(b"s" * 32), "obfuscator")

    assert b"\x06sphinx\0\x20" + b"s" * 32 == data
    assert b"s" * 32 == decoded(Encrypters(), data).to_bytes()
    assert "sphinx" == str(encrypters)


@needs_cryptography
def test_a_sphinx_of_your_own_goes_first():
    """New ones are kept its way; what the default kind has written is still read."""
    from lnmailbox.sphinx import SphinxErrorEncrypter as Sphinx

    mine = EncrypterKind("mine", Sphinx, lambda _: b"derived", lambda _: Sphinx(b"d" * 32))
    encrypters = Encrypters([mine])

    assert b"\x04mine\0\x07derived" == encrypters.encode(Sphinx(b"s" * 32), "obfuscator")
    assert b"s" * 32 == decoded(encrypters, b"\x06sphinx\0\x20" + b"s" * 32).to_bytes()
    assert b"\x04mine\0\x07derived" == encrypters.encode(Sphinx(b"s" * 32), "obfuscator")


@needs_cryptography
def test_a_kind_named_sphinx_replaces_the_default():
    """Then the file has one kind of that name, and no `SphinxErrorEncrypter`."""
    from lnmailbox.sphinx import SphinxErrorEncrypter

    encrypters = Encrypters([kind("sphinx")])

    assert isinstance(decoded(encrypters, b"\x06sphinx\0\0"), Silent)
    with pytest.raises(TypeError, match="SphinxErrorEncrypter"):
        encrypters.encode(SphinxErrorEncrypter(b"s" * 32), "obfuscator")


def test_encrypters_are_of_kinds():
    with pytest.raises(TypeError, match=r"^encrypters must be EncrypterKinds, got None$"):
        Encrypters([None])
