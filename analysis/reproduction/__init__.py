"""Published numbers, and whether ours reproduce them."""
