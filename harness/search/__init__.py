"""Which cells of a grid are due, given the rows so far: searches, winners, and seeds at looks."""
