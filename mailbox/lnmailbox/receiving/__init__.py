"""How receivers get mail, and wait for it."""
