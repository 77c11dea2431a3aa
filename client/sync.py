"""The client for programs that wait for their answers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from client.exchange import (
    Call,
    asking,
    asking_many,
    explaining,
    listing,
    paging,
    problem_in,
    ranking,
    sending,
)  # fmt: skip
from client.explanations import Explanation
from client.models import Answer, Catalogue, Positions, Progress, View
from client.questions import Part, Question, in_words
from client.retrying import PATIENCE, Attempts, Retries, may_pass
from client.several import Queried, Ranking, Result
from client.streams import Conversation

__all__ = ["Client"]

Model = TypeVar("Model")


class Client:
    """Asks the API at `url`. Close it, or use it in a `with` block.

    `timeout` is in seconds, for each attempt. Methods raise `ProblemError`, `Unreachable` or `NotUnderstood`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        admin_key: str | None = None,
        timeout: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._admin_key, self._sleep = url, admin_key, sleep
        self._retries = retries or Retries()
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def catalogue(self) -> Catalogue:
        """Every view and source."""
        return self._do(listing())

    def views(self) -> tuple[View, ...]:
        """Every view: key, measures, how fine it is in time."""
        return self.catalogue().views

    def answer(self, asked: Question) -> Answer:
        """As `ask`, of a question made before."""
        return self._do(asking(asked))

    @in_words
    def ask(self, asked: Question) -> Answer:
        """What a view says of one key: see `question`."""
        return self.answer(asked)

    def updates(self, asked: Question) -> Iterator[Answer | Progress]:
        """As `live`, of a question made before, and up to when the last answer still holds."""
        talk, attempts = Conversation(asked), Attempts(self._url, PATIENCE)
        while True:
            try:
                with self._http.stream(**talk.request()) as response:
                    if response.is_success:
                        for data in response.iter_bytes():
                            attempts.succeeded()
                            yield from talk.take(data)
                    else:
                        response.read()
                        if not may_pass(response):
                            raise problem_in(response)
                    wait = attempts.after(response)
            except httpx.TransportError as error:
                wait = attempts.after(error)
            self._sleep(max(wait, talk.again))

    @in_words
    def live(self, asked: Question) -> Iterator[Answer]:
        """The answer, and a new one whenever it changes; connected anew where the connection is lost.

        Ends only by an error: `Unreachable` after about two minutes, `ProblemError` for a question that
        cannot be answered.
        """
        return (update for update in self.updates(asked) if isinstance(update, Answer))

    def ask_many(
        self, asked: Question, keys: Sequence[Mapping[str, Part]], measures: Sequence[str] | None = None
    ) -> Queried:
        """One question, made without a key, of at most 1,000 keys; of all measures, or of some."""
        return self._do(asking_many(asked, keys, measures))

    def keys(self, asked: Question, limit: int = 1000) -> Iterator[Result]:
        """Every key that begins with the parts of the question, with its rows; `limit` keys a request."""
        cursor: str | None = None
        while True:
            page = self._do(paging(asked, limit, cursor))
            yield from page.results
            cursor = page.cursor
            if cursor is None:
                return

    def top(self, asked: Question, by: str, n: int = 10, order: str = "most") -> Ranking:
        """The keys with the most of a measure, or with the `least`, of those that begin with the parts."""
        return self._do(ranking(asked, by, n, order))

    def explain(
        self, asked: Question, limit: int = 50, cursor: str | None = None, unmasked: bool = False
    ) -> Explanation:
        """Why a number is what it is. `unmasked` shows personal values; it needs the admin key."""
        return self._do(explaining(asked, limit, cursor, self._admin_key if unmasked else None))

    def send(self, source: str, events: Sequence[Mapping[str, Any]]) -> Positions:
        """Write at most 1,000 events, each with an `event_id`: all of them, or none.

        Raises `EventsRefused` with every fault, and `NotAdmitted` without the right `admin_key`.
        """
        return self._do(sending(source, events, self._admin_key))

    def _do(self, call: Call[Model]) -> Model:
        attempts = Attempts(self._url, self._retries)
        while True:
            try:
                response = self._http.request(**call.request())
                if not may_pass(response):
                    return call.result(response)
                wait = attempts.after(response)
            except httpx.TransportError as error:
                wait = attempts.after(error)
            self._sleep(wait)
