"""What is left to do, what a step of it costs, and which cells train together."""
