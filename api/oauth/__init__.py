"""Logging in with an account of another provider; the flow of a custom GPT."""
