"""Mail: how its text is sealed until it is sent, and SMTP."""
