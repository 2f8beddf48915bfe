"""What came of it: for people, for programs, as a picture, and as a forecast."""
