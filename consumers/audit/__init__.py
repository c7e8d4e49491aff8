"""Keeps a tamper-evident trail of auth events."""
