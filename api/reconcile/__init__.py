"""Do the books balance? Compared on demand."""
