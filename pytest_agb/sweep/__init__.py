"""Finding and deleting orphans, from any machine."""
