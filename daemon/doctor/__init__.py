"""The preflight: looks at everything that the daemon depends on, changes nothing, and says what to do.

Gathering awaits and does not judge; checks judge and do not await. A new check is one function and one line in
`checks.py`.
"""

from daemon.doctor.examination import Report, UnknownProject, examine
from daemon.doctor.line import GENERAL, Line, State

__all__ = ["GENERAL", "Line", "Report", "State", "UnknownProject", "examine"]
