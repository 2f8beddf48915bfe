"""Comparing packets by what they say: `HTLCPacket` itself is compared by identity."""

from __future__ import annotations

from typing import Any

import attrs

from ..failure import LinkError
from ..packet import HTLCPacket

__all__ = ["contents"]


def contents(packet: HTLCPacket) -> dict[str, Any]:
    """Return the fields of a packet by name: two are equal if their packets say the same."""
    fields = attrs.asdict(packet, recurse=False)
    link_failure = fields["link_failure"]
    if isinstance(link_failure, LinkError):  # an exception, and compared by identity
        fields["link_failure"] = type(link_failure), *link_failure.args
    return fields
