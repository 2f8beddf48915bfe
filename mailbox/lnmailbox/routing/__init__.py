"""From a short channel id to its channel's mailbox."""
