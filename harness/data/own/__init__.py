"""Data sets of users: arrays, folders of pictures, sets of the Hugging Face Hub, latents."""
