"""The HTTP face of the local server: routes, key, envelopes, the page of a session."""
