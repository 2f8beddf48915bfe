"""The mailboxes: a lock and a life around what is kept, received and failed."""
