"""What is in a mailbox, without locks, threads or a clock."""
