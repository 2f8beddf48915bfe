"""All scenarios."""

from __future__ import annotations

import scenarios_durable
import scenarios_failing
import scenarios_receiving
import scenarios_routing
from scenario_world import SCENARIOS

__all__ = [
    "SCENARIOS",
    "scenarios_durable",
    "scenarios_failing",
    "scenarios_receiving",
    "scenarios_routing",
]
