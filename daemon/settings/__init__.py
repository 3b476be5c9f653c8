"""The configuration: one YAML file, variables that begin with LASTGOOD_, and files that hold tokens; all strict."""

from daemon.settings.load import Loaded, load, load_settings
from daemon.settings.model import PolicySettings, ProjectSettings, Settings, VercelSettings
from daemon.settings.problem import ConfigError, Problem
from daemon.settings.tokens import FixedToken, Token, TokenFile, TokenUnreadable

__all__ = [
    "ConfigError",
    "FixedToken",
    "Loaded",
    "PolicySettings",
    "Problem",
    "ProjectSettings",
    "Settings",
    "Token",
    "TokenFile",
    "TokenUnreadable",
    "VercelSettings",
    "load",
    "load_settings",
]
