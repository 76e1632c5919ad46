"""The AGB API without a wire: requests and answers as values, and what an answer means. Pure."""
