"""How facts enter the log: published, relayed from the outbox, or replayed."""
