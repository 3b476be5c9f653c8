"""Where the daemon's memory lives: SQLite through SQLAlchemy Core, or plain memory for tests and simulation."""
