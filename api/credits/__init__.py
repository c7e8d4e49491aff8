"""What an organization may spend."""
