"""A session's modules, and how what the tools answer is read."""
