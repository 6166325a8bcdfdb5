"""From the results table to claims one can defend: estimates, references, figures, the report. No
torch, no ray.
"""
