"""What two services must agree on: pydantic and the standard library only; no I/O, no clock, no randomness."""
