"""Ask the platform's API from Python: `Client`, or `AsyncClient` in asyncio. Needs httpx alone.

with Client("http://127.0.0.1:8000") as client:
    print(client.ask("edits_by_page", channel="#en.wikipedia", page="Ada").measures["edits"])
"""

from client.aio import AsyncClient
from client.errors import (
    BadQuestion,
    ClientError,
    EventsRefused,
    NotAdmitted,
    NotFound,
    NotUnderstood,
    ProblemError,
    QuestionError,
    Refused,
    Unavailable,
    Unreachable,
)
from client.explanations import Explanation
from client.models import Answer, Catalogue, Manifest, Positions, Progress, Row, View
from client.questions import Question, question
from client.retrying import Retries
from client.several import Paged, Queried, Ranking, Result
from client.sync import Client
from client.values import Estimate, Quantile, Quantiles, Ranked, Value

__all__ = [
    "Answer", "AsyncClient", "BadQuestion", "Catalogue", "Client", "ClientError", "Estimate", "EventsRefused",
    "Explanation", "Manifest", "NotAdmitted", "NotFound", "NotUnderstood", "Paged", "Positions",
    "ProblemError", "Progress", "Quantile", "Quantiles", "Queried", "Question", "QuestionError", "Ranked",
    "Ranking", "Refused", "Result", "Retries", "Row", "Unavailable", "Unreachable", "Value", "View",
    "question",
]  # fmt: skip
