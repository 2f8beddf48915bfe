"""A node's HTLC traffic, replayed through real mailboxes in virtual time: the commands.

The input is a log of lnd's `SubscribeHtlcEvents`. The rooms, in the order of the work:

- `reading`: `logs` makes a stream of `events` of files (`chunks` of text, `objects` in it,
  `sorting` by time).
- `playing`: `history` makes out what became of every HTLC, and `outages` says when links are away.
  `simulation` plays it: the `switch` decides by the log and its `agenda` what happens, the `post`
  puts packets into mailboxes, and a `crew` of threads does the work of each `link`. The `ledger`
  keeps account of what mailboxes do, `endings` of what becomes of HTLCs.
- `telling`: `report` and others show the `outcome`, and `forecast` plays a log many times.
"""
