"""Registering, logging in and out, passwords, sessions, oneself; mail and signing keys for platform staff."""
