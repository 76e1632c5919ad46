"""What people see of a run's sessions."""
