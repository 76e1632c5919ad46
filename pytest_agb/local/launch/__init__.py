"""How sandboxes come about: a fresh interpreter, and the fork server in it."""
