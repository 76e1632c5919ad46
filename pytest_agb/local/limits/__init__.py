"""What a session may use, and what ends it when it uses more. Standard library only."""
