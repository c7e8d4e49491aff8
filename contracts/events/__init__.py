"""One frozen class per event and version, by family."""
