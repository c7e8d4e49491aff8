"""Puts the parts together: the only place that knows everything; nothing imports it."""
