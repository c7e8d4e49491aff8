"""Records that a consumer had to refuse."""
