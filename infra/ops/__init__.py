"""What operators do: migrate, seed, import, reconcile, sweep."""
