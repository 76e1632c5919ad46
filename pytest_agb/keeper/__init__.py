"""The run's background process: what it does about sessions, and how it decides."""
