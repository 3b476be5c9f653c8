"""What webhooks tell: never believed as a fact about production, but reason enough to do less, and to look."""

from daemon.core.event import MoveTold
from daemon.core.facts import AliasJobType
from daemon.core.production import may_have_asked
from daemon.core.state import TOLD_PROMOTIONS_MAX
from daemon.core.turn import Turn


def note_told_move(turn: Turn, event: MoveTold) -> None:
    """Remember when a promotion was told; leave production to whoever else asked for a rollback."""
    match event.type:
        case AliasJobType.PROMOTE:
            told = {**turn.state.told_promotions, event.to_deployment: event.at}
            turn.change(told_promotions=dict(list(told.items())[-TOLD_PROMOTIONS_MAX:]))
        case AliasJobType.ROLLBACK:
            # A rollback is told when it is accepted, ours included, often before our own request has its answer. One
            # that was told so late that its hold would be over by now was delivered again and again until it arrived.
            is_over = turn.moment.at - event.at >= turn.policy.stand_down_hold
            if not is_over and not may_have_asked(turn.state, event.to_deployment, turn.moment):
                turn.hold_off(f"somebody else asked for a rollback to {event.to_deployment}")
