"""Logs and metrics: how the daemon is seen from outside."""
