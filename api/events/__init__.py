"""Events come in, and tell where they are."""
