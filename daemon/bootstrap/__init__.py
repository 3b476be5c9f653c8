"""The composition root: the only room that names concrete classes together."""

from daemon.bootstrap.assembly import Daemon, assemble, run
from daemon.bootstrap.reload import ConfigFile

__all__ = ["ConfigFile", "Daemon", "assemble", "run"]
