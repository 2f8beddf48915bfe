"""Events through real mailboxes, in virtual time."""
