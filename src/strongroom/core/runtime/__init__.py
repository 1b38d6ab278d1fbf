"""Tools for the work of one process: tasks, pauses, time limits, health and metrics. They need no database."""
