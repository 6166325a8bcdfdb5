"""Importance weights of draws of the latents, and the bounds that are made of them."""
