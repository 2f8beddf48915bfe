"""A journal's file, looked at from outside while nobody has it open.

`contents` sums it up, `report` shows that, `check` looks for damage, `progress` tells a person at
a terminal that something is going on, and `command` is `lnmailbox journal`.
"""
