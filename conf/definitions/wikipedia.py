"""Wikipedia's edits of one day: the source, and the views of it.

A view is one entry here; the batch layer, the speed layer and the API need nothing else.
"""

from core import Count, Max, Mean, Min, Quantiles, Source, Sum, Top, Uniques, View

EDITS = Source("wikipedia.edits", contract="wikipedia_edits")

VIEWS = [
    View(
        "edits_by_page",
        EDITS,
        key=("channel", "page"),
        measures={
            "edits": Count(),
            "added": Sum("added"),
            "deleted": Sum("deleted"),
            "last_edit": Max("event_time"),
        },
        description="How often, how much and when last a page was edited.",
    ),
    View(
        "edits_by_channel",
        EDITS,
        key=("channel",),
        bucket="1 minute",
        measures={
            "edits": Count(),
            "editors": Uniques("user"),
            "added": Sum("added"),
            "deleted": Sum("deleted"),
            "delta": Sum("delta"),
            "mean_delta": Mean("delta"),
            "size": Quantiles("abs(delta)"),
        },
        description="Edits of one language's Wikipedia, minute by minute.",
    ),
    View(
        "edits_by_user",
        EDITS,
        key=("user",),
        measures={
            "edits": Count(),
            "delta": Sum("delta"),
            "first_edit": Min("event_time"),
            "last_edit": Max("event_time"),
        },
        description="What one editor did, over all languages.",
    ),
    View(
        "edits_by_country",
        EDITS,
        key=("countryIsoCode",),
        measures={"edits": Count(), "editors": Uniques("user"), "added": Sum("added")},
        description="Anonymous edits by country; the key NULL holds the edits without one.",
    ),
    View(
        "wiki",
        EDITS,
        bucket="1 minute",
        measures={
            "edits": Count(),
            "editors": Uniques("user"),
            "pages": Uniques("concat(channel, ' ', page)"),
            "top_pages": Top("page"),
            "size": Quantiles("abs(delta)"),
            "first_edit": Min("event_time"),
            "last_edit": Max("event_time"),
        },
        description="All of Wikipedia: one row of everything.",
    ),
    View(
        "robot_edits",
        EDITS,
        key=("channel",),
        where="isRobot",
        measures={"edits": Count(), "robots": Uniques("user"), "delta": Sum("delta")},
        description="Edits by robots, by language.",
    ),
]
