"""Model development: candidates, training, selection, evaluation, comparison, gates."""
