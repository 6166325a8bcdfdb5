"""What a grid says about a hyperparameter search. Nothing here imports torch or ray."""
