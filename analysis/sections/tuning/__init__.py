"""The section on searches: their winners, what they cost, and what more trials would bring."""
