"""Notifiers, one file each."""
