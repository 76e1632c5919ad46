"""Named storage for files, which outlives the sessions that it is bound to."""
