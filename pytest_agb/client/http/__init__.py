"""What sends: httpx is imported in this folder and nowhere else."""
