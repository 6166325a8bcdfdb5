"""How recipes change the weights: optimisers, schedules, and which weights are scored."""
