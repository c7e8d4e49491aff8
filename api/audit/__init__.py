"""The audit trail: read, proved, exported."""
