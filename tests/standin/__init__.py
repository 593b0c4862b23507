"""A stand-in of GitHub on loopback, held to what GitHub publishes about its REST API."""
