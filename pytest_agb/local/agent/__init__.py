"""One process per session, inside its sandbox: files, commands, code. Standard library only."""
