"""How people and programs ask: HTTP in, envelopes out. See README.md."""
