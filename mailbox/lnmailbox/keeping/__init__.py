"""The content of a mailbox. No locks, threads or clocks."""
