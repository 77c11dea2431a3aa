"""Wikipedia's edits with visits: what editors do in one sitting.

All views of `wikipedia` are here as well: LAMBDA_APPLICATION=conf.definitions.wikipedia_visits. A source
that declares visits is recomputed whole at each publish.
"""

from dataclasses import replace

from conf.definitions import wikipedia
from core import Count, View, Visits
from core.visits import bounce_rate, bounces, visit_length, visits

EDITS = replace(wikipedia.EDITS, declares=[Visits(user="user", gap="30 minutes", carry=("channel",))])

VIEWS = [
    *(replace(view, source=EDITS) for view in wikipedia.VIEWS),
    View(
        "visits_by_channel",
        EDITS,
        key={"channel": "visit_channel"},
        where="user is not null",
        measures={
            "edits": Count(),
            "visits": visits(),
            "bounces": bounces(),
            "bounce_rate": bounce_rate(),
            "visit_length": visit_length(),
        },
        description="Sittings of editors by the language in which they began: how many, and how long.",
    ),
]
