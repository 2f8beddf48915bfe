"""Files as a stream of events, whatever they are."""
