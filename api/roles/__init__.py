"""Roles, the permission matrix, and who has which role."""
