"""One module a group of rows; `measure(world, size)` gives the rows."""
