"""Data sets: downloads, verification, binarisation and labelled subsets."""
