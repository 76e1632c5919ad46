"""What a run's processes share on a host: a directory, who lives, and processes of which there is one."""
