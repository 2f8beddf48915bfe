"""How fast the mailboxes are, as ratios to what one would use instead: `python -m benchmarks`."""
