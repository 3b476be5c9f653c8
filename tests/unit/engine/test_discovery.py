"""What the team has: new at once, gone only after several complete listings, and never while somebody keeps it."""

from daemon.core.facts import ProjectId
from daemon.engine.discovery import LISTINGS_MISSED_MAX, Discovery

SHOP, BLOG = ProjectId("prj_shop"), ProjectId("prj_blog")
BOTH = {SHOP: "shop", BLOG: "blog"}


def nobody(_project: ProjectId) -> bool:
    return False


def test_what_a_listing_has_is_there_at_once_under_its_newest_name() -> None:
    discovery = Discovery()
    discovery.take_in({SHOP: "shop"}, keeps=nobody)
    discovery.take_in({SHOP: "store", BLOG: "blog"}, keeps=nobody)
    assert discovery.listed == {SHOP: "store", BLOG: "blog"}


def test_what_is_missing_is_gone_after_so_many_listings_and_not_one_earlier() -> None:
    discovery = Discovery()
    discovery.take_in(BOTH, keeps=nobody)
    for _ in range(LISTINGS_MISSED_MAX - 1):
        discovery.take_in({SHOP: "shop"}, keeps=nobody)
    assert discovery.listed == BOTH
    discovery.take_in({SHOP: "shop"}, keeps=nobody)
    assert discovery.listed == {SHOP: "shop"}


def test_what_turns_up_in_between_begins_to_be_missed_anew() -> None:
    discovery = Discovery()
    for listing in [BOTH, {SHOP: "shop"}, {SHOP: "shop"}, BOTH, {SHOP: "shop"}, {SHOP: "shop"}]:
        discovery.take_in(listing, keeps=nobody)
    assert discovery.listed == BOTH


def test_what_somebody_keeps_stays_until_nobody_does() -> None:
    discovery = Discovery()
    discovery.take_in(BOTH, keeps=nobody)
    for _ in range(2 * LISTINGS_MISSED_MAX):
        discovery.take_in({SHOP: "shop"}, keeps=lambda project: project == BLOG)
    assert discovery.listed == BOTH
    discovery.take_in({SHOP: "shop"}, keeps=nobody)
    assert discovery.listed == {SHOP: "shop"}
