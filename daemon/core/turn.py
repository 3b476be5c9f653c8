"""One turn of `step`: the state as it changes, the commands as they pile up. Lives and dies within one call."""

from dataclasses import dataclass, field, replace
from typing import Any

from daemon.core.command import Command, Notify, Severity
from daemon.core.facts import Instant
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, State, Trigger
from daemon.core.policy import Policy
from daemon.core.state import UNACKNOWLEDGED_MAX, Decision, HoldPeriod, ProjectState
from daemon.core.verdict import advice_of

_PAGED_STATES = frozenset({State.HELD, State.AWAITING_APPROVAL, State.ESCALATED})

_PASSING_REASONS = frozenset({Reason.ALIAS_JOB_RUNNING, Reason.STALE_SAMPLES, Reason.PRODUCTION_UNKNOWN})
"""Holds that mostly pass within seconds: they page only when they last."""


@dataclass(slots=True)
class Turn:
    """Collects what one event changes. The only mutable thing of the core; `step` never lets it escape."""

    state: ProjectState
    policy: Policy
    moment: Instant
    commands: list[Command] = field(default_factory=list)

    @property
    def incident(self) -> Incident:
        """The live incident, which must exist."""
        assert self.state.incident is not None, f"{self.state.project}: no live incident"
        return self.state.incident

    def change(self, **facts: Any) -> None:
        """Replace facts of the state."""
        self.state = replace(self.state, **facts)

    def change_incident(self, **facts: Any) -> None:
        """Replace facts of the live incident."""
        self.state = replace(self.state, incident=replace(self.incident, **facts))

    def say(self, reason: Reason, sentence: str) -> None:
        """Note what was decided in this turn, for the canonical line."""
        self.state = replace(self.state, decision=Decision(reason, sentence))

    def ask(self, *commands: Command) -> None:
        """Ask the shell for something."""
        self.commands.extend(commands)

    def move(self, trigger: Trigger, *, reason: Reason, sentence: str, next_step: str = "") -> None:
        """Move the live incident, tell people, and put it away when it is no longer live."""
        incident = self.incident.move(trigger, self.moment, reason=reason, sentence=sentence)
        self.state = replace(self.state, incident=incident)
        self.say(reason, sentence)
        self.tell(incident.state, sentence, next_step=next_step)
        incident = self.incident
        if incident.state is State.ESCALATED:
            waiting = (*self.state.unacknowledged, incident)[-UNACKNOWLEDGED_MAX:]
            self.state = replace(self.state, incident=None, unacknowledged=waiting, last_ended=incident)
        elif incident.state.is_terminal:
            self.state = replace(self.state, incident=None, last_ended=incident)

    def tell(self, state: State, sentence: str, *, next_step: str = "") -> None:
        """Tell people about the live incident: a page where one of them must act, else a notice.

        A hold that mostly passes within seconds pages at once where a new kind of error says that something is wrong.
        """
        has_advice = advice_of(self.state.watch(self.incident.suspect.id), self.policy) is not None
        is_passing = state is State.HELD and self.incident.reason in _PASSING_REASONS and not has_advice
        if state in _PAGED_STATES and not is_passing:
            return self.page(sentence, next_step=next_step)
        return self.ask(Notify(self.incident.id, Severity.NOTICE, self._title(state), sentence, next_step))

    def page(self, sentence: str, *, next_step: str = "") -> None:
        """Wake somebody."""
        self.change_incident(is_paged=True)
        title = self._title(self.incident.state)
        self.ask(Notify(self.incident.id, Severity.PAGE, title, sentence, next_step))

    def _title(self, state: State) -> str:
        return f"{self.state.project}: {state.replace('_', ' ')}"

    def hold_off(self, sentence: str) -> None:
        """Leave production to whoever moved it, for the time that the policy sets."""
        until = self.moment.elapsed + self.policy.stand_down_hold.total_seconds()
        self.state = replace(self.state, hold=HoldPeriod(until, sentence))
