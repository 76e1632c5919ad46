"""How sandboxes are kept apart, and which way this machine allows. Standard library only."""
