"""What was used, by whom and for how much."""
