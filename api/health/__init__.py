"""Whether this process lives, is ready, and its figures."""
