"""Protocols through which the engine reaches the world, and the errors that they may raise; nothing else."""
