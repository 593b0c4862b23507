"""Data acquisition: sources, ingest, validation, split, profile."""
