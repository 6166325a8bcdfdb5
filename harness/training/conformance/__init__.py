"""Checks that a model keeps the contract, on a few made-up images, before anything is trained."""
