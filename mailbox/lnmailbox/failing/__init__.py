"""How Adds that nobody collected get back to the switch."""
