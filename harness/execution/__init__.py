"""Runs trials in this process or on Ray, retries what died and stops cleanly."""
