"""The run's state on a host: tables in SQLite that all its processes read and write."""
