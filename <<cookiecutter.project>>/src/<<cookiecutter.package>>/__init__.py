"""What is your own of this project: sources and features."""
