"""The mailboxes: a lock and a life around keeping, receiving and failing."""
