"""Wikipedia's editors as persons: an account of one language and that of another are one if a log-in is both.

An account is a channel and a name, and every edit with a log-in says that it is the same as the name alone,
for one log-in is good in all languages. Who edits without one is a person of that channel. Persons become
known as their edits come, so that a sitting may turn out to be the second half of another one.
LAMBDA_APPLICATION=conf.definitions.wikipedia_editors
"""

from dataclasses import replace

from conf.definitions import wikipedia
from core import Count, Identity, Uniques, View, Visits
from core.visits import bounce_rate, bounces, visit_length, visits

ACCOUNT = "concat(channel, ':', user)"

EDITS = replace(
    wikipedia.EDITS,
    declares=[
        Identity(id=ACCOUNT, same="if(isAnonymous, null, user)"),
        Visits(user="person", gap="30 minutes", carry=("channel",)),
    ],
)

VIEWS = [
    View(
        "edits_by_editor",
        EDITS,
        key=("person",),
        measures={"edits": Count(), "channels": Uniques("channel"), "visits": visits()},
        description="What each editor did, in whatever language, and in how many sittings.",
    ),
    View(
        "editors_by_channel",
        EDITS,
        key=("channel",),
        measures={"edits": Count(), "editors": Uniques("person")},
        description="How many persons edited in a language.",
    ),
    View(
        "sittings_by_channel",
        EDITS,
        key={"channel": "visit_channel"},
        measures={
            "edits": Count(),
            "sittings": visits(),
            "bounces": bounces(),
            "bounce_rate": bounce_rate(),
            "length": visit_length(),
        },
        description="Sittings of editors by the language in which they began, wherever they went on.",
    ),
]
