"""What users can plug in, and how it is found and loaded."""
