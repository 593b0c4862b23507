"""The Git side: pull requests, the forge, the lock, releases."""
