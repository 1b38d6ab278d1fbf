"""A set of weights: checked, set or committed, revealed."""
