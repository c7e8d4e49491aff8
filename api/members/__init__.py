"""Members: who belongs to the organization, who owns it, who is invited."""
