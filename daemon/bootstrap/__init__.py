"""The composition root: the only room that names concrete classes together."""

from daemon.bootstrap.assembly import Daemon, assemble, run

__all__ = ["Daemon", "assemble", "run"]
