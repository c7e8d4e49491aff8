"""API keys and service credentials."""
