"""Stores what consumers parked, so that people can browse it, re-drive it or drop it."""
