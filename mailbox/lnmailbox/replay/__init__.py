"""A node's HTLC traffic, replayed through real mailboxes in virtual time.

The input is a log of lnd's `SubscribeHtlcEvents`. In the order of the work: `reading` makes a
stream of `events` of files (`chunks` of text, `objects` in it, `sorting` by time), `history`
makes out what became of every HTLC, `outages` says when links are away, `simulation` plays it all
by its `agenda` with a thread for each `link`, `ledger` keeps account, and `report` shows the
`outcome`.
"""
