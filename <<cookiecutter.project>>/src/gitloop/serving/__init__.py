"""Integration: the chosen model as a package, a service, a prediction log and batch scores."""
