"""The server's end of sessions: which live, how long, and what goes to their sandboxes."""
