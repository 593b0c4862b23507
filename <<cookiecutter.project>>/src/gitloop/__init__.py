"""gitloop: the life of one machine-learning model, run from Git."""

__version__ = "0.1.0"
