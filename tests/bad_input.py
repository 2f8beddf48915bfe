"""Bad arguments for every parameter of the public callables.

`ROWS` is the table: the callable with its parameter, a call, the values that it has to refuse, and
the error. `UNCHECKED` has the parameters that take anything, each with the reason.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from enum import Enum
from typing import Any

from bad_journals import JOURNALS
from bad_mailboxes import MAILBOXES
from bad_values import Row, World
from bad_wire import WIRE

__all__ = ["MODULES", "ROWS", "UNCHECKED", "World", "public_parameters"]

ROWS: dict[str, Row] = {**MAILBOXES, **WIRE, **JOURNALS}

_TRUTH = "its truth counts, and everything has one"
_RECORD = "a record that the package makes"
_TUPLE = "a named tuple: a key that fits no packet is a key that is not found"
_OF_JOURNALS = "called by durable mailboxes and orchestrators only; not in the reference"
_FOR_MAILBOXES = "called by mailboxes only, which know what a condition is"
_ANYTHING_CARRIED = "carried along, and looked at by the switch only"

UNCHECKED: dict[str, str] = {
    "SQLiteJournal(lazy_acks)": _TRUTH,
    **dict.fromkeys(
        [
            "ChannelJournal.close_channel",
            "ChannelJournal.open_channel",
            "ChannelJournal.packets",
            "ChannelJournal.shared_id",
            "ChannelJournal.short_chan_id_of",
            "Commits.commit",
            "Commits.require_no_transaction",
            "Commits.settle",
            "Commits.submit",
            "Commits.submit_lazily",
            "Commits.wait",
            "Journal.decode",
            "Journal.encode",
            "Journal.load",
            "Journal.next_ids",
            "Journal.submit_ack",
            "DurableMailBox.add_in_place_of",
            "DurableMailBox.is_in",
        ],
        _OF_JOURNALS,
    ),
    "CircuitKey": _TUPLE,
    "Keystone": _TUPLE,
    "MailBoxStatistics": _RECORD,
    "MailOrchestratorStatistics": _RECORD,
    "OutboxStatistics": _RECORD,
    "DecryptedFailure": _RECORD,
    "ManualClock.wait": _FOR_MAILBOXES,
    "SystemClock.wait": _FOR_MAILBOXES,
    "WallClock.wait": _FOR_MAILBOXES,
    "MailSelector.register(data)": "it is the caller's, and comes back as it is",
    "Outbox.get(block)": _TRUTH,
    "Outbox.get_batch(block)": _TRUTH,
    "FailureMessage.encode(typed_update)": _TRUTH,
    "encode_failure(typed_update)": _TRUTH,
    "ShortChannelID.from_bytes(byteorder)": "as `int.from_bytes`, which checks it",
    "ShortChannelID.from_bytes(signed)": _TRUTH,
    "MailBoxConfig(latch_on_overflow)": _TRUTH,
    "MailOrchestratorConfig(latch_on_overflow)": _TRUTH,
    "HTLCPacket(htlc)": "the mailbox checks it, by its exact class",
    "HTLCPacket(obfuscator)": "what can't encrypt leaves the Add in the mailbox, and is reported",
    **{
        f"HTLCPacket({name})": _ANYTHING_CARRIED
        for name in "circuit source_ref dest_ref link_failure".split()
    },
    **{
        f"HTLCPacket({name})": _TRUTH
        for name in "local_failure has_source converted_error is_resolution".split()
    },
    **{
        f"PaymentCircuit({name})": _ANYTHING_CARRIED
        for name in "add_ref incoming outgoing error_encrypter loaded_from_disk".split()
    },
}

MODULES = [
    name
    for name, needed in {
        "lnmailbox": "attrs",
        "lnmailbox.wire": "attrs",
        "lnmailbox.sphinx": "cryptography",
        "lnmailbox.metrics": "prometheus_client",
    }.items()
    if importlib.util.find_spec(needed) is not None
]


def public_parameters() -> set[str]:
    """Return every parameter of every public callable, as `callable(parameter)`.

    A method is that of the first class that has it. What an attrs class of `lnmailbox.wire` is
    made of is left out: a test of its own tries each field.
    """
    found = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                found |= parameters(name, value)
            elif not (
                issubclass(value, (BaseException, Enum)) or getattr(value, "_is_protocol", 0)
            ):
                if not (module_name == "lnmailbox.wire" and hasattr(value, "__attrs_attrs__")):
                    found |= parameters(name, value)
                for method in dir(value):
                    if not method.startswith("_"):
                        found |= method_parameters(value, method)
    return found


def parameters(name: str, function: Any) -> set[str]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # it is written in C
        return set()
    return {f"{name}({one})" for one in signature.parameters if one not in ("self", "cls")}


def method_parameters(kind: type, name: str) -> set[str]:
    owners = [base for base in kind.__mro__ if name in vars(base)]
    owner = [base for base in owners if base.__module__.startswith("lnmailbox")][-1:]
    if not owner:
        return set()
    raw = inspect.getattr_static(owner[0], name)
    function = raw.fset if isinstance(raw, property) else getattr(owner[0], name)
    return parameters(f"{owner[0].__name__}.{name}", function) if callable(function) else set()
