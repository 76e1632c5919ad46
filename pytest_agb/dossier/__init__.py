"""What a test did with its sessions: kept while it runs, and told, masked and bounded, where it fails."""
