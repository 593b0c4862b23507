"""GitHub in small: Git over HTTP, the REST stand-in, and the workflows of a repository run by act."""
