"""Where people look: one module for each place that a failed test's dossier is shown in."""
