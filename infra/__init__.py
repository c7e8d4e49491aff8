"""Everything with a socket, a file or a clock, and how it is run."""
